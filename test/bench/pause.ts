// Target T4: how long a running guest stands still while it is frozen to disk, beside a plain QEMU's save of the same
// guest. The time in which its vCPUs and its clock stood, and the whole call, are separate rows.

import { join } from "node:path";
import type { BoxId } from "#domain/ids.ts";
import { TEST_SPEC } from "#drivers/qemu/vm-test-host.ts";
import { PlainQemu, type Save } from "./plain-qemu.ts";
import { type Row, rowOf } from "./row.ts";
import { timedMs, VmRig } from "./vm-rig.ts";

const ROUNDS = 4;
const SIZES: readonly { memoryMib: number; filledMib: number }[] = [
  { memoryMib: 256, filledMib: 0 },
  { memoryMib: 1024, filledMib: 0 },
  { memoryMib: 2048, filledMib: 0 },
  { memoryMib: 4096, filledMib: 0 },
  { memoryMib: 4096, filledMib: 1536 },
];

interface Round {
  readonly theirs: Save;
  /** From `stop` to `cont`. */
  readonly vcpusMs: number;
  /** From the guest's seal to its renewal: what a program in it sees. */
  readonly tenantMs: number;
  readonly callMs: number;
}

export async function run(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { memoryMib, filledMib } of SIZES) {
    const rig = await VmRig.open();
    try {
      const boxId = rig.newBoxId();
      await rig.start(boxId, rig.image(), memoryMib);
      if (filledMib > 0) await fill(rig, boxId, filledMib);
      const name = filledMib > 0 ? `${memoryMib} MiB, 1.5 GiB of it used` : `${memoryMib} MiB`;
      rows.push(...rowsOf(name, await rounds(rig, boxId, memoryMib)));
      console.log(`pause: ${name} done`);
    } finally {
      await rig.close();
    }
  }
  return rows;
}

async function rounds(rig: VmRig, boxId: BoxId, memoryMib: number): Promise<Round[]> {
  const shape = { memoryMib, cpus: TEST_SPEC.cpus };
  const plain = await PlainQemu.copyOf(rig, boxId, shape, join(rig.stateDir, "plain"));
  const found: Round[] = [];
  try {
    for (let round = 0; round <= ROUNDS; round += 1) {
      const theirs = await plain.save();
      let snapshotId = "" as Awaited<ReturnType<VmRig["snapshot"]>>["snapshotId"];
      const callMs = await timedMs(async () => {
        ({ snapshotId } = await rig.snapshot(boxId, "checkpoint"));
      });
      await rig.driver.removeSnapshot(snapshotId);
      const times = rig.lastTimes;
      if (!times?.pausedMs) throw new Error("the driver told no times of the snapshot");
      const { freeze = Number.NaN, copy = Number.NaN, cont = Number.NaN } = times.phases;
      // The first round warms caches.
      if (round > 0)
        found.push({ theirs, callMs, vcpusMs: freeze + copy + cont, tenantMs: times.pausedMs });
    }
  } finally {
    await plain.close();
  }
  return found;
}

/** Pages that are not zero, in the guest's memory. */
async function fill(rig: VmRig, boxId: BoxId, mib: number): Promise<void> {
  const argv = ["sh", "-c", `yes | head -c ${mib}M > /dev/shm/heap`];
  const done = await rig.driver.exec(boxId, { argv, user: "dev", timeoutMs: 10 * 60_000 });
  if (done.exitCode !== 0) throw new Error(`in the guest: ${done.stderr}`);
}

function rowsOf(size: string, found: readonly Round[]): Row[] {
  const row = (name: string, of: (round: Round) => [number, number], note: string): Row =>
    rowOf(
      `${name}, ${size}`,
      "ms",
      found.map((round) => {
        const [ours, theirs] = of(round);
        return { ours, theirs };
      }),
      note,
    );
  const mib = found[0]?.theirs.mib.toFixed(0) ?? "?";
  return [
    row(
      "T4 plain QEMU save ÷ our pause, vCPUs and clock stand",
      (round) => [round.vcpusMs, round.theirs.pausedMs],
      `theirs writes ${mib} MiB`,
    ),
    row(
      "plain QEMU save ÷ our pause, programs stand",
      (round) => [round.tenantMs, round.theirs.pausedMs],
      "ours from the seal to the answer of the renewal, right after which they go on: the guest is asked twice, under TCG",
    ),
    row(
      "plain QEMU save ÷ our checkpoint, whole call, on the disk",
      (round) => [round.callMs, round.theirs.durableMs],
      "both with fsync; ours also syncs the guest and its disks are in it",
    ),
  ];
}
