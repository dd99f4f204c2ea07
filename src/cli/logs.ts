// `berth logs`: what a box wrote to its console (the serial port): boot messages and kernel faults.

import type { Phase } from "#sdk/client.ts";
import { openDoor } from "./enter.ts";
import { CliError } from "./exit.ts";
import type { Session } from "./session.ts";
import { plain } from "./terminal.ts";
import { happening } from "./waiting.ts";

const FOLLOW_MS = 1000;
/** As much of what was printed is looked for in the next reading. */
const OVERLAP_CHARACTERS = 2048;

const WITHOUT_CONSOLE: readonly Phase[] = ["paused", "stopped", "deleted"];

export async function logs(
  session: Session,
  ref: string,
  options: { readonly follow: boolean },
): Promise<void> {
  const { clock, interrupted } = session.terminal;
  const client = await session.client();
  const box = await client.boxes.get(ref);
  if (WITHOUT_CONSOLE.includes(box.phase))
    throw new CliError(`${box.name} is ${happening(box)}: its console is there while it runs.`, {
      next: `\`berth events ${box.name}\` tells what happened; \`berth resume\` or \`start\` runs it.`,
    });
  let printed = "";
  do {
    const text = await readConsole(session, box);
    print(session, newPart(printed, text));
    printed = text;
    if (options.follow) await clock.sleep(FOLLOW_MS, interrupted).catch(() => {});
  } while (options.follow && !interrupted.aborted);
}

async function readConsole(session: Session, box: { readonly id: string }): Promise<string> {
  const stream = await openDoor(session, box, { console: true });
  stream.end();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** A console reading is the last bytes there are: it may have lost its beginning since the one before. */
export function newPart(printed: string, text: string): string {
  const known = printed.slice(-OVERLAP_CHARACTERS);
  const at = text.lastIndexOf(known);
  return known && at >= 0 ? text.slice(at + known.length) : text;
}

/** A box must not drive the user's terminal; a file gets the bytes as they are. */
function print({ terminal }: Session, text: string): void {
  terminal.out(process.stdout.isTTY ? plain(text.replaceAll("\r", "")) : text);
}
