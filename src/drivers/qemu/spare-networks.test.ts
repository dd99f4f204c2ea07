import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { BoxId } from "#domain/ids.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { Lull } from "./lull.ts";
import type { BoxNetworks } from "./network.ts";
import { boxLink } from "./network-rules.ts";
import { openSlots, type Slots } from "./slots.ts";
import { SpareNetworks } from "./spare-networks.ts";

const BOX = "box_00000000000000000000" as BoxId;

interface Fixture {
  readonly slots: Slots;
  readonly spares: SpareNetworks;
  readonly lull: Lull;
  /** Slots that have a network. */
  readonly made: Set<number>;
  fails: boolean;
}

async function fixture(t: TestContext): Promise<Fixture> {
  const directory = await mkdtemp(join(tmpdir(), "spares-"));
  const made = new Set<number>();
  const slots = await openSlots(directory, "aaaaaa");
  const networks = {
    make: async (slot: number) => {
      if (f.fails) throw new Error("no network");
      made.add(slot);
      return boxLink("aaaaaa", slot);
    },
    remove: async (slot: number) => void made.delete(slot),
  } as unknown as BoxNetworks;
  const lull = new Lull(systemClock);
  const options = { uidBase: 1000, log: silentLog, wanted: 2, lull };
  const spares = new SpareNetworks(networks, slots, options);
  const f: Fixture = { slots, spares, lull, made, fails: false };
  t.after(async () => {
    await spares.close();
    await rm(directory, { recursive: true });
  });
  return f;
}

async function filled(f: Fixture, count: number): Promise<void> {
  while (f.made.size < count) await systemClock.sleep(1);
}

test("a spare network becomes a box's, and another is made", async (t) => {
  const f = await fixture(t);
  assert.equal(await f.spares.take(BOX), null);
  f.spares.fill();
  await filled(f, 2);
  let slot: number | null = null;
  while (slot === null) slot = await f.spares.take(BOX);
  assert.equal((await f.slots.mine()).get(slot), BOX);
  await filled(f, 3);
  await f.spares.close();
  assert.deepEqual([...f.made], [slot]);
  assert.deepEqual([...(await f.slots.mine())], [[slot, BOX]]);
});

test("one that cannot be made is no failure of a box, and is tried again", async (t) => {
  const f = await fixture(t);
  f.fails = true;
  f.spares.fill();
  assert.equal(await f.spares.take(BOX), null);
  f.fails = false;
  f.spares.fill();
  await filled(f, 2);
});

test("none is made while a box is restored, and closing does not wait for it", async (t) => {
  const f = await fixture(t);
  const restored = Promise.withResolvers<void>();
  const restore = f.lull.not(() => restored.promise);
  f.spares.fill();
  await systemClock.sleep(200);
  assert.equal(f.made.size, 0);
  restored.resolve();
  await restore;
  await filled(f, 2);
  const again = Promise.withResolvers<void>();
  const second = f.lull.not(() => again.promise);
  await f.spares.settled();
  while ((await f.spares.take(BOX)) === null) await systemClock.sleep(1);
  await f.spares.close();
  assert.equal(f.made.size, 1);
  again.resolve();
  await second;
});

test("what an agent before left is not held, so a sweep removes it", async (t) => {
  const f = await fixture(t);
  await f.slots.claim("spare-1-0");
  assert.equal(f.spares.holds("spare-1-0"), false);
});
