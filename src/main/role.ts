// What every process of Berth is given at its start, and gives back.

import type { Clock } from "#lib/clock.ts";
import type { Failpoints } from "#lib/failpoint.ts";
import type { Log } from "#lib/log.ts";
import type { Run } from "#lib/run.ts";
import type { Config } from "./config.ts";

export interface RoleContext {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly run: Run;
  readonly failpoints: Failpoints;
}

export interface RunningRole {
  close(): Promise<void>;
}

export type StartRole = (context: RoleContext) => Promise<RunningRole>;
