// How a job in a worker thread reaches the store and the failpoints of the thread that started it. The
// job takes plain ports; both ends of the wire are here.

import type { MessagePort, Worker } from "node:worker_threads";
import type { FetchInput, FetchResult } from "#objects/fetch.ts";
import { SnapshotError, type SnapshotErrorCode } from "#objects/snapshot-error.ts";
import type { ObjectInfo, ObjectPage, ObjectStore, StoreErrorCode } from "#objects/store.ts";
import { StoreError } from "#objects/store.ts";
import type {
  TransferPorts,
  TransferProgress,
  UploadInput,
  UploadResult,
} from "#objects/upload.ts";

export type Job =
  | { readonly kind: "upload"; readonly input: UploadInput }
  | { readonly kind: "fetch"; readonly input: FetchInput };
export type JobResult = UploadResult | FetchResult;

const METHODS = ["put", "get", "getRange", "head", "list", "delete", "hit"] as const;
type Method = (typeof METHODS)[number];

export type ToHost =
  | { kind: "call"; id: number; method: Method; args: unknown[] }
  | { kind: "progress"; progress: TransferProgress }
  | { kind: "done"; result: JobResult }
  | { kind: "failed"; error: PlainError };
type ToWorker = { id: number; value?: unknown; error?: PlainError };

interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly subject?: string;
  readonly stack?: string;
}

/** In the worker: ports whose every call is made by the host. */
export function portsOverWire(port: MessagePort): TransferPorts {
  const waiting = new Map<number, { resolve: (v: never) => void; reject: (e: Error) => void }>();
  let lastId = 0;
  port.on("message", ({ id, value, error }: ToWorker) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error) call?.reject(revive(error));
    else call?.resolve(value as never);
  });
  const call = <T>(method: Method, ...args: unknown[]): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      port.postMessage({ kind: "call", id: lastId, method, args } satisfies ToHost);
    });
  const store: ObjectStore = {
    put: (key, bytes, options) => call("put", key, bytes, options),
    get: async (key) => asBuffer(await call<Uint8Array>("get", key)),
    getRange: async (key, offset, length) =>
      asBuffer(await call<Uint8Array>("getRange", key, offset, length)),
    head: (key) => call<ObjectInfo | null>("head", key),
    list: (prefix, cursor) => call<ObjectPage>("list", prefix, cursor),
    delete: (key) => call("delete", key),
  };
  return {
    store,
    failpoints: { hit: (name) => call("hit", name) },
    onProgress: (progress) => {
      port.postMessage({ kind: "progress", progress } satisfies ToHost);
    },
  };
}

/** In the host: answers one call of the worker. */
export async function answerCall(
  worker: Worker,
  message: Extract<ToHost, { kind: "call" }>,
  { store, failpoints }: TransferPorts,
): Promise<void> {
  const { id, method, args } = message;
  let answer: ToWorker;
  try {
    const target = method === "hit" ? failpoints.hit.bind(failpoints) : store[method].bind(store);
    answer = { id, value: await (target as (...args: unknown[]) => Promise<unknown>)(...args) };
  } catch (error) {
    answer = { id, error: flatten(error) };
  }
  worker.postMessage(answer, movable(answer.value));
}

/** What a store gave is ours: when it has its memory to itself, it is moved and not copied. */
function movable(value: unknown): ArrayBuffer[] {
  if (!(value instanceof Uint8Array) || !(value.buffer instanceof ArrayBuffer)) return [];
  return value.length === value.buffer.byteLength ? [value.buffer] : [];
}

export function flatten(error: unknown): PlainError {
  const { name, message, stack } = error as Error;
  if (error instanceof StoreError) return { name, message, code: error.code, subject: error.key };
  if (error instanceof SnapshotError)
    return { name, message, code: error.code, subject: error.subject };
  return { name, message, ...(stack ? { stack } : {}) };
}

export function revive({ name, message, code, subject, stack }: PlainError): Error {
  if (name === "StoreError") return new StoreError(code as StoreErrorCode, subject ?? "", message);
  if (name === "SnapshotError") {
    const text = message.slice((subject ?? "").length + 2); // The constructor puts the subject first.
    return new SnapshotError(code as SnapshotErrorCode, subject ?? "", text);
  }
  const error = new Error(message);
  error.name = name;
  if (stack) error.stack = stack;
  return error;
}

/** Structured clone turns a Buffer into a Uint8Array. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
