// What requests leave in the audit trail. An act is written by the store in the act's own transaction; what ends without
// one (a ticket, a certificate, a login) is written here, before it is answered. Attempts that were refused are written
// too, as far as they are not too many.

import type { FastifyRequest } from "fastify";
import { ERRORS, type ErrorCode, type Problem } from "#contract/errors.ts";
import type { Route } from "#contract/route.ts";
import type { Permission } from "#domain/permission.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Metrics } from "#lib/metrics.ts";
import { entryOfRequest, insertAuditEntries, type NewAuditEntry, rolesOf } from "#store/audit.ts";
import type { Db } from "#store/db.ts";
import type { RequestFacts, RequestTrail } from "#store/request.ts";
import { payerOf } from "./rate-limit.ts";

declare module "fastify" {
  interface FastifyRequest {
    facts?: RequestFacts;
  }
}

export interface TrailOptions {
  /** The plain one: an attempt may be nobody's. */
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Acts on the installation as a whole. */
const OF_INSTALLATION: ReadonlySet<Permission> = new Set(["node.manage", "org.create"]);

/** Attempts of one user, or from one address: so many at once, and one more each so many milliseconds. */
const BURST = 30;
const REFILL_MS = 2000;
/** Of everybody together. */
const BURST_ALL = 300;
const REFILL_ALL_MS = 50;
const BUCKETS_MAX = 10_000;

/** Refusals that say something about who tried; of others, only those of acts are kept. */
const TELLING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["unauthenticated", "forbidden"]);
/** Nothing can be written now, or the refusal is that it could not. */
const UNWRITABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["unavailable", "audit_unavailable"]);

export class Trail {
  readonly #options: TrailOptions;
  readonly #buckets = new Map<string, Bucket>();
  readonly #all: Bucket;
  readonly #writing = new Set<Promise<void>>();
  readonly #dropped;

  constructor(options: TrailOptions) {
    this.#options = options;
    this.#all = new Bucket(BURST_ALL, REFILL_ALL_MS, options.clock);
    this.#dropped = options.metrics.counter(
      "berth_audit_attempts_dropped_total",
      "Refused attempts that were too many to be written to the audit trail.",
    );
  }

  /** For a route that does something; undefined for one that reads. */
  begin(route: Pick<Route, "method" | "permission">): RequestTrail | undefined {
    if (route.method === "GET") return undefined;
    const isInstallation = OF_INSTALLATION.has(route.permission);
    return { isInstallation, touched: new Set(), isWritten: false };
  }

  /** Before the answer: an act that nothing was written of yet is not answered unless it can be. */
  async settle(db: Db, facts: RequestFacts): Promise<void> {
    const { trail } = facts;
    if (!trail || trail.isWritten) return;
    await insertAuditEntries(db, [entryOfRequest(facts, "ok", null)]);
    trail.isWritten = true;
  }

  /** Does not wait, and never fails: the refusal goes out in any case. */
  refused(request: FastifyRequest, { code }: Problem): void {
    const operation = operationOf(request);
    const isAct = request.method !== "GET" && request.method !== "HEAD";
    if (operation === null || UNWRITABLE.has(code) || !(isAct || TELLING.has(code))) return;
    this.keep(payerOf(request), entryOf(request, operation, code));
  }

  /** Writes a refused attempt, as far as its payer (a user, or an address) has not had too many. */
  keep(payer: string, attempt: NewAuditEntry): void {
    const bucket = this.#bucketOf(payer);
    // One's own first: who asks too much takes nothing from the others.
    if (!bucket.take() || !this.#all.take()) {
      bucket.dropped += 1;
      this.#dropped.add();
      return;
    }
    const data: Record<string, number> =
      bucket.dropped > 0 ? { droppedBefore: bucket.dropped } : {};
    bucket.dropped = 0;
    const entry = { ...attempt, data };
    const writing = insertAuditEntries(this.#options.db, [entry])
      .catch((err: unknown) => {
        this.#dropped.add();
        const { code, verb } = attempt;
        this.#options.log.warn({ err, code, verb }, "a refused attempt was not written");
      })
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing);
  }

  #bucketOf(payer: string): Bucket {
    const known = this.#buckets.get(payer);
    if (known) return known;
    if (this.#buckets.size >= BUCKETS_MAX) this.#buckets.clear();
    const bucket = new Bucket(BURST, REFILL_MS, this.#options.clock);
    this.#buckets.set(payer, bucket);
    return bucket;
  }
}

class Bucket {
  readonly #burst: number;
  readonly #refillMs: number;
  readonly #clock: Clock;
  #left: number;
  #atMs: number;
  /** Since the last that was written. */
  dropped = 0;

  constructor(burst: number, refillMs: number, clock: Clock) {
    this.#burst = burst;
    this.#refillMs = refillMs;
    this.#clock = clock;
    this.#left = burst;
    this.#atMs = clock.monotonicMs();
  }

  take(): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) / this.#refillMs);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

function entryOf(request: FastifyRequest, operation: string, code: ErrorCode): NewAuditEntry {
  const outcome = ERRORS[code].status >= 500 ? "failed" : "refused";
  if (request.facts) return entryOfRequest(request.facts, outcome, code);
  const { subject, credentialId } = request.credential ?? {};
  const userAgent = request.headers["user-agent"] ?? null;
  return {
    // Nobody's attempts are the installation's affair.
    ...{ orgId: subject?.orgId ?? null, verb: operation, outcome, code },
    ...{ actorId: subject?.userId, actorRoles: subject ? rolesOf(subject) : [] },
    ...{ credentialId, address: request.ip, userAgent, requestId: request.id },
    resource: { ...(request.params as Record<string, string> | undefined) },
  };
}

function operationOf(request: FastifyRequest): string | null {
  const schema = request.routeOptions.schema as { operationId?: string } | undefined;
  return schema?.operationId ?? null;
}
