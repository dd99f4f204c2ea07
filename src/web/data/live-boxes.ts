// All boxes and the newest events, kept current by the stream of events instead of by asking again and again. Each
// event names a box, which is then read afresh: one read at a time for each, so that an older answer never wins.

import type { BerthClient, Box, Event } from "#sdk/client.ts";

export interface LiveState {
  readonly boxes: ReadonlyMap<string, Box>;
  readonly isLoaded: boolean;
  /** `lost`: what is shown may be old. */
  readonly link: "connecting" | "live" | "lost";
  /** Newest first. */
  readonly events: readonly Event[];
}

export interface LiveOptions {
  readonly client: Pick<BerthClient, "boxes" | "watch">;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onEvent: (event: Event) => void;
  readonly onError: (error: unknown) => void;
}

const MAX_EVENTS = 500;
const PAGE = 200;
const RETRY_MS = 2000;
/** With more than this being read, the whole list is less. */
const MANY_BOXES = 12;

export class LiveBoxes {
  readonly #options: LiveOptions;
  readonly #listeners = new Set<() => void>();
  #state: LiveState = { boxes: new Map(), isLoaded: false, link: "connecting", events: [] };
  #cursor: string | null = null;
  #stop = new AbortController();
  /** Ids of boxes, or `all`. */
  readonly #reading = new Set<string>();
  /** Lists that were read. */
  #lists = 0;
  readonly #dirty = new Set<string>();

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#stop.abort();
  }

  get state(): LiveState {
    return this.#state;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Goes on where it stood. */
  start(): void {
    if (!this.#stop.signal.aborted) return;
    this.#stop = new AbortController();
    void this.#follow(this.#stop.signal);
  }

  stop(): void {
    this.#stop.abort();
  }

  /** A box as an answer has just shown it. */
  put(box: Box): void {
    if (this.#reading.has("all")) this.#dirty.add(box.id);
    const boxes = new Map(this.#state.boxes);
    if (box.phase === "deleted") boxes.delete(box.id);
    else boxes.set(box.id, box);
    this.#set({ boxes });
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const query = this.#cursor === null ? {} : { cursor: this.#cursor };
        const opened = (cursor: string) => this.#opened(cursor, signal);
        for await (const event of this.#options.client.watch(query, signal, opened))
          this.#receive(event, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onError(error);
        this.#set({ link: "lost" });
        if ((error as { code?: string }).code === "invalid_cursor") {
          this.#cursor = null;
          this.#set({ isLoaded: false });
        }
        await this.#options.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }

  /** The stream stands: whatever changes from now on will be told, so the list may be read. */
  #opened(cursor: string, signal: AbortSignal): void {
    this.#cursor = cursor;
    this.#set({ link: "live" });
    if (!this.#state.isLoaded) void this.#readAll(signal);
  }

  #receive(event: Event, signal: AbortSignal): void {
    this.#cursor = event.cursor;
    this.#set({ link: "live", events: [event, ...this.#state.events].slice(0, MAX_EVENTS) });
    this.#options.onEvent(event);
    if (event.boxId) this.#look(event.boxId, signal);
  }

  #look(boxId: string, signal: AbortSignal): void {
    this.#dirty.add(boxId);
    // The list that is being read may be older than this: #readAll looks again at its end.
    if (!this.#state.isLoaded || this.#reading.has("all")) return;
    if (this.#reading.size >= MANY_BOXES) void this.#readAll(signal);
    else if (!this.#reading.has(boxId)) void this.#read(boxId, signal);
  }

  async #read(boxId: string, signal: AbortSignal): Promise<void> {
    this.#reading.add(boxId);
    try {
      while (this.#dirty.delete(boxId)) {
        const lists = this.#lists;
        const box = await this.#options.client.boxes.get(boxId, { signal }).catch((error) => {
          if ((error as { code?: string }).code === "not_found") return null;
          throw error;
        });
        // A whole list has come meanwhile; this answer may be older.
        if (lists !== this.#lists) this.#dirty.add(boxId);
        else if (box) this.put(box);
        else this.#remove(boxId);
      }
    } catch (error) {
      if (!signal.aborted) this.#options.onError(error);
    } finally {
      this.#reading.delete(boxId);
    }
  }

  async #readAll(signal: AbortSignal): Promise<void> {
    if (this.#reading.has("all")) return;
    this.#reading.add("all");
    this.#dirty.clear();
    try {
      const boxes = new Map<string, Box>();
      let cursor: string | null = null;
      do {
        const query: { limit: number; cursor?: string } = cursor
          ? { limit: PAGE, cursor }
          : { limit: PAGE };
        const page = await this.#options.client.boxes.list(query, { signal });
        for (const box of page.items) boxes.set(box.id, box);
        cursor = page.nextCursor;
        // The first time what has come is shown while the rest is on its way.
        if (cursor && !this.#state.isLoaded)
          this.#set({ boxes: new Map([...this.#state.boxes, ...boxes]) });
      } while (cursor);
      this.#lists += 1;
      this.#set({ boxes, isLoaded: true });
    } catch (error) {
      if (!signal.aborted) this.#options.onError(error);
    } finally {
      this.#reading.delete("all");
    }
    if (signal.aborted) return;
    if (!this.#state.isLoaded) {
      await this.#options.sleep(RETRY_MS, signal).catch(() => {});
      return void this.#readAll(signal);
    }
    // What changed while the list was read.
    if (this.#dirty.size > MANY_BOXES) return void this.#readAll(signal);
    for (const boxId of [...this.#dirty])
      if (!this.#reading.has(boxId)) void this.#read(boxId, signal);
  }

  #remove(boxId: string): void {
    const boxes = new Map(this.#state.boxes);
    if (boxes.delete(boxId)) this.#set({ boxes });
  }

  #set(change: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}
