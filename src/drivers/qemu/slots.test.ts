import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openSlots } from "./slots.ts";

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "slots-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test("a box keeps its slot, and two drivers never share one", async (t) => {
  const directory = await temporary(t);
  const [a, b] = [await openSlots(directory, "aaaaaa"), await openSlots(directory, "bbbbbb")];
  const claims = Array.from({ length: 20 }, (_, index) => {
    const slots = index % 2 ? a : b;
    return slots.claim(`box_${index}`);
  });
  const taken = await Promise.all(claims);
  assert.equal(new Set(taken).size, 20);
  assert.equal(await a.claim("box_1"), taken[1]);
  assert.equal(await (await openSlots(directory, "aaaaaa")).claim("box_1"), taken[1]);
  assert.equal((await a.mine()).size, 10);
  assert.equal((await a.mine()).get(taken[1]!), "box_1");
  assert.deepEqual(
    (await readdir(directory)).filter((name) => name.startsWith(".")),
    [],
  );
});

test("a freed slot rests before another box gets it, unless it asks for it", async (t) => {
  const slots = await openSlots(await temporary(t), "aaaaaa");
  assert.equal(await slots.claim("one"), 0);
  await slots.release(0);
  assert.equal(await slots.claim("two"), 1);
  assert.equal(await slots.claim("three", 0), 0);
  assert.equal(await slots.claim("four", 1), 2);
});

test("a claim is handed over, by its owner only", async (t) => {
  const slots = await openSlots(await temporary(t), "aaaaaa");
  const slot = await slots.claim("spare");
  await slots.give(slot, "spare", "box");
  assert.deepEqual([...(await slots.mine())], [[slot, "box"]]);
  await assert.rejects(slots.give(slot, "spare", "other"), /not spare's/);
});

test("nobody frees another driver's slot", async (t) => {
  const directory = await temporary(t);
  const [a, b] = [await openSlots(directory, "aaaaaa"), await openSlots(directory, "bbbbbb")];
  const slot = await a.claim("box");
  await b.release(slot);
  assert.deepEqual([...(await a.mine()).keys()], [slot]);
});
