// The guest's exec server, on this machine and without a pty: for tests of what is above it. Speaks the
// protocol of wire/exec-frames.ts.

import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type Server, type Socket } from "node:net";
import {
  type ExecClientFrame,
  ExecFrameDecoder,
  type ExecStart,
  encodeExecFrame,
} from "#wire/exec-frames.ts";

/** `onStart` sees each request. */
export async function serveExec(onStart: (start: ExecStart) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const decoder = new ExecFrameDecoder();
    let child: ChildProcess | null = null;
    socket.on("error", () => {});
    // As in a box: a connection that ends, by FIN too, ends its program.
    for (const event of ["end", "close"])
      socket.on(event, () => {
        if (child?.pid && child.exitCode === null && child.signalCode === null)
          process.kill(-child.pid, "SIGKILL");
      });
    socket.on("data", (chunk: Buffer) => {
      for (const frame of decoder.push(chunk) as ExecClientFrame[]) {
        if (frame.kind === "start") {
          onStart(frame);
          child = startProgram(frame, socket);
        }
        if (frame.kind === "stdin") child?.stdin?.write(frame.data);
        if (frame.kind === "stdin-eof") child?.stdin?.end();
        if (frame.kind === "signal" && child?.pid) process.kill(-child.pid, frame.signal);
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

function startProgram({ argv, env }: ExecStart, socket: Socket): ChildProcess {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, SHELL: "/bin/sh", ...env },
    stdio: "pipe",
    detached: true,
  });
  child.stdin.on("error", () => {});
  for (const event of ["drain", "close"])
    socket.on(event, () => {
      child.stdout.resume();
      child.stderr.resume();
    });
  for (const kind of ["stdout", "stderr"] as const)
    child[kind].on("data", (data: Buffer) => {
      if (!socket.write(encodeExecFrame({ kind, data }))) child[kind].pause();
    });
  child.on("error", (error) =>
    socket.end(encodeExecFrame({ kind: "error", code: "cannot_start", message: error.message })),
  );
  child.on("close", (code) => {
    if (!socket.writableEnded) socket.end(encodeExecFrame({ kind: "exit", exitCode: code ?? 255 }));
  });
  return child;
}
