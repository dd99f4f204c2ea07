// What the agent says to the control plane. Over mTLS in production (https-transport.ts), by direct
// calls in the simulation.

import type { Assignments, Report } from "#contract/node-protocol.ts";

export interface NodeTransport {
  /** "resync": the control plane does not know what the report builds on; send a full one. */
  report(report: Report, signal: AbortSignal): Promise<"acked" | "resync">;
  /** The full set when it is newer than `since`; null after `waitMs` without. */
  assignments(since: number, waitMs: number, signal: AbortSignal): Promise<Assignments | null>;
  signHostKey(
    request: { boxId: string; epoch: number; publicKey: string },
    signal: AbortSignal,
  ): Promise<string>;
}

/** The control plane answered, and refused. */
export class NodeApiError extends Error {
  override readonly name = "NodeApiError";
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, detail: string) {
    super(`the control plane answered ${status} ${code}: ${detail}`);
    this.status = status;
    this.code = code;
  }
}
