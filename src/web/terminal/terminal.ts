// One xterm.js bound to one session of a box, outside of React. What the box sends may draw, and nothing else: no
// clipboard, no window, no title reports, and a link opens only after the person has seen where it leads.

import { FitAddon } from "@xterm/addon-fit";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { type ITheme, Terminal } from "@xterm/xterm";
import { LastingSession, type SessionStart, type SessionStatus } from "#sdk/exec-session.ts";
import type { SessionMode } from "#wire/exec-frames.ts";
import { bytes as bytesText } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { cleanTitle, refuseReports } from "./box-output.ts";
import { connectSession, isRetryable } from "./doors.ts";
import { controlOf, sequenceOf, type TouchKey } from "./touch-keys.ts";

export interface BoxTerminalOptions {
  readonly boxId: string;
  readonly session: string;
  readonly mode: SessionMode;
  readonly start: SessionStart | undefined;
  readonly onStatus: (status: SessionStatus) => void;
  readonly onTitle: (title: string) => void;
  /** Whether the next letter is typed with Ctrl. */
  readonly onControl: (isNext: boolean) => void;
}

const THEME: ITheme = {
  background: "#0b0d12",
  foreground: "#d7dce5",
  cursor: "#4cc0d6",
  cursorAccent: "#0b0d12",
  selectionBackground: "#1d4d5a",
  ...{ black: "#1b2029", red: "#f26d72", green: "#45c476", yellow: "#e0a33e" },
  ...{ blue: "#5b9df5", magenta: "#b78cf2", cyan: "#3cb4cb", white: "#c9cfda" },
  ...{ brightBlack: "#5c6675", brightRed: "#ff8d91", brightGreen: "#6fe09a" },
  ...{ brightYellow: "#f3c167", brightBlue: "#86b8ff", brightMagenta: "#cfadff" },
  ...{ brightCyan: "#73d6e8", brightWhite: "#f2f5fa" },
};

const FONT = '"JetBrains Mono Variable"';
const FONT_PX = 13;

/** So much may wait in the terminal to be drawn before the box has to wait. */
const UNDRAWN_BYTES = 256 * 1024;
const SCROLLBACK_LINES = 10_000;

export class BoxTerminal {
  readonly session: LastingSession;
  readonly #term: Terminal;
  readonly #fit = new FitAddon();
  readonly #options: BoxTerminalOptions;
  #undrawnBytes = 0;
  /** Output from before we came: what it asks the terminal was answered then. */
  #replayBytes = 0;
  #wasAttached = false;
  #isDisposed = false;
  /** Ctrl of the touch keys was pressed, and waits for its letter. */
  #isControlNext = false;

  constructor(options: BoxTerminalOptions) {
    this.#options = options;
    this.#term = new Terminal({
      theme: THEME,
      fontFamily: `${FONT}, ui-monospace, monospace`,
      fontSize: FONT_PX,
      lineHeight: 1.2,
      cursorBlink: true,
      scrollback: SCROLLBACK_LINES,
      disableStdin: options.mode === "read",
      windowOptions: {},
      linkHandler: { activate: (_event, uri) => void openLink(uri) },
    });
    this.#term.loadAddon(this.#fit);
    this.#term.loadAddon(new WebLinksAddon((_event, uri) => void openLink(uri)));
    refuseReports(this.#term);
    this.#term.attachCustomKeyEventHandler((event) => !this.#copies(event));
    this.#term.onTitleChange((title) => options.onTitle(cleanTitle(title)));
    this.session = new LastingSession({
      ...{ session: options.session, mode: options.mode, start: options.start, isRetryable },
      connect: (_attempt, signal) =>
        connectSession(options.boxId, options.session, options.mode, signal),
      onData: (data) => this.#draw(data),
      onGap: (missing) => this.#mark(`${bytesText(missing)} of output were not kept`),
      onStatus: (status) => this.#told(status),
      sleep,
      nowMs: () => performance.now(),
      random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
    });
    const encoder = new TextEncoder();
    this.#term.onData((text) => this.#typed(encoder.encode(this.#withControl(text))));
    this.#term.onBinary((text) => this.#typed(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.#term.onResize(({ rows, cols }) => this.session.resize(rows, cols));
  }

  mount(place: HTMLElement): void {
    this.#term.open(place);
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.#term.loadAddon(webgl);
    } catch {
      // The terminal draws without it, only slower.
    }
    this.fit();
    void this.#measureAgain();
  }

  /** The first terminal asks for its font, and was measured by another's letters. */
  async #measureAgain(): Promise<void> {
    const font = `${FONT_PX}px ${FONT}`;
    if (document.fonts.check(font)) return;
    await document.fonts.load(font).catch(() => {});
    if (this.#isDisposed) return;
    // Another list of the same letters: measured anew, drawn anew.
    this.#term.options.fontFamily = `${FONT}, monospace`;
    this.fit();
  }

  /** A reader has the size of whoever writes. */
  fit(): void {
    if (this.#options.mode === "write") this.#fit.fit();
  }

  focus(): void {
    this.#term.focus();
  }

  /** Everything that is still kept, as text. */
  allText(): string {
    const buffer = this.#term.buffer.active;
    let text = "";
    for (let row = 0; row < buffer.length; row++) {
      const line = buffer.getLine(row);
      text += `${line?.isWrapped || row === 0 ? "" : "\n"}${line?.translateToString(true) ?? ""}`;
    }
    return text.trimEnd();
  }

  /** A key of those that a touch keyboard has not. */
  press(key: TouchKey): void {
    if (key === "Ctrl") {
      this.#isControlNext = !this.#isControlNext;
      this.#options.onControl(this.#isControlNext);
    } else this.#term.input(sequenceOf(key, this.#term.modes.applicationCursorKeysMode));
    this.focus();
  }

  /** As if it were typed, however it came. */
  paste(text: string): void {
    this.#term.paste(text);
    this.focus();
  }

  dispose(): void {
    this.#isDisposed = true;
    this.session.close();
    this.#term.dispose();
  }

  /** Ctrl-Shift-C, as in other terminals; Ctrl-C stays the program's. */
  #copies(event: KeyboardEvent): boolean {
    const isCopy = event.ctrlKey && event.shiftKey && event.code === "KeyC";
    if (!isCopy || !this.#term.hasSelection()) return false;
    event.preventDefault();
    if (event.type === "keydown") void navigator.clipboard.writeText(this.#term.getSelection());
    return true;
  }

  #withControl(text: string): string {
    if (!this.#isControlNext) return text;
    this.#isControlNext = false;
    this.#options.onControl(false);
    return controlOf(text);
  }

  #typed(data: Uint8Array): void {
    if (this.#replayBytes === 0) void this.session.write(data);
  }

  #told(status: SessionStatus): void {
    if (status.kind === "attached") {
      if (!this.#wasAttached) this.#replayBytes = status.replayBytes;
      this.#wasAttached = true;
      const { rows, cols } = status.size;
      if (this.#options.mode === "read" && rows > 0 && cols > 0) this.#term.resize(cols, rows);
    }
    if (status.kind === "exited") this.#mark(`ended with ${status.exitCode}`);
    this.#options.onStatus(status);
  }

  #draw(data: Uint8Array): Promise<void> | void {
    this.#undrawnBytes += data.length;
    const drawn = new Promise<void>((done) =>
      this.#term.write(data, () => {
        this.#undrawnBytes -= data.length;
        this.#replayBytes = Math.max(0, this.#replayBytes - data.length);
        done();
      }),
    );
    if (this.#undrawnBytes > UNDRAWN_BYTES) return drawn;
  }

  #mark(text: string): void {
    this.#term.write(`\x1b[0m\r\n\x1b[7m ${text} \x1b[0m\r\n`);
  }
}

async function openLink(uri: string): Promise<void> {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    return;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return;
  const text = `A program in the box shows this link. It leads to:\n\n${url.href.slice(0, 500)}`;
  if (await confirm({ title: "Open this link?", text, yes: "Open" }))
    window.open(url.href, "_blank", "noopener,noreferrer");
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const stop = () => {
      clearTimeout(timer);
      resolve();
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
