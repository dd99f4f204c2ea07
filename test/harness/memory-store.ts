// An object store in memory, for tests that look at or damage what is stored.

import type { ObjectInfo, ObjectPage, ObjectStore } from "#objects/store.ts";
import { StoreError } from "#objects/store.ts";

const LIST_MAX = 100;

export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, { bytes: Buffer; modifiedMs: number }>();
  readonly #nowMs: () => number;
  /** Bytes that fit; further puts throw `no_space`. */
  capacityBytes = Number.POSITIVE_INFINITY;

  constructor(nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
  }

  async put(key: string, bytes: Uint8Array, options: { ifNoneMatch?: boolean } = {}) {
    if (options.ifNoneMatch && this.objects.has(key))
      throw new StoreError("precondition_failed", key, `${key} exists already`);
    if (this.totalBytes() + bytes.length > this.capacityBytes)
      throw new StoreError("no_space", key, `no space for ${key}`);
    this.objects.set(key, { bytes: Buffer.from(bytes), modifiedMs: this.#nowMs() });
  }

  async get(key: string): Promise<Buffer> {
    return Buffer.from(this.#found(key).bytes);
  }

  async getRange(key: string, offset: number, length: number): Promise<Buffer> {
    return Buffer.from(this.#found(key).bytes.subarray(offset, offset + length));
  }

  async head(key: string): Promise<ObjectInfo | null> {
    const found = this.objects.get(key);
    return found ? { key, bytes: found.bytes.length, modifiedMs: found.modifiedMs } : null;
  }

  async list(prefix: string, cursor: string | null = null): Promise<ObjectPage> {
    const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    const keys = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && (cursor === null || compare(key, cursor) > 0))
      .sort(compare);
    const page = keys.slice(0, LIST_MAX);
    return {
      objects: page.map((key) => {
        const { bytes, modifiedMs } = this.#found(key);
        return { key, bytes: bytes.length, modifiedMs };
      }),
      cursor: keys.length > LIST_MAX ? page.at(-1)! : null,
    };
  }

  async delete(key: string): Promise<void> {
    this.objects.delete(key);
  }

  totalBytes(): number {
    let sum = 0;
    for (const { bytes } of this.objects.values()) sum += bytes.length;
    return sum;
  }

  #found(key: string): { bytes: Buffer; modifiedMs: number } {
    const found = this.objects.get(key);
    if (!found) throw new StoreError("not_found", key, `there is no ${key}`);
    return found;
  }
}
