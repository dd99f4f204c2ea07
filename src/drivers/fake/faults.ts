// Faults and latencies of the fake driver: a feature, for trying out what Berth does when a host
// misbehaves. Given in code, or as `faults.json` in the host's directory, which may change at any time.

import { readFileSync, statSync } from "node:fs";
import { DriverError } from "#drivers/driver.ts";

/** `vmm` and `guest` are not calls: the VMM dies, the guest powers off, when the box is next looked at. */
export type FakeOp =
  | "start"
  | "renew"
  | "snapshot"
  | "thaw"
  | "shutdown"
  | "destroy"
  | "exec"
  | "fetch"
  | "vmm"
  | "guest";

export interface FakeRule {
  readonly op: FakeOp;
  /** Any box when left out. */
  readonly boxId?: string;
  readonly code?: DriverError["code"];
  readonly retryable?: boolean;
  /** How often it strikes; 1 when left out. */
  readonly times?: number;
}

export interface FakeFaultSettings {
  readonly rules?: readonly FakeRule[];
  readonly latencyMs?: Readonly<Partial<Record<FakeOp, number>>>;
}

interface Armed {
  readonly rule: FakeRule;
  left: number;
}

export class FakeFaults {
  readonly #path: string | null;
  #readMs = 0;
  #rules: Armed[] = [];
  #latencyMs: Partial<Record<FakeOp, number>> = {};

  constructor(path: string | null) {
    this.#path = path;
  }

  set(settings: FakeFaultSettings): void {
    this.#rules = [];
    for (const rule of settings.rules ?? []) this.arm(rule);
    this.#latencyMs = { ...settings.latencyMs };
  }

  arm(rule: FakeRule): void {
    this.#rules.push({ rule, left: rule.times ?? 1 });
  }

  clear(): void {
    this.set({});
  }

  latencyMsOf(op: FakeOp): number {
    this.#reread();
    return this.#latencyMs[op] ?? 0;
  }

  /** Takes one strike for this call; null when nothing is armed. */
  take(op: FakeOp, boxId: string): FakeRule | null {
    this.#reread();
    const armed = this.#rules.find(
      ({ rule, left }) =>
        left > 0 && rule.op === op && (rule.boxId === undefined || rule.boxId === boxId),
    );
    if (!armed) return null;
    armed.left -= 1;
    return armed.rule;
  }

  throwFor(op: FakeOp, boxId: string): void {
    const rule = this.take(op, boxId);
    if (!rule) return;
    const code = rule.code ?? (op === "renew" ? "renewal_failed" : "vmm_failed");
    throw new DriverError(code, `fake fault: ${op} of ${boxId}`, rule.retryable ?? true);
  }

  #reread(): void {
    if (!this.#path) return;
    const changedMs = statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (changedMs === this.#readMs) return;
    this.#readMs = changedMs;
    this.set(changedMs === 0 ? {} : JSON.parse(readFileSync(this.#path, "utf8")));
  }
}
