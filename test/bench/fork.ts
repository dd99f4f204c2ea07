// Target T5: forks of a running box beside plain boots, both through the driver until the guest acknowledged its
// identity: how many in a second, what CPU each takes on the host, what memory each holds.

import type { BoxId } from "#domain/ids.ts";
import { median, type Pair, type Row, rowOf } from "./row.ts";
import { type Memory, memoryOf, ownCpuS, vmmCpuS } from "./usage.ts";
import { VmRig } from "./vm-rig.ts";

const ROUNDS = 3;
const MEMORY_MIB = 1024;
const FORKS = { n: 12, atOnce: 4 };
const BOOTS = { n: 2, atOnce: 2 };

interface Batch {
  readonly perSecond: number;
  readonly cpuS: number;
  readonly memory: Memory;
}

export async function run(): Promise<Row[]> {
  const rig = await VmRig.open();
  try {
    const rounds: { fork: Batch; boot: Batch }[] = [];
    const parent = rig.newBoxId();
    await rig.start(parent, rig.image(), MEMORY_MIB);
    await rig.ssh(parent);
    for (let round = 0; round <= ROUNDS; round += 1) {
      const boot = await batch(rig, BOOTS, async () => (boxId) => {
        return rig.start(boxId, rig.image(), MEMORY_MIB);
      });
      const fork = await batch(rig, FORKS, async () => {
        const { snapshotId } = await rig.snapshot(parent, "fork");
        const source = { kind: "snapshot", snapshotId, withMemory: true } as const;
        return (boxId) => rig.start(boxId, source, MEMORY_MIB);
      });
      if (round > 0) rounds.push({ fork, boot }); // The first round warms caches.
      console.log(`fork: round ${round} of ${ROUNDS}`);
    }
    return rowsOf(rounds);
  } finally {
    await rig.close();
  }
}

/** Starts `n` boxes, `atOnce` at a time, `begin` included in their time; ends them after the account. */
async function batch(
  rig: VmRig,
  { n, atOnce }: typeof FORKS,
  begin: () => Promise<(boxId: BoxId) => Promise<unknown>>,
): Promise<Batch> {
  const waiting = Array.from({ length: n }, () => rig.newBoxId());
  const boxes = [...waiting];
  const cpuBeforeS = ownCpuS();
  const startedAt = performance.now();
  const start = await begin();
  const work = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) await start(next);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const seconds = (performance.now() - startedAt) / 1000;
  const ownS = ownCpuS() - cpuBeforeS;
  const pids = await Promise.all(boxes.map((boxId) => rig.vmmPid(boxId)));
  const vmmsS = pids.reduce((sum, pid) => sum + vmmCpuS(pid), 0);
  const memories = pids.map(memoryOf);
  for (const boxId of boxes) await rig.driver.destroy(boxId);
  for (const { snapshotId } of await rig.driver.listSnapshots())
    await rig.driver.removeSnapshot(snapshotId);
  return {
    perSecond: n / seconds,
    cpuS: (ownS + vmmsS) / n,
    memory: {
      privateDirtyMib: median(memories.map((memory) => memory.privateDirtyMib)),
      residentMib: median(memories.map((memory) => memory.residentMib)),
    },
  };
}

function rowsOf(rounds: readonly { fork: Batch; boot: Batch }[]): Row[] {
  const row = (name: string, unit: string, of: (batch: Batch) => number, note: string): Row => {
    const pairs = rounds.map(({ fork, boot }): Pair => ({ ours: of(fork), theirs: of(boot) }));
    return rowOf(name, unit, pairs, note);
  };
  const what = `${FORKS.n} forks, ${FORKS.atOnce} at once, the snapshot included; ${BOOTS.n} boots, ${BOOTS.atOnce} at once; ${MEMORY_MIB} MiB`;
  return [
    row("T5 boot ÷ fork, wall time each", "s", (batch) => 1 / batch.perSecond, what),
    row(
      "T5 boot ÷ fork, CPU time each",
      "s",
      (batch) => batch.cpuS,
      "VMM, jail, driver and its helpers; not the kernel's threads",
    ),
    row(
      "T5 boot ÷ fork, memory each: private dirty",
      "MiB",
      (batch) => batch.memory.privateDirtyMib,
      "smaps_rollup of the VMM",
    ),
    row(
      "boot ÷ fork, memory each: resident",
      "MiB",
      (batch) => batch.memory.residentMib,
      "what the kernel could drop included: pages read ahead, QEMU's own code",
    ),
  ];
}
