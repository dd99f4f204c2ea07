// The guest's own exec server (guest/agent), compiled and run on this machine: sessions, listeners and raw
// connections are tested against the real code, without a VM. Needs root, as in a box.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ensureBuildPackages } from "#images/host-apt.ts";
import { GUEST_DIRECTORY } from "#images/recipe.ts";
import { run } from "#lib/run.ts";
import {
  type ExecClientFrame,
  ExecFrameDecoder,
  type ExecServerFrame,
  encodeExecFrame,
} from "#wire/exec-frames.ts";

const SOURCES = ["exec", "program", "session", "sessions", "attached", "tunnel", "ports", "bytes"];
export const TOKEN = "0123456789abcdef";
const COMPILE_TIMEOUT_MS = 5 * 60_000;

export interface ExecHost {
  readonly port: number;
  readonly pid: number;
  /** As it was compiled; gone when it is stopped. */
  readonly program: string;
  /** Its sockets: sessions/ and listeners/. */
  readonly directory: string;
  /** The box got an identity with that token. */
  renew(token: string): Promise<void>;
  /** What listens on this machine, as the guest says it. */
  ports(): Promise<string[]>;
  /** Processes of sessions that there are. */
  keepers(): Promise<number[]>;
  stop(): Promise<void>;
}

/** `flags`: for the compiler; sanitizers by default. `like`: the program of another, which is not compiled again. */
export async function startExecHost(flags?: readonly string[], like?: string): Promise<ExecHost> {
  await ensureBuildPackages(run); // The compiler.
  const directory = await mkdtemp(join(tmpdir(), "berth-exec-"));
  const program = join(directory, "host");
  const files = SOURCES.map((name) => join(GUEST_DIRECTORY, "agent", `${name}.c`));
  const gcc = ["gcc", "-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-o", program];
  const sanitizers = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
  const main = join(GUEST_DIRECTORY, "test/host.c");
  if (like) await copyFile(like, program);
  else
    await run([...gcc, ...(flags ?? sanitizers), main, ...files], {
      timeoutMs: COMPILE_TIMEOUT_MS,
    });
  const child = spawn(program, [directory, TOKEN], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
    env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0" },
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => (await lines.next()).value ?? "done";
  const obey = async (line: string): Promise<string[]> => {
    child.stdin.write(`${line}\n`);
    const said: string[] = [];
    for (let next = await nextLine(); next !== "done"; next = await nextLine()) said.push(next);
    return said;
  };
  const port = Number(await nextLine());
  assert.ok(port > 0 && child.pid, "the exec server did not start");
  return {
    ...{ port, pid: child.pid, program },
    directory,
    renew: async (token) => void (await obey(`renew ${token}`)),
    ports: () => obey("ports"),
    keepers: () => keepersOf(program),
    stop: () => stop(child, program, directory),
  };
}

async function stop(child: ChildProcess, program: string, directory: string): Promise<void> {
  const ended = once(child, "exit");
  // Keepers are in its process group, and their programs hear of it by their terminals and pipes.
  if (child.pid) process.kill(-child.pid, "SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await ended;
  for (const pid of await keepersOf(program)) process.kill(pid, "SIGKILL");
  await rm(directory, { recursive: true, force: true });
}

/** Every process of that program but the server itself. */
async function keepersOf(program: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const commandLine = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (commandLine.startsWith(`${program}\0`)) found.push(Number(name));
  }
  return found;
}

/** A way in to such a server as a node gives it: whoever connects need not know the token. */
export async function execDoor(port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (outer) => {
    const inner = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    inner.write(encodeExecFrame({ kind: "auth", token: TOKEN }));
    for (const side of [outer, inner]) side.on("error", () => {});
    outer.on("close", () => inner.destroy());
    inner.on("close", () => outer.destroy());
    outer.pipe(inner).pipe(outer);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

/** One connection to the exec server, with all that came over it. */
export class ExecClient {
  readonly socket: Socket;
  readonly frames: ExecServerFrame[] = [];
  isRaw = false;
  isClosed = false;
  #raw: Buffer[] = [];
  #rawAfter: ExecServerFrame["kind"] | null = null;
  readonly #decoder = new ExecFrameDecoder();
  #changed = Promise.withResolvers<void>();

  constructor(port: number, auth: Partial<ExecClientFrame & { kind: "auth" }> = {}) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.socket.on("error", () => {});
    this.socket.on("end", () => this.#close());
    this.socket.on("close", () => this.#close());
    this.send({ kind: "auth", token: TOKEN, ...auth });
  }

  send(...frames: ExecClientFrame[]): void {
    for (const frame of frames) this.socket.write(encodeExecFrame(frame));
  }

  /** Waits until what came is as `look` wants it; fails when the connection ends before. */
  async until<T>(look: () => T | undefined | null | false): Promise<T> {
    for (;;) {
      const found = look();
      if (found) return found;
      if (this.isClosed) throw new Error(`closed; the last frames: ${this.#tail()}`);
      await this.#changed.promise;
    }
  }

  frame<Kind extends ExecServerFrame["kind"]>(
    kind: Kind,
  ): Promise<Extract<ExecServerFrame, { kind: Kind }>> {
    return this.until(() => this.frames.find((one) => one.kind === kind)) as never;
  }

  async closed(): Promise<void> {
    while (!this.isClosed) await this.#changed.promise;
  }

  /** Bytes after the last frame, for connections that become raw. */
  get raw(): Buffer {
    const all = Buffer.concat(this.#raw);
    this.#raw = [all];
    return all;
  }

  /** Waits for that text in the output. */
  async says(text: string): Promise<void> {
    let held = "";
    let at = 0;
    await this.until(() => {
      const fresh = this.frames.slice(at).map((one) => (one.kind === "stdout" ? one.data : ""));
      at = this.frames.length;
      const said = held + fresh.map((data) => Buffer.from(data).toString("latin1")).join("");
      held = said.slice(-text.length);
      return said.includes(text);
    });
  }

  output(kind: "stdout" | "stderr" = "stdout"): Buffer {
    return Buffer.concat(
      this.frames.map((one) => (one.kind === kind ? one.data : Buffer.alloc(0))),
    );
  }

  close(): void {
    this.socket.destroy();
  }

  /** What follows the first such frame is no frame. */
  becomesRawAfter(kind: ExecServerFrame["kind"]): void {
    this.#rawAfter = kind;
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    // Byte by byte while the end of the frames is not known: what is raw must not be read as a frame.
    while (rest.length > 0 && !this.isRaw) {
      const frames = this.#decoder.push(this.#rawAfter ? rest.subarray(0, 1) : rest);
      rest = rest.subarray(this.#rawAfter ? 1 : rest.length);
      this.frames.push(...(frames as ExecServerFrame[]));
      this.isRaw = this.#rawAfter !== null && frames.some(({ kind }) => kind === this.#rawAfter);
    }
    if (rest.length > 0) this.#raw.push(rest);
    this.#tell();
  }

  #close(): void {
    this.isClosed = true;
    this.#tell();
  }

  #tell(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    resolve();
  }

  #tail(): string {
    return JSON.stringify(this.frames.slice(-3)).slice(0, 500);
  }
}
