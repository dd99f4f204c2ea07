// The door for browsers to the ports of boxes. Every new socket of the client listener comes here first: when its first
// request names a preview's host it stays, else it goes on to the door beside, as it came.

import type { Socket } from "node:net";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Known } from "./known.ts";
import type { GatewayLimits } from "./limits.ts";
import { enterBox, type OpenStream } from "./preview-box.ts";
import { PreviewConnection } from "./preview-connection.ts";
import type { PreviewContext, Reviewed, Seat } from "./preview-context.ts";
import { PREVIEW_DEFENCES, type PreviewDefences } from "./preview-defences.ts";
import { Entry } from "./preview-entry.ts";
import { type PlaceOf, placesByHost, placesByPath } from "./preview-name.ts";
import { Rights } from "./preview-rights.ts";
import type { WakeAndWait } from "./wake.ts";

export interface PreviewDoorOptions {
  readonly streams: { readonly open: OpenStream };
  readonly wakeAndWait: WakeAndWait;
  readonly known: Known;
  /** A pass that is half over for a fresh one (plane-calls.ts). */
  readonly renewPass: (pass: string) => Promise<string>;
  /** Where something listens in a box (plane-calls.ts). */
  readonly portsOf: (boxId: string) => Promise<readonly number[]>;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: GatewayLimits;
  /** Tests alone switch one off. */
  readonly defences?: Partial<PreviewDefences>;
}

export interface PreviewDoor {
  /** Takes a new socket. */
  accept(socket: Socket, seat: Seat): void;
  close(): void;
}

const KEEP_ALIVE_MS = 75_000;
const BODY_TIMEOUT_MS = 120_000;
const TICK_MS = 500;

export function previewDoor(options: PreviewDoorOptions): PreviewDoor {
  const { clock, log, known } = options;
  const defences = { ...PREVIEW_DEFENCES, ...options.defences };
  const over = new AbortController();
  const rights = new Rights({ ...options, signal: over.signal });
  const connections = new Set<Reviewed>();
  const placeOf = placesOf(known);
  const limits = {
    requestTimeoutMs: options.limits.requestTimeoutMs,
    keepAliveMs: KEEP_ALIVE_MS,
    bodyTimeoutMs: BODY_TIMEOUT_MS,
  };
  const open: OpenStream = (access, door, signal) => options.streams.open(access, door, signal);
  const way = { ...options, open, rights, isEnding: defences.endings };
  let tickMs = clock.monotonicMs();
  const review = () => {
    tickMs = clock.monotonicMs();
    for (const connection of connections) connection.review(tickMs);
  };
  const ticking = (async () => {
    while (!over.signal.aborted) {
      await clock.sleep(TICK_MS, over.signal).catch(() => {});
      review();
    }
  })();
  ticking.catch((error: unknown) => log.error({ err: error }, "previews are not looked after"));
  const context: PreviewContext = {
    ...{ clock, log, rights, defences, limits, placeOf, connections },
    entry: new Entry({ known, rights, clock, defences }),
    get tickMs() {
      return tickMs;
    },
    mentionsPreview: (head: Buffer | null) => mentions(known, head),
    enterBox: (asks, signal, { remoteAddress: address = null }) =>
      enterBox(asks, signal, { ...way, address }),
  };
  return {
    accept: (socket, seat) => {
      new PreviewConnection(socket, context, seat);
    },
    close: () => over.abort(),
  };
}

/** As the settings have it now. */
function placesOf(known: Known): PlaceOf {
  let settings: Known["settings"] | null = null;
  let places: PlaceOf = () => null;
  return (request) => {
    if (known.settings !== settings) {
      settings = known.settings;
      const { previewOrigin, dashboardOrigin } = settings;
      places = previewOrigin === null ? placesByPath(dashboardOrigin) : placesByHost(previewOrigin);
    }
    return places(request);
  };
}

function mentions(known: Known, head: Buffer | null): boolean {
  const { previewOrigin } = known.settings;
  const [, suffix = ""] = previewOrigin?.split("*") ?? [];
  return suffix !== "" && (head?.toString("latin1").toLowerCase().includes(suffix) ?? false);
}
