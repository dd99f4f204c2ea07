// VMMs made ahead of time: processes that wait, jailed, in a shut network, for a device state to load. Starting one
// takes longer than loading a state. Nothing of a tenant is in a spare: its disks are empty, its RAM is a hole. It
// becomes a box's when the snapshot's bytes are put into the very files that it has open, before it loads anything:
// under `-incoming`, QEMU reads images anew when the state has come.
//
// A spare goes by its name in slots, cgroups, sockets and `spares/`, so that what an agent leaves is found and removed.

import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BoxRun, BoxSpec } from "#domain/box.ts";
import type { BoxId } from "#domain/ids.ts";
import { clearRam, copyDisks, createDisks } from "./disk.ts";
import type { Host } from "./host.ts";
import { limitsOf, makeJail, socketsOf, spawnVmm } from "./jailed-vmm.ts";
import type { SpawnedVmm } from "./launch.ts";
import { isAlive } from "./proc.ts";
import { connectQmp, type Qmp } from "./qmp.ts";
import { SPARE_PREFIX } from "./spare-networks.ts";

/** What a spare is made for; it serves no other. */
export type VmmShape = Pick<BoxRun, "imageDigest" | "spec">;

export interface SpareVmm {
  readonly name: string;
  /** Has `files` and the log in it, as a box's directory has. */
  readonly directory: string;
  readonly shape: VmmShape;
  readonly slot: number;
  readonly spawned: SpawnedVmm;
  readonly qmp: Qmp;
}

interface Taken {
  readonly spare: SpareVmm;
  /** Its slot, its sockets and its processes go by the box's name. */
  readonly moved: Promise<void>;
}

const MONITOR_TIMEOUT_MS = 60_000;
/** Of an ordinary program, while it is made: a box that is started meanwhile goes first. */
const MAKING_WEIGHT = 0.1;

export class SpareVmms {
  readonly #host: Host;
  /** The last ones that were asked for, the newest first. */
  #shapes: VmmShape[] = [];
  #ready: SpareVmm[] = [];
  readonly #taken = new Map<BoxId, Taken>();
  /** Names of all that is made, ready, taken or being removed. */
  readonly #held = new Set<string>();
  #work: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(host: Host) {
    this.#host = host;
  }

  /** A box of this shape is likely to be started next. */
  expect({ imageDigest, spec }: VmmShape): void {
    const others = this.#shapes.filter((shape) => keyOf(shape) !== keyOf({ imageDigest, spec }));
    this.#shapes = [{ imageDigest, spec }, ...others].slice(0, this.#host.spareVmmsWanted);
  }

  /**
   * One for the box, of which nothing runs; null when there is none just now. It begins to move to the box's name
   * while its files are filled and its state is loaded; `handOver` or `drop` ends that.
   */
  async take(boxId: BoxId, shape: VmmShape): Promise<SpareVmm | null> {
    this.expect(shape);
    for (;;) {
      const spare = this.#ready.find((ready) => keyOf(ready.shape) === keyOf(shape));
      if (!spare) return null;
      this.#ready = this.#ready.filter((ready) => ready !== spare);
      if (spare.qmp.isOpen && (await isAlive(spare.spawned.identity, this.#host.bootId))) {
        const moved = this.#move(spare, boxId, shape.spec);
        moved.catch(() => {}); // Seen by whoever hands it over.
        this.#taken.set(boxId, { spare, moved });
        return spare;
      }
      await this.#end(spare);
    }
  }

  takenBy(boxId: BoxId): SpareVmm | null {
    return this.#taken.get(boxId)?.spare ?? null;
  }

  /** Returns when the spare that the box took, if any, is wholly the box's. Before that, no vCPU may run. */
  async handOver(boxId: BoxId): Promise<void> {
    const taken = this.#taken.get(boxId);
    if (!taken) return;
    await taken.moved;
    this.#taken.delete(boxId);
    this.#then(() => this.#remove(taken.spare.name, null)); // What is left of it: an empty cgroup.
  }

  /** Ends the spare that the box took, if it was not handed over. */
  async drop(boxId: BoxId): Promise<void> {
    const taken = this.#taken.get(boxId);
    if (!taken) return;
    await taken.moved.catch(() => {});
    this.#taken.delete(boxId);
    await this.#end(taken.spare);
  }

  /**
   * Until all of it is done, either name's remains are enough to find and end the process. The kernel takes some 15 ms
   * to move a process between cgroups.
   */
  async #move({ name, slot }: SpareVmm, boxId: BoxId, spec: BoxSpec): Promise<void> {
    const { slots, cgroups, failpoints } = this.#host;
    await slots.give(slot, name, boxId);
    await failpoints.hit("driver.launch.claimed");
    await cgroups.create(boxId, limitsOf(spec));
    await rename(socketsOf(this.#host, name), socketsOf(this.#host, boxId));
    await failpoints.hit("driver.launch.prepared");
    await cgroups.move(name, boxId);
    await failpoints.hit("driver.launch.spawned");
  }

  /** Makes what is missing, one after the other, when no box is being restored. */
  fill(): void {
    this.#then(async () => {
      for (const spare of this.#surplus()) {
        this.#ready = this.#ready.filter((ready) => ready !== spare);
        await this.#end(spare);
      }
      for (let shape = this.#missing(); shape; shape = this.#missing()) {
        await this.#host.lull.comes(() => this.#isClosed);
        if (this.#isClosed) return;
        const made = await this.#make(shape);
        this.#ready.push(made); // Only now looked up: a `take` in the meantime has replaced the list.
      }
    });
  }

  holds(name: string): boolean {
    return this.#held.has(name);
  }

  /** Removes the files of spares that an agent before left. */
  async sweep(): Promise<void> {
    const root = join(this.#host.stateDir, "spares");
    for (const name of await readdir(root).catch(() => []))
      if (!this.holds(name)) await rm(join(root, name), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#work;
    for (const boxId of [...this.#taken.keys()]) await this.drop(boxId);
    for (const spare of this.#ready) await this.#end(spare);
    this.#ready = [];
  }

  /** Resolves when what is wanted now is made, or could not be. */
  async settled(): Promise<void> {
    await this.#work;
  }

  #then(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: Error) => {
      this.#host.log.warn({ error: error.message }, "no spare VMM");
    });
  }

  /** As many of each shape as there are turns: with one shape, all are of it. */
  #wanted(): string[] {
    const keys = this.#shapes.map(keyOf);
    return Array.from(
      { length: this.#host.spareVmmsWanted },
      (_, n) => keys[n % keys.length] ?? "",
    );
  }

  #surplus(): SpareVmm[] {
    const wanted = this.#wanted();
    return this.#ready.filter(({ shape }) => !takeOut(wanted, keyOf(shape)));
  }

  #missing(): VmmShape | null {
    const wanted = this.#wanted();
    for (const { shape } of this.#ready) takeOut(wanted, keyOf(shape));
    return this.#shapes.find((shape) => wanted.includes(keyOf(shape))) ?? null;
  }

  async #make(shape: VmmShape): Promise<SpareVmm> {
    const { stateDir, run, spares, slots, networks, uidBase, clock, cgroups } = this.#host;
    const { spec, imageDigest } = shape;
    const name = `${SPARE_PREFIX}${randomBytes(6).toString("hex")}`;
    const directory = join(stateDir, "spares", name);
    const files = join(directory, "files");
    let slot: number | null = null;
    this.#held.add(name);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await copyDisks(await this.#emptyDisks(spec), files, false, run);
      await clearRam(files, spec.memoryMib);
      slot = await spares.take(name);
      if (slot === null) {
        slot = await slots.claim(name);
        await networks.make(slot, uidBase + slot);
      }
      const logPath = join(directory, "vmm.log");
      const place = { name, slot, spec, imageDigest, files, logPath };
      const limits = limitsOf(spec);
      await makeJail(this.#host, place, { ...limits, weight: MAKING_WEIGHT });
      const spawned = await spawnVmm(this.#host, place, true);
      const qmpPath = join(socketsOf(this.#host, name), "qmp.sock");
      const qmp = await connectQmp(qmpPath, clock, MONITOR_TIMEOUT_MS);
      await cgroups.create(name, limits); // It only waits from now on.
      return { name, directory, shape, slot, spawned, qmp };
    } catch (error) {
      await this.#remove(name, slot);
      throw error;
    }
  }

  /** Made once for all spares of these sizes: `qemu-img` takes longer than a reflink. */
  async #emptyDisks(spec: BoxSpec): Promise<string> {
    const name = `.disks-${spec.rootDiskGib}-${spec.homeDiskGib}`;
    const directory = join(this.#host.stateDir, "spares", name);
    if (this.#held.has(name)) return directory;
    await rm(directory, { recursive: true, force: true });
    await createDisks(directory, spec, this.#host.run);
    this.#held.add(name); // A sweep leaves it.
    return directory;
  }

  async #end({ name, slot, qmp, spawned }: SpareVmm): Promise<void> {
    qmp.close();
    spawned.feed?.destroy();
    await this.#remove(name, slot);
  }

  /** All that goes by the spare's name; with its slot, when it still has one. */
  async #remove(name: string, slot: number | null): Promise<void> {
    const { cgroups, networks, slots, stateDir } = this.#host;
    await cgroups.remove(name);
    if (slot !== null && (await slots.mine()).get(slot) === name) {
      await networks.remove(slot);
      await slots.release(slot);
    }
    await rm(socketsOf(this.#host, name), { recursive: true, force: true });
    await rm(join(stateDir, "spares", name), { recursive: true, force: true });
    this.#held.delete(name);
  }
}

/** Whatever of a shape the command line or the files of a VMM may depend on: all of it. */
function keyOf({ imageDigest, spec }: VmmShape): string {
  return JSON.stringify([imageDigest, Object.entries(spec).sort()]);
}

function takeOut(keys: string[], key: string): boolean {
  const index = keys.indexOf(key);
  if (index >= 0) keys.splice(index, 1);
  return index >= 0;
}
