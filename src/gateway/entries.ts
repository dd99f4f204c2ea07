// Who came into which box: noted at each stream that is let in or turned away, told to the control plane in batches, and
// kept on disk until it has taken them. Many alike in a minute are one entry with a count, so that a page with a
// hundred requests is one visit.
//
// Sends: POST /node/v1/gateway/entries. Every: 1 s. Safe twice because each entry has an id.

import { randomUUID } from "node:crypto";
import { open, readFile, rename, writeFile } from "node:fs/promises";
import {
  type EntryWay,
  type GatewayEntriesRequest,
  type GatewayEntry,
  gatewayEntrySchema,
  MAX_ENTRIES,
} from "#contract/gateway-entries.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";

/** How and from where somebody comes. */
export interface Caller {
  readonly via: EntryWay;
  /** An IP address. */
  readonly address: string | null;
}

export type SeenEntry = Omit<GatewayEntry, "entryId" | "atMs" | "count">;
export type NoteEntry = (entry: SeenEntry) => void;

export interface EntriesOptions {
  readonly send: (batch: GatewayEntriesRequest) => Promise<void>;
  /** Where those that were not taken yet are kept. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly tickMs?: number;
  readonly foldMs?: number;
  readonly keptMax?: number;
}

export interface Entries {
  readonly note: NoteEntry;
  /** Writes what is left to disk, and tries once more to tell it. */
  close(): Promise<void>;
}

const TICK_MS = 1000;
const FOLD_MS = 60_000;
/** About 3 MB. Over it the newest are counted, not kept. */
const KEPT_MAX = 10_000;
const FOLDING_MAX = 20_000;
/** Different refusals of one user, or at one box of visitors, in a minute. */
const REFUSED_MAX = 20;
/** While nobody takes them. */
const AGAIN_MAX_MS = 30_000;

/** Begins with what an earlier run has left. */
export async function openEntries(options: EntriesOptions): Promise<Entries> {
  const keeper = new KeptEntries(options, await readKept(options.path));
  const running = keeper.run();
  return {
    note: (entry) => keeper.note(entry),
    close: async () => {
      keeper.stop();
      await running;
    },
  };
}

interface Folding {
  readonly entry: SeenEntry;
  readonly endsMs: number;
  count: number;
}

class KeptEntries {
  readonly #options: EntriesOptions;
  readonly #stopped = new AbortController();
  readonly #folding = new Map<string, Folding>();
  /** How many different refusals of somebody are being folded. */
  readonly #refused = new Map<string, number>();
  #waiting: GatewayEntry[];
  /** How many of those that wait are in the file. */
  #saved: number;
  /** The file has something in it. */
  #isFilled: boolean;
  #dropped = 0;

  constructor(options: EntriesOptions, kept: GatewayEntry[]) {
    this.#options = options;
    this.#waiting = kept;
    this.#saved = kept.length;
    this.#isFilled = kept.length > 0;
  }

  note(seen: SeenEntry): void {
    const entry = this.#bounded(seen);
    const key = JSON.stringify(entry);
    const known = this.#folding.get(key);
    if (known) {
      known.count += 1;
      return;
    }
    this.#keep(entry, 1);
    if (this.#folding.size >= FOLDING_MAX) this.#unfold(Number.POSITIVE_INFINITY);
    const { clock, foldMs = FOLD_MS } = this.#options;
    this.#folding.set(key, { entry, endsMs: clock.monotonicMs() + foldMs, count: 0 });
    const who = payerOf(entry);
    if (entry.code !== null) this.#refused.set(who, (this.#refused.get(who) ?? 0) + 1);
  }

  /** Whoever is refused at ever other doors, from ever other addresses, fills no trail: the rest of a minute is one entry. */
  #bounded(entry: SeenEntry): SeenEntry {
    if (entry.code === null || this.#folding.has(JSON.stringify(entry))) return entry;
    const isMany = (this.#refused.get(payerOf(entry)) ?? 0) >= REFUSED_MAX;
    return isMany ? { ...entry, door: "several", address: null, code: "several" } : entry;
  }

  stop(): void {
    this.#stopped.abort();
  }

  async run(): Promise<void> {
    const { clock, tickMs = TICK_MS } = this.#options;
    const { signal } = this.#stopped;
    let waitMs = tickMs;
    while (!signal.aborted) {
      await clock.sleep(waitMs, signal).catch(() => {});
      if (signal.aborted) break;
      this.#unfold(clock.monotonicMs());
      waitMs = (await this.#pass(true)) ? tickMs : Math.min(AGAIN_MAX_MS, waitMs * 2);
    }
    this.#unfold(Number.POSITIVE_INFINITY);
    // Who stops does not wait for somebody that did not answer before.
    await this.#pass(waitMs === tickMs);
  }

  /** False: they were not taken. */
  async #pass(mayTell: boolean): Promise<boolean> {
    try {
      await this.#save();
      if (mayTell) await this.#tell();
      return true;
    } catch (err) {
      const waiting = this.#waiting.length;
      this.#options.log.warn({ err, waiting }, "entries into boxes are not taken yet");
      return false;
    }
  }

  /** Those of windows that are over become entries. */
  #unfold(nowMs: number): void {
    for (const [key, { entry, endsMs, count }] of this.#folding) {
      if (endsMs > nowMs) continue;
      this.#folding.delete(key);
      const refused = entry.code === null ? 0 : (this.#refused.get(payerOf(entry)) ?? 0);
      if (refused > 1) this.#refused.set(payerOf(entry), refused - 1);
      else if (refused === 1) this.#refused.delete(payerOf(entry));
      if (count > 0) this.#keep(entry, count);
    }
  }

  #keep(entry: SeenEntry, count: number): void {
    const { clock, keptMax = KEPT_MAX } = this.#options;
    if (this.#waiting.length >= keptMax) {
      this.#dropped += 1;
      return;
    }
    const atMs = Math.floor(clock.nowMs());
    this.#waiting.push({ ...entry, entryId: randomUUID(), atMs, count });
  }

  async #save(): Promise<void> {
    const fresh = this.#waiting.slice(this.#saved);
    if (fresh.length === 0) return;
    const file = await open(this.#options.path, "a", 0o600);
    try {
      await file.write(fresh.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
      await file.datasync();
    } finally {
      await file.close();
    }
    this.#saved += fresh.length;
    this.#isFilled = true;
  }

  async #tell(): Promise<void> {
    const { send, path } = this.#options;
    while (this.#waiting.length > 0 || this.#dropped > 0) {
      const entries = this.#waiting.slice(0, MAX_ENTRIES);
      const dropped = this.#dropped;
      await send({ entries, dropped });
      this.#waiting = this.#waiting.slice(entries.length);
      this.#saved = Math.max(0, this.#saved - entries.length);
      this.#dropped -= dropped;
    }
    if (!this.#isFilled) return;
    // Those that came meanwhile are not in it yet.
    await writeFile(`${path}.new`, "", { mode: 0o600 });
    await rename(`${path}.new`, path);
    this.#isFilled = false;
  }
}

/** Whose share of the trail it takes. */
function payerOf({ userId, boxId }: SeenEntry): string {
  return userId ?? boxId;
}

/** The last line may be cut: it was being written when the power went. */
async function readKept(path: string): Promise<GatewayEntry[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  const kept = new Map<string, GatewayEntry>();
  for (const line of text.split("\n")) {
    const entry = parse(line);
    if (entry) kept.set(entry.entryId, entry);
  }
  return [...kept.values()];
}

function parse(line: string): GatewayEntry | null {
  try {
    return gatewayEntrySchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}
