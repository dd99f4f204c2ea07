// Boot beside resume and create-from-prebuild, interleaved: until the guest acknowledged its identity on the
// control channel, and until a new OpenSSH connection ran a command. Then the guest-visible pause by size.

import { type Row, rowOf } from "./row.ts";
import { timedMs, VmRig } from "./vm-rig.ts";

const ROUNDS = 6;
const MEMORY_MIB = 1024;

export async function run(): Promise<Row[]> {
  const rig = await VmRig.open();
  try {
    return [...(await startRows(rig)), ...(await pauseRows(rig))];
  } finally {
    await rig.close();
  }
}

interface Timing {
  readonly answerMs: number[];
  readonly sshMs: number[];
}

async function startRows(rig: VmRig): Promise<Row[]> {
  const boot: Timing = { answerMs: [], sshMs: [] };
  const resume: Timing = { answerMs: [], sshMs: [] };
  const create: Timing = { answerMs: [], sshMs: [] };
  const unready: Timing = { answerMs: [], sshMs: [] };
  const template = rig.newBoxId();
  await rig.start(template, rig.image(), MEMORY_MIB);
  await rig.ssh(template);
  const prebuild = await rig.snapshot(template, "prebuild");
  await rig.driver.destroy(template);
  const source = { kind: "snapshot", snapshotId: prebuild.snapshotId, withMemory: true } as const;
  for (let round = 0; round <= ROUNDS; round += 1) {
    const kept = round > 0; // The first round warms caches.
    const time = async (
      timing: Timing,
      start: () => Promise<unknown>,
      boxId: ReturnType<VmRig["newBoxId"]>,
    ) => {
      const answerMs = await timedMs(start);
      const sshMs = answerMs + (await timedMs(() => rig.ssh(boxId)));
      if (kept) {
        timing.answerMs.push(answerMs);
        timing.sshMs.push(sshMs);
      }
    };
    const booted = rig.newBoxId();
    await time(boot, () => rig.start(booted, rig.image(), MEMORY_MIB), booted);
    await rig.driver.destroy(booted);
    const created = rig.newBoxId();
    await rig.driver.sparesReady();
    await time(create, () => rig.start(created, source, MEMORY_MIB), created);
    for (const timing of [resume, unready]) {
      const paused = await rig.snapshot(created, "pause");
      const rest = { kind: "snapshot", snapshotId: paused.snapshotId, withMemory: true } as const;
      await rig.reopen(timing === unready ? { spareVmms: 0 } : {});
      await rig.driver.sparesReady();
      await time(timing, () => rig.start(created, rest, MEMORY_MIB), created);
      await rig.driver.removeSnapshot(paused.snapshotId);
    }
    await rig.reopen();
    await rig.driver.destroy(created);
  }
  return [
    ratio("T1 boot ÷ resume, guest answered", resume.answerMs, boot.answerMs),
    ratio("T1 boot ÷ resume, SSH command done", resume.sshMs, boot.sshMs),
    ratio("boot ÷ resume without a spare VMM, guest answered", unready.answerMs, boot.answerMs),
    ratio("boot ÷ resume without a spare VMM, SSH command done", unready.sshMs, boot.sshMs),
    ratio("boot ÷ create from prebuild, guest answered", create.answerMs, boot.answerMs),
    ratio("boot ÷ create from prebuild, SSH command done", create.sshMs, boot.sshMs),
  ];
}

async function pauseRows(rig: VmRig): Promise<Row[]> {
  const pauses = new Map<number, number[]>([
    [256, []],
    [1024, []],
    [4096, []],
  ]);
  const resumes = new Map<number, number[]>([
    [256, []],
    [1024, []],
    [4096, []],
  ]);
  const boxes = new Map<number, ReturnType<VmRig["newBoxId"]>>();
  for (const memoryMib of pauses.keys()) {
    const boxId = rig.newBoxId();
    boxes.set(memoryMib, boxId);
    await rig.start(boxId, rig.image(), memoryMib);
  }
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [memoryMib, boxId] of boxes) {
      let rest = "" as Awaited<ReturnType<VmRig["snapshot"]>>["snapshotId"];
      const pauseMs = await timedMs(async () => {
        rest = (await rig.snapshot(boxId, "pause")).snapshotId;
      });
      const source = { kind: "snapshot", snapshotId: rest, withMemory: true } as const;
      await rig.driver.sparesReady();
      const resumeMs = await timedMs(() => rig.start(boxId, source, memoryMib));
      if (round > 0) {
        pauses.get(memoryMib)?.push(pauseMs);
        resumes.get(memoryMib)?.push(resumeMs);
      }
      await rig.driver.removeSnapshot(rest);
    }
  }
  return [
    ratio(
      "T2 resume of 4 GiB ÷ resume of 256 MiB (ours: 256 MiB)",
      resumes.get(256) ?? [],
      resumes.get(4096) ?? [],
    ),
    ratio(
      "pause of 4 GiB ÷ pause of 256 MiB (ours: 256 MiB)",
      pauses.get(256) ?? [],
      pauses.get(4096) ?? [],
    ),
  ];
}

function ratio(name: string, ours: readonly number[], theirs: readonly number[]): Row {
  const pairs = ours.map((value, index) => ({ ours: value, theirs: theirs[index]! }));
  return rowOf(name, "ms", pairs, "one real VM at a time, driver to guest, under TCG");
}
