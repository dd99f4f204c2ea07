import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFile, mkdtemp, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { BoxId, SnapshotId } from "#domain/ids.ts";
import { digestFile, writeSnapshotDigests } from "#lib/page-digests.ts";
import type { LocalSnapshot } from "../driver.ts";
import { SnapshotDirectory, type SnapshotMeta, snapshotFiles } from "./snapshot-dir.ts";

const ID = "snap_00000000000000000000" as SnapshotId;
const BOX = "box_00000000000000000000" as BoxId;
const META: SnapshotMeta = {
  snapshotId: ID,
  boxId: BOX,
  epoch: 3,
  kind: "pause",
  withMemory: true,
  spec: { cpus: 1, memoryMib: 256, rootDiskGib: 4, homeDiskGib: 1 },
  imageDigest: "sha256:0",
  compatibility: "test",
  parentId: null,
  identity: {
    boxId: BOX,
    hostName: "a",
    machineId: "0".repeat(32),
    sshUserCa: "",
    sshPrincipals: [],
    env: {},
  },
  createdAtMs: 1,
  files: snapshotFiles(true),
};

interface Fixture {
  readonly stateDir: string;
  readonly snapshots: SnapshotDirectory;
}

async function fixture(t: TestContext, bootId = "boot-1"): Promise<Fixture> {
  const stateDir = await mkdtemp(join(tmpdir(), "snapshots-"));
  t.after(() => rm(stateDir, { recursive: true }));
  return { stateDir, snapshots: new SnapshotDirectory(stateDir, bootId) };
}

async function take({ snapshots }: Fixture): Promise<LocalSnapshot> {
  const directory = await snapshots.beginTaking(ID);
  await fill(snapshots, directory);
  return await snapshots.commit(directory, META);
}

async function fill(snapshots: SnapshotDirectory, directory: string): Promise<void> {
  for (const name of ["ram", "state", "root.qcow2", "home.qcow2"]) {
    await writeFile(join(directory, name), Buffer.alloc(3 * 4096, name));
  }
  const stateSha256 = createHash("sha256")
    .update(Buffer.alloc(3 * 4096, "state"))
    .digest("hex");
  const sshHostKey = { privateKey: "k", publicKey: "p" };
  const machine = { compatibility: "test", imageContentDigest: "d", sshHostKey, stateSha256 };
  await snapshots.writeMachine(directory, machine);
}

async function addDigests(snapshot: LocalSnapshot): Promise<void> {
  const files = snapshot.files.map((name) => digestFile(snapshot.directory, name));
  await writeSnapshotDigests(snapshot.directory, await Promise.all(files));
}

const isCorrupt = (why: RegExp) => (error: { code?: string; message: string }) => {
  assert.equal(error.code, "snapshot_corrupt");
  assert.match(error.message, why);
  return true;
};

test("a snapshot appears at its commit, whole, and is trusted by its seal", async (t) => {
  const f = await fixture(t);
  const directory = await f.snapshots.beginTaking(ID);
  await fill(f.snapshots, directory);
  assert.deepEqual(await f.snapshots.list(), []);
  const snapshot = await f.snapshots.commit(directory, META);
  assert.deepEqual(await f.snapshots.list(), [snapshot]);
  assert.ok(snapshot.allocatedBytes > 0);
  assert.equal(await f.snapshots.verify(snapshot), "seal");
  assert.deepEqual(await readdir(join(f.stateDir, "taking")), []);
});

test("writing the digests beside it breaks no seal", async (t) => {
  const f = await fixture(t);
  const snapshot = await take(f);
  await addDigests(snapshot);
  assert.equal(await f.snapshots.verify(snapshot), "seal");
});

test("after a reboot every page is compared; without digests, the file system's word is taken", async (t) => {
  const f = await fixture(t);
  const snapshot = await take(f);
  const later = new SnapshotDirectory(f.stateDir, "boot-2");
  assert.equal(await later.verify(snapshot), "age");
  await addDigests(snapshot);
  assert.equal(await later.verify(snapshot), "digests");
});

for (const name of snapshotFiles(true)) {
  test(`a change to ${name} is refused, with digests and without`, async (t) => {
    const changes: ((path: string) => Promise<void>)[] = [
      (path) => truncate(path, 10),
      (path) => appendFile(path, "x"),
      (path) => writeFile(path, Buffer.alloc(3 * 4096, "evil")),
    ];
    for (const change of changes) {
      for (const withDigests of [true, false]) {
        const f = await fixture(t);
        const snapshot = await take(f);
        if (withDigests) await addDigests(snapshot);
        await change(join(snapshot.directory, name));
        await assert.rejects(f.snapshots.verify(snapshot), isCorrupt(/./));
      }
    }
  });
}

test("a file that was only touched is compared by its digests, and is fine", async (t) => {
  const f = await fixture(t);
  const snapshot = await take(f);
  await utimes(join(snapshot.directory, "ram"), 1, 1);
  await assert.rejects(f.snapshots.verify(snapshot), isCorrupt(/ram: touched/));
  await addDigests(snapshot);
  assert.equal(await f.snapshots.verify(snapshot), "digests");
});

test("a changed description, a missing seal, a damaged digest table are refused", async (t) => {
  for (const [name, why] of [
    ["meta.json", /meta/],
    ["seal.json", /seal/],
  ] as const) {
    const f = await fixture(t);
    const snapshot = await take(f);
    await appendFile(join(snapshot.directory, name), " x");
    await assert.rejects(f.snapshots.verify(snapshot), isCorrupt(why));
  }
  const f = await fixture(t, "boot-1");
  const snapshot = await take(f);
  await addDigests(snapshot);
  await appendFile(join(snapshot.directory, "digests"), "x");
  const later = new SnapshotDirectory(f.stateDir, "boot-2");
  await assert.rejects(later.verify(snapshot), isCorrupt(/digest table/));
});

test("a download is committed only with a device state that matches", async (t) => {
  const f = await fixture(t);
  const staged = await f.snapshots.stage(ID);
  assert.equal(await f.snapshots.stage(ID), staged);
  await fill(f.snapshots, staged);
  await truncate(join(staged, "state"), 100);
  await assert.rejects(f.snapshots.commitStaged(META), isCorrupt(/state/));
  assert.deepEqual(await f.snapshots.list(), []);
  await fill(f.snapshots, staged);
  const snapshot = await f.snapshots.commitStaged(META);
  assert.equal(await f.snapshots.verify(snapshot), "seal");
});

test("removal is idempotent and leaves nothing", async (t) => {
  const f = await fixture(t);
  await take(f);
  await f.snapshots.remove(ID);
  await f.snapshots.remove(ID);
  for (const part of ["snapshots", "staging", "trash"]) {
    assert.deepEqual(await readdir(join(f.stateDir, part)).catch(() => []), []);
  }
});

test("an id is never a path", async (t) => {
  const f = await fixture(t);
  assert.throws(() => f.snapshots.path("../x"), /not an id/);
});
