// A host that exists only as a directory of JSON files, and goes on "running" its boxes while no
// agent looks, as a real one does. Several driver objects, one after another, see the same host.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { BoxRun, ListeningPort, Notice } from "#domain/box.ts";
import type { RenewalReport } from "#drivers/driver.ts";
import { FakeFaults } from "#drivers/fake/faults.ts";
import type { FakeSessions } from "#drivers/fake/sessions.ts";

/** What the fake keeps of one box: its record, and the guest inside it. */
export interface FakeBox {
  run: BoxRun;
  state: "preparing" | "down" | "up" | "ready" | "frozen";
  pid: number | null;
  /** This epoch was ready once; before, its source is not used up and it is prepared again. */
  wasReady: boolean;
  /** The last shutdown was asked for. */
  wasShutDown: boolean;
  /** Files under /run and /dev/shm: gone with the VMM. */
  memory: Record<string, string>;
  /** All other files: survive the VMM. */
  disk: Record<string, string>;
  notices: Notice[];
  sshHostKey: string;
  /** Of its host key, and when it was made. */
  certificate?: { readonly text: string; readonly atMs: number };
  renewal: RenewalReport | null;
  /** Snapshot that its bytes grew from. */
  parentId: string | null;
  console: string;
  /** Set by tests and by whoever plays the guest: gone with the VMM. */
  ports: ListeningPort[];
  /** Of this epoch: a renewal forgets them. */
  authorizedKeys: readonly string[];
  /** What left it since its VMM was launched; its network is named after the launch. */
  egress?: { counter: string; bytes: number } | null;
}

/** What is gone with the VMM, besides memory. */
export const NO_GUEST = {
  ports: [] as ListeningPort[],
  authorizedKeys: [] as string[],
  egress: null,
};

/** Hears when guests execute, to catch one box running twice. */
export interface Beats {
  runs(boxId: string, epoch: number, hostName: string): void;
  halts(boxId: string, epoch: number, hostName: string): void;
}

export interface FakeHostOptions {
  readonly name?: string;
  readonly beats?: Beats;
  readonly cpus?: number;
  readonly memoryMib?: number;
  readonly diskGib?: number;
}

export class FakeHost {
  readonly directory: string;
  readonly name: string;
  readonly options: FakeHostOptions;
  readonly faults: FakeFaults;
  readonly #boxes = new Map<string, FakeBox>();
  /** By box; of this process only. */
  readonly sessions = new Map<string, FakeSessions>();
  #nextPid = 100;

  constructor(directory: string, options: FakeHostOptions = {}) {
    this.directory = directory;
    this.name = options.name ?? "fake";
    this.options = options;
    mkdirSync(join(directory, "boxes"), { recursive: true });
    mkdirSync(join(directory, "snapshots"), { recursive: true });
    this.faults = new FakeFaults(join(directory, "faults.json"));
    for (const file of readdirSync(join(directory, "boxes"))) {
      if (!file.endsWith(".json")) continue;
      const box: FakeBox = JSON.parse(readFileSync(join(directory, "boxes", file), "utf8"));
      this.#boxes.set(box.run.boxId, box);
      this.#nextPid = Math.max(this.#nextPid, (box.pid ?? 0) + 1);
    }
  }

  boxes(): FakeBox[] {
    return [...this.#boxes.values()];
  }

  get(boxId: string): FakeBox | null {
    return this.#boxes.get(boxId) ?? null;
  }

  /** The one way to change a box: keeps the file and the beats true to it. */
  put(box: FakeBox): FakeBox {
    const { boxId } = box.run;
    const before = this.#boxes.get(boxId);
    if (before && executes(before) && !(executes(box) && before.run.epoch === box.run.epoch))
      this.options.beats?.halts(boxId, before.run.epoch, this.name);
    if (executes(box) && !(before && executes(before) && before.run.epoch === box.run.epoch))
      this.options.beats?.runs(boxId, box.run.epoch, this.name);
    if (box.pid === null) this.#endSessions(boxId);
    this.#boxes.set(boxId, box);
    const path = this.#pathOf(boxId);
    writeFileSync(`${path}.tmp`, JSON.stringify(box));
    renameSync(`${path}.tmp`, path);
    return box;
  }

  remove(boxId: string): void {
    const box = this.#boxes.get(boxId);
    if (box && executes(box)) this.options.beats?.halts(boxId, box.run.epoch, this.name);
    this.#endSessions(boxId);
    this.#boxes.delete(boxId);
    rmSync(this.#pathOf(boxId), { force: true });
  }

  /** What listens in a box from now on. */
  setPorts(boxId: string, ports: ListeningPort[]): void {
    const box = this.get(boxId);
    if (box) this.put({ ...box, ports });
  }

  /** The guest sends so much out. */
  sendOut(boxId: string, bytes: number): void {
    const box = this.get(boxId);
    if (!box?.egress) return;
    this.put({ ...box, egress: { ...box.egress, bytes: box.egress.bytes + bytes } });
  }

  newPid(): number {
    return this.#nextPid++;
  }

  /** The VMM is killed, from outside. */
  killVmm(boxId: string): void {
    const box = this.get(boxId);
    if (!box || box.pid === null) return;
    this.put({ ...box, state: "down", pid: null, memory: {}, wasShutDown: false, ...NO_GUEST });
  }

  /** The guest powers itself off. */
  powerOff(boxId: string, nowMs: number): void {
    const box = this.get(boxId);
    if (!box || box.pid === null) return;
    const notice: Notice = {
      code: "guest_shut_down",
      message: "the guest powered itself off",
      atMs: nowMs,
    };
    const notices = [...box.notices, notice];
    const gone = { state: "down", pid: null, memory: {} } as const;
    this.put({ ...box, ...gone, ...NO_GUEST, wasShutDown: true, notices });
  }

  /** The power is cut: every VMM is gone, disks stay. */
  reboot(): void {
    for (const box of this.boxes()) this.killVmm(box.run.boxId);
  }

  snapshotDirectory(snapshotId: string): string {
    return join(this.directory, "snapshots", snapshotId);
  }

  stagingDirectory(snapshotId: string): string {
    return join(this.directory, "snapshots", `.staging-${snapshotId}`);
  }

  /** Names of everything on this host, for tests that look for leaks. */
  inventory(): { boxes: string[]; snapshots: string[]; remains: string[] } {
    const files = readdirSync(join(this.directory, "boxes"));
    const snapshots = readdirSync(join(this.directory, "snapshots"));
    return {
      boxes: files.filter((f) => f.endsWith(".json")).map((f) => f.slice(0, -".json".length)),
      snapshots: snapshots.filter((name) => !name.startsWith(".")),
      remains: [
        ...snapshots.filter((name) => name.startsWith(".")),
        ...files.filter((f) => !f.endsWith(".json")),
        ...this.boxes()
          .filter(({ state }) => state === "preparing")
          .map(({ run }) => run.boxId),
      ],
    };
  }

  hasSnapshot(snapshotId: string): boolean {
    return existsSync(join(this.snapshotDirectory(snapshotId), "meta.json"));
  }

  #endSessions(boxId: string): void {
    this.sessions.get(boxId)?.close();
    this.sessions.delete(boxId);
  }

  #pathOf(boxId: string): string {
    return join(this.directory, "boxes", `${boxId}.json`);
  }
}

function executes(box: FakeBox): boolean {
  return box.state === "up" || box.state === "ready";
}
