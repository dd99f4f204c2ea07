// Connections that begin or end in a box's own network, through its exec server: a listener there, whose connections
// come out here, a stream each; and a connection from there to elsewhere.

import type { Duplex } from "node:stream";
import { breakOff } from "#lib/splice.ts";
import { ExecFrameDecoder, type ExecServerFrame, encodeExecFrame } from "#wire/exec-frames.ts";

/** Of a frame: length and kind. */
const HEADER_BYTES = 5;
/** A reason why not. */
const MAX_ANSWER_BYTES = 64 * 1024;
const SOMETHING_ELSE = "the box answered something else";

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
    const fail = (message: string) => {
      breakOff(control);
      reject(new Error(message));
    };
    const take = async (connection: string, peer: string) => {
      const stream = await open();
      stream.write(encodeExecFrame({ kind: "take", connection }));
      onConnection(stream, peer);
    };
    const obey = (frame: ExecServerFrame) => {
      if (frame.kind === "listening")
        resolve({ address: frame.address, close: () => breakOff(control) });
      else if (frame.kind === "accepted")
        take(frame.connection, frame.peer).catch(() => {}); // It sees a close.
      else fail(frame.kind === "error" ? frame.message : SOMETHING_ELSE);
    };
    control.on("data", (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk) as ExecServerFrame[]) obey(frame);
      } catch (error) {
        fail((error as Error).message); // Whoever is root in a box may say anything here.
      }
    });
    control.on("error", () => {}); // A close follows.
    control.on("close", () => reject(new Error("the connection to the box was lost")));
    control.write(encodeExecFrame({ kind: "listen", ...where }));
  });
}

/** Makes a fresh stream to the exec server the raw bytes of a connection from the box. Rejects when there is none. */
export function dialInBox(stream: Duplex, tcp: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    let held = Buffer.alloc(0);
    const fail = (message: string) => {
      stream.off("data", receive);
      breakOff(stream);
      reject(new Error(message));
    };
    const receive = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < HEADER_BYTES) return;
      // `dialed` has no content: what follows its header is not frames any more.
      const isDialed = held.readUInt32BE() === 0;
      try {
        const [frame] = new ExecFrameDecoder().push(
          isDialed ? held.subarray(0, HEADER_BYTES) : held,
        );
        if (frame?.kind === "dialed") dialed();
        else if (frame?.kind === "error") fail(frame.message);
        else if (frame || held.length > MAX_ANSWER_BYTES) fail(SOMETHING_ELSE);
      } catch (error) {
        fail((error as Error).message); // As above.
      }
    };
    const dialed = () => {
      stream.off("data", receive);
      stream.pause();
      if (held.length > HEADER_BYTES) stream.unshift(held.subarray(HEADER_BYTES));
      resolve(stream);
    };
    stream.on("data", receive);
    stream.on("error", () => {}); // A close follows.
    stream.on("close", () => fail("the connection to the box was lost"));
    stream.write(encodeExecFrame({ kind: "dial", tcp }));
  });
}

/** Work with a stream, which is broken off when the signal comes before the work is done. */
export async function workOn<T>(
  stream: Duplex,
  signal: AbortSignal,
  work: (stream: Duplex) => Promise<T>,
): Promise<T> {
  const leave = () => breakOff(stream);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    return await work(stream);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
