// Joins a stream with this process's standard input and output.

import type { Duplex } from "node:stream";

/**
 * Ends when the stream has: rejects with the reason when it broke. Our input's end is passed on, and the
 * stream's output is written out whole before it resolves.
 */
export function pipeStdio(stream: Duplex): Promise<void> {
  const { stdin, stdout } = process;
  return new Promise((resolve, reject) => {
    let broken: Error | null = null;
    stdin.pipe(stream);
    stream.on("data", (chunk: Buffer) => {
      if (stdout.write(chunk)) return;
      stream.pause();
      stdout.once("drain", () => stream.resume());
    });
    stream.on("error", (error) => {
      broken = error;
    });
    // The box has said everything; what we might still say, nobody waits for.
    stream.on("end", () => stream.destroy());
    stream.on("close", () => {
      stdin.unpipe(stream);
      stdin.destroy(); // It would keep the process alive.
      stdout.write("", () => (broken ? reject(broken) : resolve()));
    });
  });
}
