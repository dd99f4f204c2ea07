// A listener in a box, through its exec server: what connects to it there comes out here, a stream each.

import type { Duplex } from "node:stream";
import { breakOff } from "#lib/splice.ts";
import { ExecFrameDecoder, type ExecServerFrame, encodeExecFrame } from "#wire/exec-frames.ts";

export interface BoxListener {
  /** As the box bound it: ADDRESS:PORT, or the path. */
  readonly address: string;
  close(): void;
}

/** `open` gives a fresh stream to the exec server. Rejects when the box refuses to listen there. */
export function listenInBox(
  control: Duplex,
  where: { readonly tcp: string } | { readonly unix: string },
  open: () => Promise<Duplex>,
  onConnection: (stream: Duplex, peer: string) => void,
): Promise<BoxListener> {
  return new Promise((resolve, reject) => {
    const decoder = new ExecFrameDecoder();
    const take = async (connection: string, peer: string) => {
      const stream = await open();
      stream.write(encodeExecFrame({ kind: "take", connection }));
      onConnection(stream, peer);
    };
    control.on("data", (chunk: Buffer) => {
      for (const frame of decoder.push(chunk) as ExecServerFrame[]) {
        if (frame.kind === "listening")
          resolve({ address: frame.address, close: () => breakOff(control) });
        if (frame.kind === "accepted") take(frame.connection, frame.peer).catch(() => {}); // It sees a close.
        if (frame.kind === "error") reject(new Error(frame.message));
      }
    });
    control.on("error", () => {}); // A close follows.
    control.on("close", () => reject(new Error("the connection to the box was lost")));
    control.write(encodeExecFrame({ kind: "listen", ...where }));
  });
}
