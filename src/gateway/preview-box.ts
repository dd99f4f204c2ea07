// The way from a preview into its box: a stream to the port, however long the box takes to be there.

import type { Duplex } from "node:stream";
import { Problem } from "#contract/errors.ts";
import type { Door } from "#contract/gateway-protocol.ts";
import type { Clock } from "#lib/clock.ts";
import { withDeadline } from "#lib/deadline.ts";
import type { Right, Rights } from "./preview-rights.ts";
import type { Access } from "./streams.ts";
import type { WakeAndWait } from "./wake.ts";

export interface BoxStream {
  readonly box: Duplex;
  whyBroken(): Problem;
}

/** As `Streams.open`. Throws a Problem. */
export type OpenStream = (access: Access, door: Door, signal: AbortSignal) => Promise<BoxStream>;

export interface BoxWayOptions {
  readonly open: OpenStream;
  readonly wakeAndWait: WakeAndWait;
  readonly rights: Rights;
  readonly portsOf: (boxId: string) => Promise<readonly number[]>;
  readonly clock: Clock;
  readonly isEnding: boolean;
  /** Where the browser is. */
  readonly address?: string | null;
}

/** Somebody asks for the box. */
export interface Asks {
  readonly right: Right;
  /** Else a box at rest is left so. */
  readonly mayWake: boolean;
}

/** As `enterBox`, for somebody who is at the other end of a socket. */
export type EnterBox = (
  asks: Asks,
  signal: AbortSignal,
  from: { readonly remoteAddress?: string | undefined },
) => Promise<BoxStream>;

/** So long a request waits for its box. */
export const WAKE_TIMEOUT_MS = 60_000;
/** In a box that has just come up, programs may still be starting. */
const START_TIMEOUT_MS = 20_000;
const AGAIN_MS = 250;
/** A page that says what is wrong does not wait long to say more. */
const PORTS_TIMEOUT_MS = 1000;

/** Throws a Problem when the box cannot be reached, also after waiting. */
export async function enterBox(
  { right, mayWake }: Asks,
  signal: AbortSignal,
  options: BoxWayOptions,
): Promise<BoxStream> {
  const { open, wakeAndWait, clock } = options;
  const { boxId, port } = right.preview;
  const access = accessOf(right, options);
  const startedMs = clock.monotonicMs();
  let cameUpMs: number | null = null;
  for (;;) {
    const problem = await open(access, { port }, signal).catch(onlyProblems);
    if (!(problem instanceof Problem)) return problem;
    signal.throwIfAborted();
    const nowMs = clock.monotonicMs();
    const leftMs = startedMs + WAKE_TIMEOUT_MS - nowMs;
    if (problem.code === "port_closed") {
      if (cameUpMs === null || nowMs - cameUpMs > START_TIMEOUT_MS)
        throw await closedPort(boxId, options);
      await clock.sleep(AGAIN_MS, signal);
    } else if (isAway(problem) && leftMs > 0) {
      await wakeAndWait(boxId, whoIs(right), { signal, timeoutMs: leftMs, mayAsk: mayWake });
      // It may be on its way from one placement to the next, announced and refused.
      if (cameUpMs !== null) await clock.sleep(AGAIN_MS, signal);
      cameUpMs = clock.monotonicMs();
    } else throw problem;
  }
}

/** With where something does listen, as far as that can be known now. */
async function closedPort(boxId: string, { portsOf, clock }: BoxWayOptions): Promise<Problem> {
  const ports = await withDeadline(
    clock,
    PORTS_TIMEOUT_MS,
    () => portsOf(boxId),
    () => new Error("nobody says what listens"),
  ).catch(() => null);
  if (ports === null) return new Problem("port_closed", "");
  const list = ports.length > 0 ? `at ${ports.join(", ")}` : "nowhere yet";
  return new Problem("port_closed", `In this box something listens ${list}.`);
}

function onlyProblems(error: unknown): Problem {
  if (error instanceof Problem) return error;
  throw error;
}

function isAway({ code }: Problem): boolean {
  return code === "box_not_here" || code === "node_away" || code === "box_moved";
}

function accessOf(right: Right, { rights, isEnding, address = null }: BoxWayOptions): Access {
  return {
    userId: right.pass?.checked.userId ?? null,
    boxId: right.preview.boxId,
    credentialId: right.pass?.checked.credentialId ?? null,
    epoch: null,
    caller: { via: "preview", address },
    isStillGood: () => !isEnding || rights.isGood(right),
  };
}

function whoIs({ pass }: Right) {
  return {
    userId: pass?.checked.userId ?? null,
    credentialId: pass?.checked.credentialId ?? null,
    door: "preview" as const,
  };
}
