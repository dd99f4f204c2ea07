// A QMP client over a unix socket: one waiter per id, a time limit on each command, events to listeners.
// Only the commands listed here can be sent, whatever a caller's types say.

import { connect as connectSocket, type Socket } from "node:net";
import type { Clock } from "#lib/clock.ts";
import { QmpDecoder, type QmpMessage } from "./qmp-frame.ts";

export const QMP_COMMANDS = [
  "block_resize",
  "cont",
  "migrate",
  "migrate-incoming",
  "migrate-set-capabilities",
  "migrate-set-parameters",
  "migrate_cancel",
  "qmp_capabilities",
  "query-migrate",
  "query-status",
  "query-version",
  "quit",
  "stop",
  "system_powerdown",
] as const;
export type QmpCommand = (typeof QMP_COMMANDS)[number];

export class QmpError extends Error {
  override readonly name = "QmpError";
  readonly code: "closed" | "timeout" | "refused" | "protocol";
  constructor(code: QmpError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Qmp {
  execute(
    command: QmpCommand,
    args?: Readonly<Record<string, unknown>>,
    timeoutMs?: number,
  ): Promise<unknown>;
  /** Rejects with code `timeout` when the promise takes longer. */
  within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T>;
  /** Called for each event from now on; returns the way to stop. */
  onEvent(listener: (event: QmpEvent) => void): () => void;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  readonly isOpen: boolean;
  close(): void;
}

interface Waiter {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const COMMAND_TIMEOUT_MS = 10_000;

/** Connects, reads the greeting and negotiates. QEMU serves one QMP client at a time. */
export async function connectQmp(
  path: string,
  clock: Clock,
  timeoutMs = COMMAND_TIMEOUT_MS,
): Promise<Qmp> {
  const connection = new Connection(connectSocket(path), clock);
  try {
    await connection.greeted(timeoutMs);
    await connection.execute("qmp_capabilities", {}, timeoutMs);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

class Connection implements Qmp {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #decoder = new QmpDecoder();
  readonly #waiters = new Map<number, Waiter>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #greeting = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #nextId = 1;
  #failure: QmpError | null = null;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.closed = this.#ended.promise;
    this.#greeting.promise.catch(() => {}); // The reason also reaches every waiter.
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.#fail(new QmpError("closed", `QMP: ${error.message}`)));
    socket.on("close", () => this.#fail(new QmpError("closed", "QMP connection ended")));
  }

  get isOpen(): boolean {
    return this.#failure === null;
  }

  greeted(timeoutMs: number): Promise<void> {
    return this.within(this.#greeting.promise, timeoutMs, "greeting");
  }

  async execute(
    command: QmpCommand,
    args: Readonly<Record<string, unknown>> = {},
    timeoutMs = COMMAND_TIMEOUT_MS,
  ): Promise<unknown> {
    if (!QMP_COMMANDS.includes(command)) {
      throw new QmpError("protocol", `QMP command ${command} is not allowed; see QMP_COMMANDS`);
    }
    if (this.#failure) throw this.#failure;
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiters.set(id, { command, resolve, reject });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      return await this.within(promise, timeoutMs, command);
    } finally {
      this.#waiters.delete(id); // An answer that comes later is dropped.
    }
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#fail(new QmpError("closed", "QMP connection closed by us"));
  }

  async within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    const timer = new AbortController();
    const late = this.#clock.sleep(timeoutMs, timer.signal).then(() => {
      throw new QmpError("timeout", `QMP ${what}: no answer in ${timeoutMs} ms`);
    });
    late.catch(() => {});
    try {
      return await Promise.race([promise, late]);
    } finally {
      timer.abort();
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#failure) return;
    try {
      for (const message of this.#decoder.push(chunk)) this.#take(message);
    } catch (error) {
      this.#fail(new QmpError("protocol", error instanceof Error ? error.message : String(error)));
    }
  }

  #take(message: QmpMessage): void {
    if (message.kind === "greeting") this.#greeting.resolve();
    else if (message.kind === "event") {
      for (const listener of this.#listeners) listener(message);
    } else if (message.kind === "return") {
      this.#waiters.get(message.id)?.resolve(message.value); // No waiter: it timed out before.
    } else if (message.id === null) {
      this.#fail(new QmpError("protocol", `QMP error without id: ${message.text}`));
    } else {
      const waiter = this.#waiters.get(message.id);
      waiter?.reject(new QmpError("refused", `QMP ${waiter.command}: ${message.text}`));
    }
  }

  #fail(failure: QmpError): void {
    if (this.#failure) return;
    this.#failure = failure;
    this.#socket.destroy();
    this.#greeting.reject(failure);
    for (const waiter of this.#waiters.values()) waiter.reject(failure);
    this.#waiters.clear();
    this.#listeners.clear();
    this.#ended.resolve();
  }
}
