// For any history of any boxes, with a clock that jumps and loops that die: what is rolled up is the integral of what was
// so, over every period.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { FailpointError } from "#lib/failpoint.ts";
import { type TestDatabase, testDatabase } from "#test/harness/database.ts";
import { fc } from "#test/harness/fc.ts";
import {
  holdUsageClock,
  intervalProblems,
  readIntervals,
  setUsageClock,
} from "#test/harness/usage.ts";
import { PaperWorld } from "#test/harness/world.ts";
import { createBox } from "./boxes.ts";
import { recordEgress } from "./egress.ts";
import { readUsage } from "./usage.ts";
import { rollUpHour } from "./usage-rollups.ts";

const HOUR_MS = 3_600_000;
const START_MS = Date.parse("2026-11-27T10:00:00Z");
const BOXES = 3;
const HISTORIES = Number(process.env.HISTORIES ?? 8);

/** A row of `boxes`, as far as usage looks at it. */
const state = fc.record({
  reserved: fc.boolean(),
  observed_state: fc.constantFrom(null, "absent", "down", "up", "ready", "frozen"),
  desired: fc.constantFrom("running", "paused", "stopped"),
  rests: fc.boolean(),
  source_with_memory: fc.boolean(),
});
type State = typeof state extends fc.Arbitrary<infer S> ? S : never;

const box = fc.nat(BOXES - 1);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("set"), box, state }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end"), box }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("send"), box, bytes: fc.nat(5_000) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("wait"),
      ms: fc.integer({ min: -9_000_000, max: 14_000_000 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("roll-up"),
      dies: fc.constantFrom(
        null,
        "store.usage.floor_raised",
        "store.usage.roll_up.before_commit",
        "store.usage.roll_up.committed",
      ),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Part {
  readonly fromMs: number;
  readonly toMs: number;
  readonly perMs: number;
}

/** The same in plain words: one number for each box and resource, held between two moments. */
class Model {
  wallMs = START_MS;
  floorMs = START_MS;
  rolledMs = START_MS;
  readonly parts: Part[] = [];
  readonly counted: { atMs: number; bytes: number }[] = [];
  readonly #taking = new Map<string, { sinceMs: number; amount: number }>();
  readonly #lastMs = new Map<number, number>();

  set(box: number, wanted: Readonly<Record<string, number>>): void {
    const nowMs = Math.max(this.wallMs, this.floorMs, this.#lastMs.get(box) ?? 0);
    const keys = ["vcpu", "memory", "disk_running", "disk_paused", "disk_stopped"];
    for (const resource of keys) {
      const key = `${box} ${resource}`;
      const taking = this.#taking.get(key);
      if (taking?.amount === wanted[resource]) continue;
      if (taking) {
        this.parts.push({ fromMs: taking.sinceMs, toMs: nowMs, perMs: taking.amount });
        this.#taking.delete(key);
        this.#lastMs.set(box, nowMs);
      }
      if (wanted[resource]) {
        this.#taking.set(key, { sinceMs: nowMs, amount: wanted[resource] });
        this.#lastMs.set(box, nowMs);
      }
    }
  }

  send(bytes: number): void {
    this.counted.push({ atMs: Math.max(this.wallMs, this.floorMs), bytes });
  }

  /** Of everything, in amounts times milliseconds. */
  total(fromMs: number, toMs: number): number {
    const endMs = Math.min(toMs, Math.max(this.wallMs, this.floorMs));
    const open = [...this.#taking.values()].map(({ sinceMs, amount }) => ({
      ...{ fromMs: sinceMs, toMs: Number.POSITIVE_INFINITY, perMs: amount },
    }));
    return [...this.parts, ...open].reduce(
      (sum, part) =>
        sum + part.perMs * Math.max(0, Math.min(part.toMs, endMs) - Math.max(part.fromMs, fromMs)),
      0,
    );
  }

  bytes(fromMs: number, toMs: number): number {
    return this.counted
      .filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
      .reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

function takenBy(s: State): Record<string, number> {
  const isHere = s.reserved && s.observed_state !== null && s.observed_state !== "absent";
  const taken: Record<string, number> = {};
  if (isHere && s.observed_state !== "down") Object.assign(taken, { vcpu: 2, memory: 2048 });
  if (isHere) taken.disk_running = 30;
  else if (!s.reserved && s.rests)
    taken[s.source_with_memory ? "disk_paused" : "disk_stopped"] = 30;
  return taken;
}

class History {
  readonly #database: TestDatabase;
  readonly #world: PaperWorld;
  readonly #boxes: readonly string[];
  readonly #snapshot: string;
  readonly #model = new Model();
  readonly #over = new Set<number>();
  readonly #sent = new Map<number, number>();

  constructor(database: TestDatabase, world: PaperWorld, boxes: string[], snapshot: string) {
    this.#database = database;
    this.#world = world;
    this.#boxes = boxes;
    this.#snapshot = snapshot;
  }

  async take(one: Step): Promise<void> {
    if (one.do === "wait") {
      this.#model.wallMs = Math.max(START_MS, this.#model.wallMs + one.ms);
      await setUsageClock(this.#database.db, new Date(this.#model.wallMs));
    } else if (one.do === "roll-up") await this.#rollUp(one.dies);
    else if (!this.#over.has(one.box)) await this.#change(one);
  }

  async #change(one: Extract<Step, { box: number }>): Promise<void> {
    const { db } = this.#database;
    const id = this.#boxes[one.box]!;
    if (one.do === "send") {
      const sent = (this.#sent.get(one.box) ?? 0) + one.bytes;
      this.#sent.set(one.box, sent);
      const node = this.#world.node.id;
      for (const bytes of [sent, sent - one.bytes, sent])
        await recordEgress(db, node, [{ boxId: id, epoch: 0, egress: { counter: "c", bytes } }]);
      this.#model.send(one.bytes);
    } else if (one.do === "set") {
      const s = one.state;
      await sql`update boxes set reserved = ${s.reserved}, observed_state = ${s.observed_state},
        desired = ${s.desired}, source_with_memory = ${s.source_with_memory},
        rest_snapshot_id = ${s.rests ? this.#snapshot : null} where id = ${id}`.execute(db.query);
      this.#model.set(one.box, takenBy(s));
    } else {
      await sql`update boxes set desired = 'deleted' where id = ${id}`.execute(db.query);
      await sql`update boxes set deleted_at = now() where id = ${id}`.execute(db.query);
      this.#over.add(one.box);
      this.#model.set(one.box, {});
    }
  }

  async #rollUp(dies: string | null): Promise<void> {
    const { db, failpoints } = this.#database;
    const model = this.#model;
    if (dies) failpoints.arm(dies, { kind: "throw", message: dies });
    const isOver = () => model.wallMs >= model.rolledMs + HOUR_MS;
    try {
      do {
        if (isOver()) model.floorMs = Math.max(model.floorMs, model.rolledMs + HOUR_MS);
        if (!(await rollUpHour(db, systemClock))) break;
        model.rolledMs += HOUR_MS;
      } while (isOver());
    } catch (error) {
      if (!(error instanceof FailpointError)) throw error;
      if (dies?.endsWith("committed")) model.rolledMs += HOUR_MS;
    } finally {
      if (dies) failpoints.disarm(dies);
    }
  }

  async check(): Promise<void> {
    const { db } = this.#database;
    const { admin } = this.#world;
    assert.deepEqual(intervalProblems(await readIntervals(db)), []);
    const endMs =
      Math.ceil((Math.max(this.#model.wallMs, this.#model.floorMs) + 1) / HOUR_MS) * HOUR_MS;
    for (const [fromMs, toMs] of [
      [START_MS, endMs],
      [START_MS + HOUR_MS, endMs],
      [START_MS, endMs - HOUR_MS],
      [endMs - HOUR_MS, endMs],
    ] as const) {
      if (toMs <= fromMs) continue;
      const period = { from: new Date(fromMs), to: new Date(toMs) };
      for (const step of ["none", "hour"] as const) {
        const rows = await readUsage(db, admin, { ...period, by: "total", step });
        const sum = (only: (resource: string) => boolean, per: Record<string, number>) =>
          rows
            .filter(({ resource }) => only(resource))
            .reduce((total, row) => total + Number(row.amount) * (per[row.resource] ?? 1), 0);
        const shown = sum((r) => r !== "egress", { memory: 1024 }) * HOUR_MS;
        const wanted = this.#model.total(fromMs, toMs);
        // Amounts are shown with nine digits.
        assert.ok(Math.abs(shown - wanted) <= 1e-7 * wanted + 100, `${shown} is not ${wanted}`);
        const bytes = sum((r) => r === "egress", { egress: 1024 ** 3 });
        const sent = this.#model.bytes(fromMs, toMs);
        assert.ok(Math.abs(bytes - sent) < 20, `${bytes} bytes are not ${sent}`);
      }
    }
    await this.#checkRollups();
  }

  /** Exactly, without what showing rounds. */
  async #checkRollups(): Promise<void> {
    const { rows } = await sql<{ hour: Date; amount: string }>`
      select r.hour, sum(r.amount)::text as amount from usage_rollups r where r.resource <> 'egress' group by 1`.execute(
      this.#database.db.query,
    );
    for (const { hour, amount } of rows) {
      assert.ok(hour.getTime() < this.#model.rolledMs);
      const wanted = this.#model.total(hour.getTime(), hour.getTime() + HOUR_MS);
      assert.equal(Number(amount) * 1000, wanted, `hour ${hour.toISOString()}`);
    }
    const rolled = rows.reduce((sum, { amount }) => sum + Number(amount) * 1000, 0);
    assert.equal(rolled, this.#model.total(START_MS, this.#model.rolledMs));
  }

  static async begin(database: TestDatabase): Promise<History> {
    const { db } = database;
    const world = await PaperWorld.make(db);
    await sql`delete from usage_intervals`.execute(db.query);
    await holdUsageClock(db, new Date(START_MS));
    const { rows } = await sql<{ id: string }>`
      insert into snapshots (id, org_id, owner_id, box_id, epoch, kind, with_memory, state, spec, image_digest)
      values ('snap_x', ${world.admin.orgId}, ${world.admin.userId}, 'none', 1, 'pause', true, 'local', '{}', 'x')
      returning id`.execute(db.query);
    const boxes: string[] = [];
    for (let at = 0; at < BOXES; at += 1) {
      const made = await createBox(db, world.admin, {
        ...{ name: `box-${at}`, template: "base", version: null, env: {} },
      });
      boxes.push(made.box.id);
    }
    await sql`update boxes set node_id = ${world.node.id} where id = any(${boxes}::text[])`.execute(
      db.query,
    );
    return new History(database, world, boxes, rows[0]!.id);
  }
}

test("rollups are the integral of the intervals", { timeout: 600_000 }, async (t) => {
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (history) => {
      const ends: (() => Promise<void>)[] = [];
      try {
        const database = await testDatabase({ after: (work) => void ends.push(work) });
        const run = await History.begin(database);
        for (const one of history) await run.take(one);
        await run.check();
        steps += history.length;
      } finally {
        for (const end of ends) await end();
      }
    }),
    { numRuns: HISTORIES, includeErrorInReport: true },
  );
  t.diagnostic(`${HISTORIES} histories, ${steps} steps`);
});
