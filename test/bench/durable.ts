// From the pause of a box until every byte of it is in the object store: the first time, and when the store has the
// pause before. Beside a plain QEMU's save of the same guest into a file of the same disk, with fsync.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BoxId } from "#domain/ids.ts";
import type { LocalSnapshot } from "#drivers/driver.ts";
import { TEST_SPEC } from "#drivers/qemu/vm-test-host.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { DIGESTS_FILE } from "#lib/page-digests.ts";
import { openDirectoryStore } from "#objects/directory-store.ts";
import { uploadSnapshot } from "#objects/snapshots.ts";
import type { ObjectStore } from "#objects/store.ts";
import { PlainQemu, type Save } from "./plain-qemu.ts";
import { type Row, rowOf } from "./row.ts";
import { timedMs, VmRig } from "./vm-rig.ts";

const ROUNDS = 3;
const SIZES_MIB = [256, 1024, 2048, 4096];
const failpoints = new Failpoints();

interface Round {
  readonly theirs: Save;
  /** Until the VMM was gone and the snapshot on this host's disk. */
  readonly pauseMs: number;
  readonly againMs: number;
  readonly firstMs: number;
}

export async function run(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const memoryMib of SIZES_MIB) {
    const rig = await VmRig.open();
    const stores = join(rig.driverOptions.stateDir, "..", "stores");
    try {
      await mkdir(stores);
      rows.push(...rowsOf(memoryMib, await rounds(rig, memoryMib, stores)));
      console.log(`durable: ${memoryMib} MiB done`);
    } finally {
      await rm(stores, { recursive: true, force: true });
      await rig.close();
    }
  }
  return rows;
}

async function rounds(rig: VmRig, memoryMib: number, stores: string): Promise<Round[]> {
  const boxId = rig.newBoxId();
  await rig.start(boxId, rig.image(), memoryMib);
  const shape = { memoryMib, cpus: TEST_SPEC.cpus };
  const plain = await PlainQemu.copyOf(rig, boxId, shape, join(stores, "plain"));
  const kept = await openDirectoryStore({ root: join(stores, "kept"), failpoints });
  const found: Round[] = [];
  let parent: string | null = null;
  try {
    for (let round = 0; round <= ROUNDS; round += 1) {
      const theirs = await plain.save();
      const paused = await pause(rig, boxId);
      const [againMs, manifestKey] = await upload(kept, paused.snapshot, parent);
      parent = manifestKey;
      await rm(join(paused.snapshot.directory, DIGESTS_FILE)); // As if it had never been read.
      const empty = join(stores, `first-${round}`);
      const store = await openDirectoryStore({ root: empty, failpoints });
      const [firstMs] = await upload(store, paused.snapshot, null);
      await rm(empty, { recursive: true });
      await resume(rig, boxId, paused.snapshot, memoryMib);
      // The first round has no pause before it, and warms caches.
      if (round > 0) found.push({ theirs, pauseMs: paused.ms, againMs, firstMs });
    }
  } finally {
    await plain.close();
  }
  return found;
}

async function pause(rig: VmRig, boxId: BoxId): Promise<{ ms: number; snapshot: LocalSnapshot }> {
  let snapshot: LocalSnapshot | null = null;
  const ms = await timedMs(async () => {
    snapshot = await rig.snapshot(boxId, "pause");
  });
  if (!snapshot) throw new Error("no snapshot");
  return { ms, snapshot };
}

async function resume(rig: VmRig, boxId: BoxId, from: LocalSnapshot, memoryMib: number) {
  const source = { kind: "snapshot", snapshotId: from.snapshotId, withMemory: true } as const;
  await rig.start(boxId, source, memoryMib);
  await rig.driver.removeSnapshot(from.snapshotId);
}

/** As the agent does it, in a worker. */
async function upload(
  store: ObjectStore,
  { snapshotId, directory, files }: LocalSnapshot,
  parentManifestKey: string | null,
): Promise<[number, string]> {
  let manifestKey = "";
  const ms = await timedMs(async () => {
    const input = { snapshotId, directory, files, scope: "org_bench", parentManifestKey, meta: {} };
    ({ manifestKey } = await uploadSnapshot(input, { store, failpoints }));
  });
  return [ms, manifestKey];
}

function rowsOf(memoryMib: number, found: readonly Round[]): Row[] {
  const mib = found[0]?.theirs.mib.toFixed(0) ?? "?";
  const row = (name: string, ours: (round: Round) => number, note: string): Row =>
    rowOf(
      `${name}, ${memoryMib} MiB`,
      "ms",
      found.map((round) => ({ ours: ours(round), theirs: round.theirs.durableMs })),
      note,
    );
  return [
    row(
      "plain QEMU save with fsync ÷ pause until durable, the pause before is stored",
      ({ pauseMs, againMs }) => pauseMs + againMs,
      `theirs writes all ${mib} MiB as they are; ours finds, compresses and checks what is new`,
    ),
    row(
      "plain QEMU save with fsync ÷ pause until durable, nothing is stored",
      ({ pauseMs, firstMs }) => pauseMs + firstMs,
      `theirs writes ${mib} MiB as they are; ours compresses and digests them, disks included`,
    ),
  ];
}
