// Collection and crashes: what is needed stays, what is not goes, whatever dies in between and whoever
// uploads at the same time.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Clock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { openDirectoryStore } from "#objects/directory-store.ts";
import { collectGarbage } from "#objects/gc.ts";
import { listAll, type ObjectStore } from "#objects/store.ts";
import { upload } from "#objects/upload.ts";
import { fc } from "#test/harness/fc.ts";
import { MemoryStore } from "#test/harness/memory-store.ts";
import { type Files, SnapshotFiles } from "#test/harness/snapshot-files.ts";

const PAGE = 4096;
const GRACE_MS = 60_000;

/** What every upload passes, in order. A name that no code has fails the tests below. */
const UPLOAD_FAILPOINTS = [
  "objects.upload.announced",
  "objects.put.written",
  "objects.put.published",
  "objects.upload.pack",
  "objects.upload.packed",
  "objects.upload.tabled",
  "objects.upload.committed",
];

function clockAt(ms: () => number): Clock {
  return { nowMs: ms, monotonicMs: () => 0, sleep: async () => {} };
}
const later = clockAt(() => Date.now() + 10 * GRACE_MS);

async function keysOf(store: ObjectStore, prefix = ""): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of listAll(store, prefix)) keys.push(key);
  return keys;
}

function collect(store: ObjectStore, liveManifestKeys: readonly string[], more = {}) {
  const failpoints = new Failpoints();
  const base = { store, liveManifestKeys, graceMs: GRACE_MS, clock: later, failpoints };
  return collectGarbage({ ...base, ...more });
}

test("what no live snapshot needs goes when it is older than the grace, and nothing else", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const ram = randomBytes(100 * PAGE);
  const first = await made.upload("s1", { ram });
  const changed = Buffer.concat([randomBytes(PAGE), ram.subarray(PAGE)]);
  const more = { parentManifestKey: first.manifestKey };
  const second = await made.upload("s2", { ram: changed }, more);
  const other = await made.upload("s3", { ram: randomBytes(50 * PAGE) });
  const all = await keysOf(store);
  const young = await collect(store, [], { clock: clockAt(Date.now) });
  assert.equal(young.deletedObjects, 0);
  assert.deepEqual(await keysOf(store), all);
  const { deletedObjects } = await collect(store, [second.manifestKey]);
  assert.equal(deletedObjects, 1 + 3); // The first's manifest; manifest, layer and pack of the third.
  assert.deepEqual((await made.fetch(second.manifestKey)).files, { ram: changed });
  await assert.rejects(made.fetch(other.manifestKey), /not in the object store/);
  await collect(store, []);
  assert.deepEqual(await keysOf(store), []);
});

test("a live snapshot that cannot be read stops the collection, and is named", async (t) => {
  const store = new MemoryStore();
  const made = await SnapshotFiles.make(t, store);
  const { manifestKey } = await made.upload("s1", { ram: randomBytes(10 * PAGE) });
  await store.put("packs/org_test/garbage", Buffer.from("x"));
  const before = await keysOf(store);
  const lost = await collect(store, [manifestKey, "snapshots/lost/manifest"]);
  assert.match(lost.problems.join(), /snapshots\/lost\/manifest: is not in the object store/);
  const [layer] = await keysOf(store, "tables/");
  const good = await store.get(layer!);
  for (const at of [0, 9, 20, 60]) {
    const bad = Buffer.from(good);
    bad[at]! ^= 1;
    await store.put(layer!, bad);
    assert.match((await collect(store, [manifestKey])).problems.join(), /tables\//, `byte ${at}`);
  }
  await store.delete(layer!);
  assert.match((await collect(store, [manifestKey])).problems.join(), /tables\//);
  await store.put(layer!, good);
  assert.deepEqual(await keysOf(store), before);
  assert.equal((await collect(store, [manifestKey])).deletedObjects, 1);
});

test("an upload that dies at any step is finished by the next try and leaves no garbage", async (t) => {
  const before = { ram: randomBytes(64 * PAGE), state: randomBytes(3000) };
  const after = { ram: Buffer.concat([before.ram, randomBytes(100 * PAGE)]), state: before.state };
  const clean = await storeTwo(t, before, after, null);
  for (const name of UPLOAD_FAILPOINTS) {
    for (const skip of [0, 1]) {
      const crashed = await storeTwo(t, before, after, { name, skip });
      assert.deepEqual(crashed.keys, clean.keys, `after a crash at ${name} (${skip} let pass)`);
      assert.deepEqual(crashed.result, clean.result);
    }
  }
});

/** Stores a parent and a child with an optional crash (SIGKILL in a process of its own) in the child's upload. */
async function storeTwo(
  t: Parameters<typeof SnapshotFiles.make>[0],
  before: Files,
  after: Files,
  crash: { name: string; skip: number } | null,
) {
  const failpoints = new Failpoints();
  const scratch = await SnapshotFiles.make(t, new MemoryStore());
  const root = join(scratch.root, "store");
  const store = await openDirectoryStore({ root, failpoints });
  const made = new SnapshotFiles(scratch.root, store);
  const first = await made.upload("s1", before);
  const parentManifestKey = first.manifestKey;
  const input = { ...(await made.write("s2", after)), parentManifestKey, packBytes: 100_000 };
  if (crash) {
    const program = `
      import { Failpoints } from "#lib/failpoint.ts";
      import { openDirectoryStore } from "#objects/directory-store.ts";
      import { uploadSnapshot } from "#objects/snapshots.ts";
      const { root, input, name, skip } = JSON.parse(process.argv[1]);
      const failpoints = new Failpoints();
      let left = skip;
      const run = () => { if (left-- === 0) process.kill(process.pid, "SIGKILL"); };
      failpoints.arm(name, { kind: "run", run }, 1000);
      const store = await openDirectoryStore({ root, failpoints });
      await uploadSnapshot(input, { store, failpoints });
      if (left >= 0 && failpoints.hits(name) === 0) throw new Error("nothing passes " + name);
    `;
    const child = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", program, JSON.stringify({ root, input, ...crash })],
      { cwd: join(import.meta.dirname, "../.."), encoding: "utf8" },
    );
    const single = crash.skip > 0 && child.status === 0; // Passed once only: there is no second time.
    assert.ok(child.signal === "SIGKILL" || single, `${crash.name}: ${child.stderr}`);
  }
  const reopened = await openDirectoryStore({ root, failpoints });
  const again = new SnapshotFiles(scratch.root, reopened);
  const result = await again.upload("s2", after, { parentManifestKey, packBytes: 100_000 });
  assert.deepEqual((await again.fetch(result.manifestKey)).files, after);
  await collect(reopened, [parentManifestKey, result.manifestKey]);
  const keys = await keysOf(reopened);
  await rm(scratch.root, { recursive: true, force: true });
  return { keys, result };
}

test("a collection that dies at any step is finished by the next one", async (t) => {
  for (const name of ["objects.gc.condemned", "objects.gc.deleted"]) {
    const store = new MemoryStore();
    const made = await SnapshotFiles.make(t, store);
    const files = { ram: randomBytes(30 * PAGE) };
    const kept = await made.upload("s1", files);
    await made.upload("s2", { ram: randomBytes(30 * PAGE) });
    const failpoints = new Failpoints();
    failpoints.arm(name, { kind: "throw", message: name });
    await assert.rejects(collect(store, [kept.manifestKey], { failpoints }), new RegExp(name));
    await collect(store, [kept.manifestKey]);
    assert.deepEqual((await made.fetch(kept.manifestKey)).files, files);
    assert.equal((await keysOf(store)).length, 3, (await keysOf(store)).join(" "));
  }
});

/**
 * Lets two actors call stores in turns that `pick` chooses. A turn is given only when both wait for one (or have
 * ended), so that the time their other work takes has no influence.
 */
class Turns {
  readonly #waiting: [(() => void)[], (() => void)[]] = [[], []];
  readonly #ended = [false, false];
  readonly #pick: () => number;

  constructor(pick: () => number) {
    this.#pick = pick;
  }

  wrap(actor: 0 | 1, store: ObjectStore): ObjectStore {
    const inTurn = <A extends unknown[], R>(method: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        await new Promise<void>((go) => {
          this.#waiting[actor].push(go);
          this.#next();
        });
        return method.apply(store, args);
      };
    };
    return {
      put: inTurn(store.put),
      get: inTurn(store.get),
      getRange: inTurn(store.getRange),
      head: inTurn(store.head),
      list: inTurn(store.list),
      delete: inTurn(store.delete),
    };
  }

  end(actor: 0 | 1): void {
    this.#ended[actor] = true;
    this.#next();
  }

  #next(): void {
    const ready = [0, 1].filter((actor) => this.#waiting[actor]!.length > 0);
    if (!ready.length || [0, 1].some((a) => !ready.includes(a) && !this.#ended[a])) return;
    this.#waiting[ready[this.#pick() % ready.length]!]!.shift()!();
  }
}

test("an upload and a collection at the same time: what was uploaded is whole", async (t) => {
  const before = { ram: randomBytes(20 * PAGE) };
  const after = { ram: Buffer.concat([before.ram, randomBytes(90 * PAGE)]) };
  const scratch = await SnapshotFiles.make(t, new MemoryStore());
  const inputs = [await scratch.write("s1", before), await scratch.write("s2", after)] as const;
  let [spared, full] = [0, 0];
  const raceArb = fc.record({
    turnsToTake: fc.array(fc.nat(1), { minLength: 150, maxLength: 150 }),
    /** The collection gets a head start of up to its whole length. */
    start: fc.nat(30),
    /** An earlier try of this upload committed, and could not say so. */
    finished: fc.boolean(),
    /** Somebody deletes the parent's manifest by hand at this turn. */
    forgetAt: fc.option(fc.nat(60)),
  });
  await fc.assert(
    fc.asyncProperty(raceArb, async ({ turnsToTake, start, finished, forgetAt }) => {
      let nowMs = 0;
      const store = new MemoryStore(() => nowMs);
      const made = new SnapshotFiles(scratch.root, store);
      // Old and not live: the parent, and what an earlier try of this very upload left.
      const first = await upload(inputs[0], made.ports);
      const more = { parentManifestKey: first.manifestKey, packBytes: 150_000 };
      await upload({ ...inputs[1], ...more }, made.ports);
      if (!finished) await store.delete("snapshots/s2/manifest");
      nowMs = 10 * GRACE_MS;
      let turn = 0;
      const turns = new Turns(() => {
        turn += 1;
        if (turn === forgetAt) store.objects.delete(first.manifestKey);
        return turn <= start ? 1 : (turnsToTake[turn - start] ?? 0);
      });
      const ports = { ...made.ports, store: turns.wrap(0, store) };
      const uploading = upload({ ...inputs[1], ...more }, ports)
        .catch((error: Error) => error)
        .finally(() => turns.end(0));
      const clock = clockAt(() => nowMs);
      const collecting = collect(turns.wrap(1, store), [], { clock }).finally(() => turns.end(1));
      const [result] = await Promise.all([uploading, collecting]);
      if (result instanceof Error) assert.match(result.message, /is being collected/);
      else {
        assert.deepEqual((await made.fetch(result.manifestKey)).files, after);
        if (result.fullBecause) full += 1;
        else spared += 1;
      }
    }),
    { numRuns: 300, endOnFailure: true },
  );
  // The race was real: each came first some of the time.
  assert.ok(spared > 10 && full > 10, `parent spared ${spared} times, given up ${full} times`);
});
