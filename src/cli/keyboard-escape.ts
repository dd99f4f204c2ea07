// How a person leaves a session that goes on: `~.` at the beginning of a line, as in ssh. `~~` is one `~`.

const TILDE = 0x7e;
const DOT = 0x2e;
const LINE_ENDS = [0x0d, 0x0a];

export class KeyboardEscape {
  #state: "inside" | "line-start" | "tilde" = "line-start";

  /** What to send of these bytes, and whether the user leaves. */
  push(bytes: Uint8Array): { readonly send: Uint8Array; readonly isLeaving: boolean } {
    const send: number[] = [];
    for (const byte of bytes) {
      if (this.#state === "tilde") {
        if (byte === DOT) return { send: Uint8Array.from(send), isLeaving: true };
        if (byte !== TILDE) send.push(TILDE);
      } else if (this.#state === "line-start" && byte === TILDE) {
        this.#state = "tilde";
        continue;
      }
      send.push(byte);
      this.#state = LINE_ENDS.includes(byte) ? "line-start" : "inside";
    }
    return { send: Uint8Array.from(send), isLeaving: false };
  }
}
