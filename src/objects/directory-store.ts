// The object store in a directory of one machine. An object is a file `<encoded key>~`; it appears by link or
// rename after its bytes are on disk, so that a crash leaves at most a file under `.tmp`.

import { randomBytes } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Failpoints } from "#lib/failpoint.ts";
import { syncDirectory } from "#lib/page-digests.ts";
import type { ObjectInfo, ObjectPage, ObjectStore } from "#objects/store.ts";
import { StoreError } from "#objects/store.ts";

const TEMPORARY = ".tmp";
/** Not in an encoded segment, so that object `a` and objects under `a/` never meet. */
const SUFFIX = "~";
const SEGMENT_BYTES_MAX = 250;
const LIST_MAX = 10_000;
const RACES_MAX = 10;

export interface DirectoryStoreOptions {
  readonly root: string;
  readonly failpoints: Failpoints;
  /** How many objects a page of `list` has. */
  readonly listMax?: number;
}

/** Opens the store, making its directory, and removes what dead processes left half-written. */
export async function openDirectoryStore(options: DirectoryStoreOptions): Promise<ObjectStore> {
  const made = await mkdir(join(options.root, TEMPORARY), { recursive: true });
  if (made) await syncUpTo(join(options.root, TEMPORARY), dirname(made));
  await sweepTemporary(join(options.root, TEMPORARY));
  return new DirectoryStore(options);
}

class DirectoryStore implements ObjectStore {
  readonly #root: string;
  readonly #failpoints: Failpoints;
  readonly #listMax: number;

  constructor(options: DirectoryStoreOptions) {
    this.#root = options.root;
    this.#failpoints = options.failpoints;
    this.#listMax = options.listMax ?? LIST_MAX;
  }

  async put(key: string, bytes: Uint8Array, options: { ifNoneMatch?: boolean } = {}) {
    const path = this.#pathOf(key);
    // The name starts with the writer's pid: what a dead one left can be told from work in progress.
    const name = `${process.pid}-${randomBytes(8).toString("hex")}`;
    const temporary = join(this.#root, TEMPORARY, name);
    try {
      const handle = await open(temporary, "wx");
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await this.#failpoints.hit("objects.put.written");
      await this.#publish(temporary, path, options.ifNoneMatch ?? false);
      await this.#failpoints.hit("objects.put.published");
    } catch (error) {
      throw await this.#typed(error, key, "write");
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #publish(temporary: string, path: string, ifNoneMatch: boolean): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const made = await mkdir(dirname(path), { recursive: true });
      try {
        if (ifNoneMatch) await link(temporary, path);
        else await rename(temporary, path);
        await syncUpTo(dirname(path), made ? dirname(made) : dirname(path));
        return;
      } catch (error) {
        // A delete took the directory away when it was empty.
        if (codeOf(error) !== "ENOENT" || attempt === RACES_MAX) throw error;
      }
    }
  }

  async get(key: string): Promise<Buffer> {
    try {
      return await readFile(this.#pathOf(key));
    } catch (error) {
      throw await this.#typed(error, key, "read");
    }
  }

  async getRange(key: string, offset: number, length: number): Promise<Buffer> {
    try {
      const handle = await open(this.#pathOf(key), "r");
      try {
        const buffer = Buffer.allocUnsafe(length);
        let got = 0;
        while (got < length) {
          const { bytesRead } = await handle.read(buffer, got, length - got, offset + got);
          if (bytesRead === 0) break;
          got += bytesRead;
        }
        return buffer.subarray(0, got);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw await this.#typed(error, key, "read");
    }
  }

  async head(key: string): Promise<ObjectInfo | null> {
    try {
      const found = await stat(this.#pathOf(key));
      return { key, bytes: found.size, modifiedMs: found.mtimeMs };
    } catch (error) {
      const typed = await this.#typed(error, key, "read");
      if (typed.code === "not_found") return null;
      throw typed;
    }
  }

  async list(prefix: string, cursor: string | null = null): Promise<ObjectPage> {
    const keys: string[] = [];
    const segments = prefix.split("/");
    const start = segments.slice(0, -1);
    try {
      await collectKeys(join(this.#root, ...start.map(encodeSegment)), start, keys);
      if (keys.length === 0) await stat(join(this.#root, TEMPORARY));
    } catch (error) {
      throw await this.#typed(error, prefix, "list");
    }
    const wanted = keys
      .filter((key) => key.startsWith(prefix) && (cursor === null || compareBytes(key, cursor) > 0))
      .sort(compareBytes);
    const page = wanted.slice(0, this.#listMax);
    const heads = await Promise.all(page.map((key) => this.head(key)));
    return {
      objects: heads.filter((info) => info !== null),
      cursor: wanted.length > page.length ? (page.at(-1) ?? null) : null,
    };
  }

  async delete(key: string): Promise<void> {
    const path = this.#pathOf(key);
    try {
      await rm(path);
      await syncDirectory(dirname(path));
    } catch (error) {
      const typed = await this.#typed(error, key, "delete");
      if (typed.code !== "not_found") throw typed;
    }
    await this.#removeEmptyAbove(path);
  }

  async #removeEmptyAbove(path: string): Promise<void> {
    for (let at = dirname(path); at.length > this.#root.length; at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        return; // Not empty, or gone: both are as wanted.
      }
    }
  }

  #pathOf(key: string): string {
    const segments = key.split("/").map(encodeSegment);
    if (segments.some((s) => s === "" || s.length > SEGMENT_BYTES_MAX))
      throw new Error(`object key '${key}' has an empty or too long part`);
    return join(this.#root, ...segments) + SUFFIX;
  }

  async #typed(error: unknown, key: string, verb: "read" | "write" | "list" | "delete") {
    if (error instanceof StoreError) return error;
    const code = codeOf(error) ?? "";
    const where = `object store ${this.#root}: cannot ${verb} ${key}`;
    if (code === "EEXIST")
      return new StoreError("precondition_failed", key, `${where}: it exists already`);
    if (code === "ENOSPC" || code === "EDQUOT")
      return new StoreError(
        "no_space",
        key,
        `${where}: the disk is full. Free space there; the upload is retried`,
      );
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes(code)) {
      // Without its directory every object seems gone, and a snapshot would be given up as lost.
      const isThere = await stat(join(this.#root, TEMPORARY)).catch(() => null);
      if (!isThere)
        return new StoreError(
          "unavailable",
          key,
          `${where}: the store's directory is gone. Is its disk mounted?`,
        );
      if (verb === "read" || verb === "delete")
        return new StoreError("not_found", key, `${where}: there is none`);
    }
    return new StoreError("unavailable", key, `${where}: ${(error as Error).message}`);
  }
}

/** Percent-encodes what could leave the directory or meet a name of ours. */
function encodeSegment(segment: string): string {
  let text = "";
  for (const byte of Buffer.from(segment)) {
    const char = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9_-]/.test(char) || (char === "." && text !== "");
    text += plain ? char : `%${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

async function collectKeys(path: string, above: readonly string[], keys: string[]): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  for (const entry of entries) {
    if (entry.name === TEMPORARY) continue;
    const isObject = entry.name.endsWith(SUFFIX);
    const name = decodeURIComponent(isObject ? entry.name.slice(0, -1) : entry.name);
    if (isObject) keys.push([...above, name].join("/"));
    else if (entry.isDirectory()) await collectKeys(join(path, entry.name), [...above, name], keys);
  }
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Makes new directory entries durable, from `path` up to `top`. */
async function syncUpTo(path: string, top: string): Promise<void> {
  for (let at = path; ; at = dirname(at)) {
    await syncDirectory(at);
    if (at === top || at === dirname(at)) return;
  }
}

async function sweepTemporary(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = Number(name.split("-")[0]);
    if (pid !== process.pid && isAlive(pid)) continue;
    // Our own pid: either another store of this process is writing now, or it is a dead one's pid.
    if (pid === process.pid && opened.has(directory)) continue;
    await rm(join(directory, name), { force: true });
  }
  opened.add(directory);
}

/** Directories that this process has opened: its files in them are its own. */
const opened = new Set<string>();

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
