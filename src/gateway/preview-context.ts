// What all connections to previews share, and where one came in.

import type { Socket } from "node:net";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Lobby } from "./lobby.ts";
import type { EnterBox } from "./preview-box.ts";
import type { PreviewDefences } from "./preview-defences.ts";
import type { Entry } from "./preview-entry.ts";
import type { PlaceOf } from "./preview-name.ts";
import type { Rights } from "./preview-rights.ts";

export interface ConnectionLimits {
  readonly requestTimeoutMs: number;
  /** Between requests. */
  readonly keepAliveMs: number;
  /** A body of which nothing comes any more. */
  readonly bodyTimeoutMs: number;
}

/** A connection, as it is looked after. */
export interface Reviewed {
  /** Called at intervals, and when what is known has changed. */
  review(nowMs: number): void;
}

export interface PreviewContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly entry: Entry;
  readonly rights: Rights;
  readonly defences: PreviewDefences;
  readonly limits: ConnectionLimits;
  /** The time, as of the last look at it. */
  readonly tickMs: number;
  readonly placeOf: PlaceOf;
  /** Of a head that cannot be read. */
  mentionsPreview(head: Buffer | null): boolean;
  readonly enterBox: EnterBox;
  /** Those that are open. */
  readonly connections: Set<Reviewed>;
}

/** Where a connection came in. */
export interface Seat {
  readonly lobby: Lobby;
  /** Takes a connection that is for no preview, as it came. */
  readonly onOther: (socket: Socket) => void;
}
