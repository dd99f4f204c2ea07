// Keeps what the gateway knows up to date: reads the control plane's feed, dials again (any replica) when it was
// silent for too long, keeps the last of it on disk and starts from that when nobody answers.
// Reads: POST /node/v1/gateway/feed. Wakes on: its lines.

import { randomInt } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { FeedRequest } from "#contract/gateway-feed.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { readFeedFile, writeFeedFile } from "./feed-file.ts";
import { feedLines } from "./feed-lines.ts";
import { endOf, KnownState } from "./known.ts";
import type { PlaneCalls } from "./plane-calls.ts";

export interface FeedOptions {
  readonly plane: PlaneCalls;
  /** Who we are; it makes us known to clients and nodes. */
  readonly request: FeedRequest;
  /** Where the last of it is kept. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly times?: Partial<FeedTimes>;
}

export interface FeedTimes {
  /** The control plane says something every 3 s. */
  readonly silenceMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** Changes of this long go to disk together. */
  readonly saveMs: number;
}

const TIMES: FeedTimes = {
  silenceMs: 10_000,
  backoffMinMs: 200,
  backoffMaxMs: 5000,
  saveMs: 2000,
};

/** For whom it lets in to be sent away; what it signed is over long since. */
const ENDED_MS = 3_600_000;

export interface Feed {
  readonly known: KnownState;
  /** The control plane is heard now; without it everything goes on with what is known. */
  readonly isHeard: boolean;
  close(): Promise<void>;
}

/** Resolves as soon as something is known: from disk at once, else when the control plane has told it. */
export async function openFeed(options: FeedOptions): Promise<Feed> {
  const kept = await readFeedFile(options.path, options.clock.nowMs());
  const feed = new RunningFeed(options, kept);
  await feed.first;
  return feed;
}

class RunningFeed implements Feed {
  readonly #options: FeedOptions;
  readonly #times: FeedTimes;
  readonly #closed = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  readonly #running: Promise<unknown>;
  #known: KnownState | null;
  #changes = 0;
  #changed = Promise.withResolvers<void>();

  constructor(options: FeedOptions, kept: KnownState | null) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#known = kept;
    if (kept) this.#first.resolve();
    this.#running = Promise.all([this.#listen(), this.#save()]);
  }

  get first(): Promise<void> {
    return this.#first.promise;
  }

  get known(): KnownState {
    if (!this.#known) throw new Error("the feed has not said anything yet");
    return this.#known;
  }

  get isHeard(): boolean {
    return this.#known?.isHeard ?? false;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#changed.resolve();
    await this.#running;
  }

  async #listen(): Promise<void> {
    const { clock, log } = this.#options;
    const { backoffMinMs, backoffMaxMs } = this.#times;
    let waitMs = backoffMinMs;
    while (!this.#closed.signal.aborted) {
      let reason = "the control plane ended it";
      try {
        await this.#hear();
      } catch (error) {
        reason = (error as Error).message;
      }
      if (this.#closed.signal.aborted) return;
      waitMs = this.isHeard ? backoffMinMs : Math.min(waitMs * 2, backoffMaxMs);
      this.#known?.setHeard(false);
      const jitteredMs = waitMs / 2 + randomInt(Math.ceil(waitMs / 2) + 1);
      log.warn({ reason, againInMs: jitteredMs }, "no feed: serving from what is known");
      await clock.sleep(jitteredMs, this.#closed.signal).catch(() => {});
    }
  }

  /** One connection, until it ends or is silent. */
  async #hear(): Promise<void> {
    const { plane, request, clock, log } = this.#options;
    const answer = await plane.feed(request, this.#closed.signal);
    const over = new AbortController();
    const heard = { atMs: clock.monotonicMs() };
    const onBytes = () => {
      heard.atMs = clock.monotonicMs();
    };
    this.#watch(answer, heard, over.signal);
    try {
      for await (const line of feedLines(answer, onBytes)) {
        if (!this.#known && line.kind !== "full") throw new Error("the feed began without a full");
        if (!this.isHeard) log.info({}, "feed connected");
        this.#take(line);
        if (line.kind === "full") void this.#askOfEnded(over.signal);
      }
    } finally {
      over.abort();
      answer.destroy();
    }
  }

  #take(line: Parameters<KnownState["apply"]>[0]): void {
    const nowMs = this.#options.clock.nowMs();
    if (this.#known) this.#known.apply(line, nowMs);
    else if (line.kind === "full") this.#known = new KnownState(line, nowMs);
    this.#known?.setHeard(true);
    this.#first.resolve();
    if (line.kind === "beat") return;
    this.#changes += 1;
    this.#changed.resolve();
  }

  /**
   * Revocations are told for a day. What ended in a longer time without a feed, or in one that nobody kept count of,
   * is asked for: only what somebody is let in by here, so it is little.
   */
  async #askOfEnded(over: AbortSignal): Promise<void> {
    const { plane, clock, log } = this.#options;
    while (!over.aborted) {
      try {
        const ended = await plane.endedCredentials(this.known.inUse);
        if (ended.length === 0) return;
        log.info({ count: ended.length }, "credentials ended meanwhile");
        return this.#take(endOf(ended, clock.nowMs() + ENDED_MS));
      } catch (err) {
        log.warn({ err }, "who may stay could not be asked");
        await clock.sleep(this.#times.backoffMaxMs, over).catch(() => {});
      }
    }
  }

  async #watch(answer: IncomingMessage, heard: { atMs: number }, over: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!over.aborted) {
      const leftMs = heard.atMs + this.#times.silenceMs - clock.monotonicMs();
      if (leftMs <= 0) answer.destroy(new Error("the control plane was silent for too long"));
      await clock.sleep(Math.max(leftMs, 1), over).catch(() => {});
    }
  }

  /** Writes are far enough apart for a large installation. A failed one is tried at the next change. */
  async #save(): Promise<void> {
    const { clock, log, path } = this.#options;
    let saved = 0;
    while (!this.#closed.signal.aborted || saved !== this.#changes) {
      await this.#changed.promise;
      await clock.sleep(this.#times.saveMs, this.#closed.signal).catch(() => {});
      this.#changed = Promise.withResolvers<void>();
      const upTo = this.#changes;
      if (upTo === saved) return;
      saved = upTo;
      await writeFeedFile(path, this.known).catch((err: unknown) =>
        log.error({ err, path }, "what is known could not be kept on disk"),
      );
    }
  }
}
