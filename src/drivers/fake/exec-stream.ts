// The fake guest's exec server: the same frames as a real one, so that `berth exec` works without VMs.

import { Duplex } from "node:stream";
import type { ExecRequest, ExecResult } from "#drivers/driver.ts";
import { ExecFrameDecoder, type ExecServerFrame, encodeExecFrame } from "#wire/exec-frames.ts";

/** Programs that read their input before they do anything. */
const READERS = new Set(["tee"]);
const PID = 2;

export function fakeExecStream(run: (request: ExecRequest) => Promise<ExecResult>): Duplex {
  const decoder = new ExecFrameDecoder();
  const stdin: Uint8Array[] = [];
  let request: ExecRequest | null = null;
  let isRunning = false;

  const stream = new Duplex({
    read: () => {},
    write(chunk, _encoding, done) {
      take(chunk).then(
        () => done(),
        (error: Error) => done(error),
      );
    },
  });

  const say = (...frames: ExecServerFrame[]): void => {
    if (stream.destroyed) return;
    for (const frame of frames) stream.push(encodeExecFrame(frame));
  };

  const finish = async (): Promise<void> => {
    if (!request || isRunning) return;
    isRunning = true;
    const input = Buffer.concat(stdin).toString();
    try {
      const { stdout, stderr, exitCode } = await run({ ...request, stdin: input });
      say(
        { kind: "stdout", data: Buffer.from(stdout) },
        { kind: "stderr", data: Buffer.from(stderr) },
        { kind: "exit", exitCode },
      );
    } catch (error) {
      say({ kind: "error", code: "ended", message: (error as Error).message });
    }
    stream.push(null);
  };

  const take = async (chunk: Uint8Array): Promise<void> => {
    for (const frame of decoder.push(chunk)) {
      if (frame.kind === "start") {
        request = { argv: frame.argv, user: frame.user };
        say({ kind: "started", pid: PID });
        if (!READERS.has(frame.argv[0] ?? "")) await finish();
      } else if (frame.kind === "stdin") stdin.push(Buffer.from(frame.data));
      else if (frame.kind === "stdin-eof") await finish();
    }
  };

  return stream;
}
