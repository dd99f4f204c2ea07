// What the output of a box may not do to the terminal that shows it: it neither reaches the clipboard nor has the terminal
// report anything that would come back as typed input. A title is text of one line.

import type { Terminal } from "@xterm/xterm";

const CLIPBOARD_OSC = 52;
const MAX_TITLE = 80;

/** Holds whatever the terminal's options and add-ons would allow: a handler that comes later is asked first. */
export function refuseReports({ parser }: Pick<Terminal, "parser">): void {
  parser.registerOscHandler(CLIPBOARD_OSC, () => true);
  parser.registerCsiHandler({ final: "t" }, () => true);
}

export function cleanTitle(title: string): string {
  return title.replace(/\p{C}/gu, "").slice(0, MAX_TITLE);
}
