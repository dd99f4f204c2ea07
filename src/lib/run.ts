// Child processes as a value that is passed in. Arguments are a list, never a shell string.

import { spawn } from "node:child_process";

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** A promise: the child starts now and gets it later; when it is rejected, the child is killed. */
  readonly input?: string | Buffer | Promise<string>;
  /** Kills the child (SIGKILL) after this long. Default: 60 s. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Throws RunError on a non-zero exit, a signal or a time-out. */
export type Run = (argv: readonly string[], options?: RunOptions) => Promise<RunResult>;

export class RunError extends Error {
  override readonly name = "RunError";
  readonly argv: readonly string[];
  readonly exitCode: number | null;
  readonly stderr: string;
  constructor(argv: readonly string[], exitCode: number | null, why: string, stderr: string) {
    super(`${argv[0]} ${why}: ${stderr.trim().slice(-2000)}`);
    this.argv = argv;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

const DEFAULT_TIMEOUT_MS = 60_000;

export const run: Run = (argv, options = {}) =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    if (!program) throw new Error("run: no program given");
    const child = spawn(program, args, {
      ...(options.cwd ? { cwd: options.cwd } : {}),
      env: options.env ?? process.env,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {}); // The child may exit without reading its input.
    const { input = "" } = options;
    if (input instanceof Promise) {
      input.then(
        (text) => child.stdin.end(text),
        () => child.kill("SIGKILL"),
      );
    } else child.stdin.end(input);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new RunError(argv, null, "could not start", error.message));
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const errors = Buffer.concat(stderr).toString();
      if (code === 0) resolve({ stdout: Buffer.concat(stdout).toString(), stderr: errors });
      else if (timedOut) reject(new RunError(argv, null, `ran over ${timeoutMs} ms`, errors));
      else
        reject(
          new RunError(argv, code, signal ? `died of ${signal}` : `exited with ${code}`, errors),
        );
    });
  });
