// Usage, its export, prices and budgets through the API: whose is shown to whom, cursors, and what is refused.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { sql } from "kysely";
import { systemClock } from "#lib/clock.ts";
import { watchBudgets } from "#reconciler/usage.ts";
import { createClient } from "#sdk/client.ts";
import { rollUpHour } from "#store/usage-rollups.ts";
import { type Caller, type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { holdUsageClock, setUsageClock } from "#test/harness/usage.ts";

const START = new Date("2026-11-27T10:00:00Z");
const at = (hours: number) => new Date(START.getTime() + hours * 3_600_000);
const PERIOD = { from: "2026-11-27T00:00:00Z", to: "2026-11-28T00:00:00Z" };

async function plane(t: TestContext): Promise<ControlPlane> {
  const made = await controlPlane(t);
  await holdUsageClock(made.db, START);
  await made.addTemplate();
  await made.admin.client.prices.set({
    currency: "EUR",
    prices: { vcpu: "0.5", disk_running: "0.01", disk_paused: "0.001" },
  });
  return made;
}

/** A box of 2 vCPUs that its node says is running. */
async function runs({ db }: ControlPlane, { client }: Caller, name: string): Promise<string> {
  const { box } = await client.boxes.create({ template: "default", name });
  await sql`update boxes set reserved = true, observed_state = 'ready', epoch = 1 where id = ${box.id}`.execute(
    db.query,
  );
  return box.id;
}

test("everybody sees their own usage, and all of it with the permission", async (t) => {
  const world = await plane(t);
  const member = await world.addMember("member");
  const billing = await world.addMember("billing", ["billing"]);
  const mine = await runs(world, member, "mine");
  await runs(world, world.admin, "theirs");
  await setUsageClock(world.db, at(1.5));
  await rollUpHour(world.db, systemClock);
  const boxes = async ({ client }: Caller) => {
    const usage = await client.usage.get({ ...PERIOD, by: "box" });
    return [usage.isWhole, [...new Set(usage.rows.map(({ name }) => name))].sort()];
  };
  assert.deepEqual(await boxes(member), [false, ["mine"]]);
  assert.deepEqual(await boxes(billing), [true, ["mine", "theirs"]]);
  assert.deepEqual(await boxes(world.stranger), [true, []]);
  const usage = await member.client.usage.get({ ...PERIOD, by: "box", step: "hour" });
  const vcpu = usage.rows.filter(({ resource }) => resource === "vcpu");
  const { cpus } = (await member.client.boxes.get(mine)).spec;
  assert.deepEqual(
    vcpu.map(({ at: when, amount, cost }) => [when, Number(amount), Number(cost)]),
    [
      [at(0).toISOString(), cpus, cpus / 2],
      [at(1).toISOString(), cpus / 2, cpus / 4],
    ],
  );
  assert.equal(usage.currency, "EUR");
  await assert.rejects(member.client.usage.get({ from: PERIOD.to, to: PERIOD.from }), {
    code: "invalid_request",
  });
});

test("a team's admin sees the usage of the team", async (t) => {
  const world = await plane(t);
  const lead = await world.addMember("lead");
  const team = await world.admin.client.teams.create({ name: "red" });
  const { box } = await world.admin.client.boxes.create({ template: "default", team: "red" });
  await sql`insert into grants (id, org_id, user_id, role, scope, scope_id)
    values ('gr_lead', ${lead.subject.orgId}, ${lead.subject.userId}, 'admin', 'team', ${team.id})`.execute(
    world.db.query,
  );
  await sql`update boxes set reserved = true, observed_state = 'ready' where id = ${box.id}`.execute(
    world.db.query,
  );
  await setUsageClock(world.db, at(1));
  const { rows, isWhole } = await lead.client.usage.get({ ...PERIOD, by: "team" });
  assert.equal(isWhole, false);
  assert.ok(rows.length > 0 && rows.every(({ name }) => name === "red"));
  // The export is of the whole organization.
  await assert.rejects(lead.client.usage.events({}), { code: "forbidden" });
});

test("the export gives whole hours once, the same for the same cursor, and each organization its own", async (t) => {
  const world = await plane(t);
  await runs(world, world.admin, "one");
  await setUsageClock(world.db, at(1.2));
  await rollUpHour(world.db, systemClock);
  const { client } = world.admin;
  const first = await client.usage.events({ limit: 2 });
  assert.equal(first.events.length, 2);
  assert.equal(first.hasMore, true);
  const [event] = first.events;
  assert.equal(event?.specversion, "1.0");
  assert.equal(event?.time, at(1).toISOString());
  const second = await client.usage.events({ cursor: first.nextCursor });
  assert.equal(second.hasMore, false);
  const empty = await client.usage.events({ cursor: second.nextCursor });
  assert.deepEqual(empty.events, []);
  assert.equal(empty.nextCursor, second.nextCursor);
  await setUsageClock(world.db, at(2.2));
  await rollUpHour(world.db, systemClock);
  assert.deepEqual(await client.usage.events({ limit: 2 }), first);
  const again = await client.usage.events({ cursor: first.nextCursor });
  assert.deepEqual(again.events.slice(0, second.events.length), second.events);
  const third = await client.usage.events({ cursor: second.nextCursor });
  const ids = [...first.events, ...second.events, ...third.events].map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  const { rows } = await sql<{ n: number }>`select count(*) as n from usage_rollups`.execute(
    world.db.query,
  );
  assert.equal(ids.length, rows[0]?.n);
  assert.deepEqual((await world.stranger.client.usage.events({})).events, []);
  const cursor = first.nextCursor;
  await assert.rejects(world.stranger.client.usage.events({ cursor }), { code: "invalid_cursor" });
  await assert.rejects(world.stranger.client.usage.events({ all: "true" }), { code: "forbidden" });
  assert.equal((await client.usage.events({ all: "true" })).events.length, ids.length);
  const member = await world.addMember("member");
  await assert.rejects(member.client.usage.events({}), { code: "forbidden" });
});

test("the export tells what budgets reach, behind the hours, once", async (t) => {
  const world = await plane(t);
  const { client } = world.admin;
  await runs(world, world.admin, "one");
  const budget = await client.budgets.set({ amount: "1", policy: "refuse" });
  await setUsageClock(world.db, at(5.2));
  const empty = await client.usage.events({});
  assert.deepEqual(
    empty.events.map(({ type }) => type),
    ["dev.berth.budget.set.v1"],
  );
  while (await rollUpHour(world.db, systemClock));
  await watchBudgets(world.db);
  const read: string[] = [];
  let { nextCursor: cursor } = empty;
  for (let hasMore = true; hasMore; ) {
    const page = await client.usage.events({ cursor, limit: 3 });
    assert.ok(page.events.length <= 3);
    assert.deepEqual(await client.usage.events({ cursor, limit: 3 }), page);
    read.push(...page.events.map(({ id, type }) => `${type} ${id}`));
    ({ nextCursor: cursor, hasMore } = page);
  }
  assert.equal(new Set(read).size, read.length);
  const told = read.map((one) => one.split(" ")[0]).filter((type) => type?.includes(".budget."));
  assert.deepEqual(told, [
    ...["threshold", "threshold", "threshold", "spent"].map(
      (what) => `dev.berth.budget.${what}.v1`,
    ),
  ]);
  const { events } = await client.usage.events({ cursor: empty.nextCursor });
  const last = events.at(-1);
  assert.ok(last?.type === "dev.berth.budget.spent.v1");
  assert.deepEqual(
    [last.subject, last.data.amount, last.data.currency, last.data.policy, last.data.teamId],
    [budget.id, "1", "EUR", "refuse", null],
  );
  assert.match(last.data.message, /budget of the organization is spent/);
  assert.deepEqual((await world.stranger.client.usage.events({})).events, []);
  const [listed] = (await client.budgets.list()).items;
  assert.deepEqual(
    listed?.passed.map(({ threshold }) => threshold),
    [50, 80, 100],
  );
  assert.ok(Number(listed?.projected) > Number(listed?.spent));
});

test("a cursor before what is kept is refused", async (t) => {
  const world = await plane(t);
  await runs(world, world.admin, "one");
  await setUsageClock(world.db, at(1.2));
  await rollUpHour(world.db, systemClock);
  const { nextCursor: cursor } = await world.admin.client.usage.events({ limit: 1 });
  await sql`update usage_clock set trimmed_id = (select max(id) from usage_rollups)`.execute(
    world.db.query,
  );
  await assert.rejects(world.admin.client.usage.events({ cursor }), { code: "invalid_cursor" });
});

test("prices are the operator's to set; an organization may have its own", async (t) => {
  const world = await plane(t);
  const { admin, stranger } = world;
  const { running, paused, lines } = await admin.client.prices.estimate({ template: "default" });
  const cost = lines.reduce((sum, line) => sum + Number(line.amount) * Number(line.price), 0);
  assert.ok(Math.abs(Number(running) - cost) < 1e-9 && Number(running) > 1);
  assert.ok(Number(paused) > 0 && Number(paused) < Number(running));
  await assert.rejects(stranger.client.prices.set({ prices: { vcpu: "0" } }), {
    code: "forbidden",
  });
  const org = stranger.subject.orgId;
  await admin.client.prices.set({ org, prices: { vcpu: "0.1" } });
  const priceOf = async ({ client }: Caller, resource: string) =>
    (await client.prices.get()).prices.find((one) => one.resource === resource);
  assert.deepEqual((await priceOf(stranger, "vcpu"))?.price, "0.1");
  assert.equal((await priceOf(stranger, "vcpu"))?.isOwn, true);
  assert.equal((await priceOf(stranger, "disk_paused"))?.price, "0.001");
  assert.equal((await priceOf(admin, "vcpu"))?.price, "0.5");
  const shown = await admin.client.prices.get({ org });
  assert.deepEqual(
    shown.prices
      .filter(({ isOwn }) => isOwn)
      .map(({ resource, price, installationPrice }) => [resource, price, installationPrice]),
    [["vcpu", "0.1", "0.5"]],
  );
  assert.deepEqual(
    await admin.client.prices.get({ org: (await stranger.client.org.get()).name }),
    shown,
  );
  assert.deepEqual(await stranger.client.prices.get({ org }), shown);
  for (const other of [admin.subject.orgId, "org_none"])
    await assert.rejects(stranger.client.prices.get({ org: other }), { code: "not_found" });
  await admin.client.prices.set({ org, prices: { vcpu: null } });
  assert.equal((await priceOf(stranger, "vcpu"))?.price, "0.5");
  for (const vcpu of ["-1", "1e3", "1,5", ""])
    await assert.rejects(admin.client.prices.set({ prices: { vcpu } }), {
      code: "invalid_request",
    });
  await assert.rejects(admin.client.prices.set({ org, currency: "USD", prices: {} }), {
    code: "not_now",
  });
  await admin.client.budgets.set({ amount: "5" });
  await assert.rejects(admin.client.prices.set({ currency: "USD", prices: {} }), {
    code: "not_now",
  });
});

test("a create tells what the box costs for an hour, at any replica, by the prices that hold now", async (t) => {
  const world = await plane(t);
  const other = createClient({ url: await world.addReplica(), token: world.admin.token });
  const clients = [world.admin.client, other];
  const priceOf = async (client: typeof other) => {
    const { box, hourlyPrice } = await client.boxes.create({ template: "default" });
    await client.boxes.delete(box.id);
    return hourlyPrice;
  };
  const {
    currency,
    lines: _,
    ...estimate
  } = await world.admin.client.prices.estimate({
    template: "default",
  });
  for (const client of clients) assert.deepEqual(await priceOf(client), { currency, ...estimate });
  const everywhere = async (isSo: (running: number) => boolean) => {
    const endMs = systemClock.monotonicMs() + 120_000;
    for (const client of clients)
      while (!isSo(Number((await priceOf(client))?.running))) {
        assert.ok(systemClock.monotonicMs() < endMs, "an old price is told for ever");
        await systemClock.sleep(20);
      }
  };
  await world.admin.client.prices.set({ prices: { vcpu: "7" } });
  await everywhere((running) => running > 14);
  const org = world.admin.subject.orgId;
  await world.admin.client.prices.set({ org, prices: { vcpu: "0" } });
  await everywhere((running) => running < 1);
});

test("budgets are set by who may, and a spent one refuses by name", async (t) => {
  const world = await plane(t);
  const member = await world.addMember("member");
  const billing = await world.addMember("billing", ["billing"]);
  await runs(world, member, "mine");
  await setUsageClock(world.db, at(5));
  await assert.rejects(member.client.budgets.set({ amount: "5" }), { code: "forbidden" });
  await assert.rejects(billing.client.budgets.set({ amount: "0.00" }), { code: "invalid_request" });
  await assert.rejects(billing.client.budgets.set({ amount: "5", team: "none" }), {
    code: "not_found",
  });
  const budget = await billing.client.budgets.set({ amount: "1", policy: "refuse" });
  assert.equal(budget.isClosed, true);
  assert.deepEqual(budget.told, [50, 80, 100]);
  await assert.rejects(member.client.boxes.create({ template: "default" }), (error: Error) => {
    assert.equal((error as { code?: string }).code, "budget_exceeded");
    assert.match(error.message, new RegExp(budget.id));
    return true;
  });
  assert.deepEqual((await member.client.budgets.list()).items, []);
  assert.deepEqual((await world.stranger.client.budgets.list()).items, []);
  await assert.rejects(world.stranger.client.budgets.delete(budget.id), { code: "not_found" });
  await billing.client.budgets.set({ amount: "1000", policy: "refuse" });
  await member.client.boxes.create({ template: "default" });
  await billing.client.budgets.delete(budget.id);
  assert.deepEqual((await billing.client.budgets.list()).items, []);
});
