// Target T7 on a real box: what a second pause adds to the store, beside restic and borg on the same files of RAM,
// device state and disks. Between the pauses a process in the guest rewrites pages of 1 % of the memory.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BoxId } from "#domain/ids.ts";
import type { LocalSnapshot } from "#drivers/driver.ts";
import { digestFile } from "#lib/page-digests.ts";
import {
  type Added,
  installPeers,
  openKeepers,
  PEER_NOTES,
  storeAll,
} from "#test/bench/keepers.ts";
import { type Row, rowOf } from "#test/bench/row.ts";
import { VmRig } from "#test/bench/vm-rig.ts";

const MEMORY_MIB = 1024;
const ROUNDS = 3;
const PAGE = 4096;
const DIRTY_PAGES = Math.round((MEMORY_MIB << 20) / PAGE / 100);

/** Fills a file in the guest's memory with hexadecimal text. */
const FILL = `
import os
with open("/dev/shm/heap", "wb") as f:
    for _ in range(256):
        f.write(os.urandom(1 << 19).hex().encode())
`;

/** Rewrites pages of it, scattered at random. */
const SCATTER = `
import os, random
size = os.path.getsize("/dev/shm/heap")
with open("/dev/shm/heap", "r+b") as f:
    for page in random.sample(range(size // ${PAGE}), ${DIRTY_PAGES}):
        f.seek(page * ${PAGE})
        f.write(os.urandom(${PAGE / 2}).hex().encode())
`;

interface Round {
  readonly added: Map<string, Added>;
  readonly dirtyBytes: number;
}

export async function run(): Promise<Row[]> {
  await installPeers();
  const root = await mkdtemp(join(tmpdir(), "berth-bench-vm-bytes-"));
  const rig = await VmRig.open();
  try {
    return rowsOf(await pauses(rig, root));
  } finally {
    await rig.close();
    await rm(root, { recursive: true, force: true });
  }
}

/** One box, paused again and again; every round is a pause after scattered writes. */
async function pauses(rig: VmRig, root: string): Promise<Round[]> {
  const keepers = await openKeepers(join(root, "kept"));
  const boxId = rig.newBoxId();
  await rig.start(boxId, rig.image(), MEMORY_MIB);
  await python(rig, boxId, FILL);
  let last = await rig.snapshot(boxId, "pause");
  await storeAll(keepers, last.directory, last.files);
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const source = { kind: "snapshot", snapshotId: last.snapshotId, withMemory: true } as const;
    await rig.start(boxId, source, MEMORY_MIB);
    await python(rig, boxId, SCATTER);
    const next = await rig.snapshot(boxId, "pause");
    const dirtyBytes = (await differingPages(last, next)) * PAGE;
    rounds.push({ added: await storeAll(keepers, next.directory, next.files), dirtyBytes });
    await rig.driver.removeSnapshot(last.snapshotId);
    last = next;
    console.log(`vm-bytes: round ${round + 1} of ${ROUNDS}`);
  }
  return rounds;
}

async function python(rig: VmRig, boxId: BoxId, program: string): Promise<void> {
  const argv = ["python3", "-c", program];
  const done = await rig.driver.exec(boxId, { argv, user: "dev", timeoutMs: 10 * 60_000 });
  if (done.exitCode !== 0) throw new Error(`in the guest: ${done.stderr}`);
}

/** Pages that are not zero and not what they were: what a pause cannot but store (but for moved ones). */
async function differingPages(before: LocalSnapshot, after: LocalSnapshot): Promise<number> {
  let n = 0;
  for (const name of after.files) {
    const old = await digestFile(before.directory, name);
    const was = new Map<number, string>();
    old.pages.forEach((page, i) => {
      was.set(page, old.digests.toString("hex", i * 16, i * 16 + 16));
    });
    const now = await digestFile(after.directory, name);
    now.pages.forEach((page, i) => {
      if (was.get(page) !== now.digests.toString("hex", i * 16, i * 16 + 16)) n += 1;
    });
  }
  return n;
}

function rowsOf(rounds: readonly Round[]): Row[] {
  const what = `stored by a second pause of a real box (${MEMORY_MIB} MiB; RAM, state, disks)`;
  const mib = (bytes: number): number => bytes / (1 << 20);
  const ours = (round: Round): number => mib(round.added.get("berth")!.bytes);
  return [
    rowOf(
      `${what}: dirty bytes`,
      "MiB",
      rounds.map((round) => ({ ours: ours(round), theirs: mib(round.dirtyBytes) })),
      `${mib(DIRTY_PAGES * PAGE).toFixed(1)} MiB were written on purpose, the rest is the guest's own work and its renewal`,
    ),
    ...Object.entries(PEER_NOTES).map(([peer, note]) =>
      rowOf(
        `${what}: ${peer}`,
        "MiB",
        rounds.map((round) => ({ ours: ours(round), theirs: mib(round.added.get(peer)!.bytes) })),
        note,
      ),
    ),
    rowOf(
      "until that second pause is durable: restic",
      "s",
      rounds.map(({ added }) => {
        const [us, them] = [added.get("berth")!, added.get("restic")!];
        return { ours: us.ms / 1000, theirs: them.ms / 1000 };
      }),
      "both read the whole of it",
    ),
  ];
}
