// A box at rest that somebody came for: asks the control plane to run it, and waits until its node announces it.
// Those who wait for the same box as the same user are one question, however many they are.

import { Problem } from "#contract/errors.ts";
import type { FeedBox, WakeRequest } from "#contract/gateway-feed.ts";
import type { Phase } from "#domain/box.ts";
import type { Clock } from "#lib/clock.ts";
import type { Known } from "./known.ts";
import { PlaneRefusal } from "./plane-calls.ts";
import type { Routes } from "./routes.ts";

/** Asks the control plane. Throws PlaneRefusal when it will not. */
export type AskWake = (wanted: WakeRequest) => Promise<Phase>;

export interface WakeWait {
  /** Called with the first phase and at each change, for a line of progress. */
  readonly onPhase?: (phase: Phase, reason: string | null) => void;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** False: it is waited for when it is on its way, and nobody is asked to run it. */
  readonly mayAsk?: boolean;
}

/** Resolves when the box can be entered through this gateway; at once when it can be now. Throws a Problem. */
export type WakeAndWait = (
  boxId: string,
  who: Omit<WakeRequest, "boxId">,
  wait: WakeWait,
) => Promise<void>;

export interface WakesOptions {
  readonly ask: AskWake;
  readonly known: Known;
  readonly routes: Pick<Routes<unknown>, "find" | "onAnnounced">;
  readonly clock: Clock;
}

/** Asked again this often for as long as somebody waits: what was asked may have been lost, or undone. */
const ASK_AGAIN_MS = 5000;

/** It comes by itself. */
const ON_ITS_WAY: ReadonlySet<Phase | undefined> = new Set<Phase>([
  ...(["creating", "starting", "running", "resuming"] as const),
]);

/** One question: everybody who waits for one box as one user. */
interface Asking {
  waiting: number;
  readonly over: AbortController;
  /** Rejects when the control plane will not; else never settles. */
  readonly refused: Promise<never>;
}

export function wakes(options: WakesOptions): WakeAndWait {
  const { known, routes, clock } = options;
  const askings = new Map<string, Asking>();
  const isHere = (boxId: string) => routes.find(boxId).kind === "here";

  const join = (boxId: string, who: Omit<WakeRequest, "boxId">) => {
    const key = `${boxId}/${who.userId ?? ""}`;
    const asking = askings.get(key) ?? startAsking({ boxId, ...who }, options);
    askings.set(key, asking);
    asking.waiting += 1;
    const leave = () => {
      asking.waiting -= 1;
      if (asking.waiting > 0) return;
      asking.over.abort();
      if (askings.get(key) === asking) askings.delete(key);
    };
    return { refused: asking.refused, leave };
  };

  return async (boxId, who, { onPhase, signal, timeoutMs, mayAsk = true }) => {
    if (isHere(boxId)) return;
    signal.throwIfAborted();
    const asking = mayAsk ? join(boxId, who) : null;
    const over = new AbortController();
    const stops: (() => void)[] = [];
    try {
      const here = new Promise<void>((done, fail) => {
        const look = () => {
          if (isHere(boxId)) done();
          else if (!mayAsk && !ON_ITS_WAY.has(known.box(boxId)?.phase)) fail(atRest(boxId));
        };
        look();
        // Announced before the control plane told us of the placement: it is here with that.
        stops.push(routes.onAnnounced(boxId, look), known.onChange(look));
      });
      stops.push(watchPhase(boxId, known, onPhase));
      const late = clock.sleep(timeoutMs, AbortSignal.any([signal, over.signal])).then(() => {
        throw new Problem("not_ready", lateText(known.box(boxId), boxId, timeoutMs));
      });
      late.catch(() => {});
      await Promise.race(asking ? [here, asking.refused, late] : [here, late]);
    } finally {
      over.abort();
      for (const stop of stops) stop();
      asking?.leave();
    }
  };
}

function atRest(boxId: string): Problem {
  return new Problem("box_not_here", `${boxId} is at rest, and was not asked to run`);
}

function startAsking(wanted: WakeRequest, options: WakesOptions): Asking {
  const over = new AbortController();
  const { promise: refused, reject } = Promise.withResolvers<never>();
  refused.catch(() => {}); // Whoever waits hears of it; perhaps nobody does any more.
  keepAsking(wanted, options, over.signal).catch(reject);
  return { waiting: 0, over, refused };
}

/** Until it is over; throws when there is no use. */
async function keepAsking(
  wanted: WakeRequest,
  { ask, clock, known }: WakesOptions,
  over: AbortSignal,
): Promise<void> {
  const { boxId } = wanted;
  while (!over.aborted) {
    const phase = await ask(wanted).catch((error: unknown) => {
      const code = error instanceof PlaneRefusal ? FINAL[error.status] : undefined;
      if (code) throw new Problem(code, (error as PlaneRefusal).message);
      return null; // Nobody answers now; it may come back while they wait.
    });
    if (phase === "deleting" || phase === "deleted")
      throw new Problem("box_not_here", `${boxId} is ${phase}`);
    if (phase === "failed")
      throw new Problem(
        "not_now",
        `${boxId} failed: ${known.box(boxId)?.reason ?? "see its page"}`,
      );
    await clock.sleep(ASK_AGAIN_MS, over).catch(() => {});
  }
}

/** Refusals that asking again does not change. */
const FINAL: Readonly<Record<number, "forbidden" | "box_not_here" | "not_now">> = {
  403: "forbidden",
  404: "box_not_here",
  409: "not_now",
};

function watchPhase(boxId: string, known: Known, onPhase: WakeWait["onPhase"]): () => void {
  if (!onPhase) return () => {};
  let last = "";
  const look = () => {
    const box = known.box(boxId);
    if (!box) return;
    const now = `${box.phase} ${box.reason ?? ""}`;
    if (now !== last) onPhase(box.phase, box.reason);
    last = now;
  };
  look();
  return known.onChange(look);
}

function lateText(box: FeedBox | null, boxId: string, timeoutMs: number): string {
  const reason = box?.reason ? `: ${box.reason}` : "";
  return `${box?.name ?? boxId} is ${box?.phase ?? "unknown here"} after ${timeoutMs / 1000} s${reason}`;
}
