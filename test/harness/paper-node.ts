// A node without a host: reads its assignments from the store, makes them true in a Map, and reports. It obeys the
// same rules as the agent (domain/decide.ts), in one step, so tests of the control plane run without any agent.

import { randomUUID } from "node:crypto";
import type {
  Assignment,
  Assignments,
  BoxReport,
  Report,
  SnapshotReport,
} from "#contract/node-protocol.ts";
import type { ListeningPort } from "#domain/box.ts";
import type { NodeId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { readAssignments } from "#store/assignments.ts";
import type { Db } from "#store/db.ts";
import { createJoinToken, joinNode } from "#store/nodes.ts";
import { recordReport } from "#store/reports.ts";

export interface PaperOptions {
  readonly name?: string;
  readonly cpus?: number;
  readonly memoryMib?: number;
  readonly diskGib?: number;
  readonly gpus?: number;
  readonly compatibility?: string;
  readonly region?: string;
  readonly labels?: Record<string, string>;
  readonly images?: string[];
  readonly leaseMs?: number;
}

interface PaperBox {
  epoch: number;
  bootSerial: number;
}

const LEASE_MS = 60_000;

export class PaperNode {
  readonly id: NodeId;
  readonly #db: Db;
  readonly #options: PaperOptions;
  readonly boxes = new Map<string, PaperBox>();
  readonly snapshots = new Map<string, SnapshotReport>();
  /** Null: it does not say. */
  freeDiskGib: number | null = null;
  /** Whether snapshots become durable. */
  uploads = true;
  /** Faults to report, by box. */
  readonly faults = new Map<string, NonNullable<BoxReport["fault"]>>();
  /** What listens in boxes; a box that is not here was not asked. */
  readonly ports = new Map<string, ListeningPort[]>();
  /** Snapshot kinds that fail for good. */
  readonly failing = new Set<string>();
  buildError: string | null = null;
  session = randomUUID();
  revision = 0;
  last: Assignments | null = null;

  constructor(db: Db, id: NodeId, options: PaperOptions) {
    this.#db = db;
    this.id = id;
    this.#options = options;
  }

  /** Joins and reports once, so that it is ready. */
  static async join(db: Db, admin: Subject, options: PaperOptions = {}): Promise<PaperNode> {
    const hash = randomUUID();
    await createJoinToken(db, admin, { hash, name: null, ttlMs: 60_000 });
    const id = await joinNode(db, {
      tokenHash: hash,
      name: options.name ?? `paper-${hash.slice(0, 8)}`,
      region: options.region ?? "local",
      labels: options.labels ?? {},
    });
    const node = new PaperNode(db, id, options);
    await node.report([]);
    return node;
  }

  /** Reads, obeys, reports. */
  async step(): Promise<Assignments> {
    const assignments = await readAssignments(this.#db, this.id, { sshUserCa: "ca", gateways: [] });
    this.last = assignments;
    const wanted = new Map(assignments.boxes.map((box) => [box.boxId, box]));
    for (const id of this.boxes.keys()) if (!wanted.has(id)) this.boxes.delete(id);
    this.#keepSnapshots(assignments);
    const reports = assignments.boxes.map((box) => this.#obey(box));
    await this.report(reports);
    return assignments;
  }

  #keepSnapshots(assignments: Assignments): void {
    const kept = new Map(assignments.snapshots.map((s) => [s.snapshotId, s]));
    for (const id of this.snapshots.keys()) if (!kept.has(id)) this.snapshots.delete(id);
    for (const { snapshotId, upload, fetch, manifestKey } of kept.values()) {
      const here = this.snapshots.get(snapshotId);
      if (here && upload && this.uploads && here.manifestKey === null)
        this.snapshots.set(snapshotId, { ...here, manifestKey: key(snapshotId), progress: 1 });
      if (!here && fetch)
        this.snapshots.set(snapshotId, { ...this.#taken(null, snapshotId), manifestKey });
    }
  }

  #obey(box: Assignment): BoxReport {
    const fault = this.faults.get(box.boxId) ?? null;
    const have = this.boxes.get(box.boxId);
    const rested = this.#restedEpoch(box) >= box.epoch;
    if (box.desired === "deleted" || rested) this.boxes.delete(box.boxId);
    else if (have || box.desired === "running") this.#run(box, fault !== null);
    const now = this.boxes.get(box.boxId);
    return {
      boxId: box.boxId,
      epoch: box.epoch,
      state: now ? "ready" : "absent",
      activity: null,
      observedGeneration: fault ? box.generation - 1 : box.generation,
      bootSerial: now?.bootSerial ?? 0,
      fault,
      notices: [],
      renewal: null,
      ports: now ? (this.ports.get(box.boxId) ?? null) : null,
      started: now ? { how: "booted", phases: {} } : null,
      build: box.build && {
        done: this.buildError === null && now !== undefined,
        step: null,
        log: "log",
        error: this.buildError,
      },
    };
  }

  #run(box: Assignment, isFaulty: boolean): void {
    const { source } = box;
    if (source.kind === "snapshot" && !this.snapshots.has(source.snapshotId)) return;
    if (isFaulty && !this.boxes.has(box.boxId)) return;
    this.boxes.set(box.boxId, { epoch: box.epoch, bootSerial: box.bootSerial });
    const due = [...box.wantedSnapshots, ...(box.restSnapshot ? [box.restSnapshot] : [])];
    for (const wanted of due) {
      if (this.snapshots.has(wanted.snapshotId)) continue;
      const isFailing = this.failing.has(wanted.kind);
      this.snapshots.set(wanted.snapshotId, {
        ...this.#taken(box, wanted.snapshotId),
        kind: wanted.kind,
        withMemory: wanted.withMemory,
        parentId: source.kind === "snapshot" ? source.snapshotId : null,
        failed: isFailing,
        error: isFailing ? "no space left" : null,
      });
      if (wanted === box.restSnapshot && !isFailing) this.boxes.delete(box.boxId);
    }
  }

  #taken(box: Assignment | null, snapshotId: string): SnapshotReport {
    return {
      snapshotId,
      boxId: box?.boxId ?? "",
      epoch: box?.epoch ?? 0,
      kind: "pause",
      withMemory: true,
      compatibility: this.#compatibility(),
      parentId: null,
      createdAtMs: Date.now(),
      allocatedBytes: 1000,
      manifestKey: null,
      storedBytes: null,
      progress: 0,
      error: null,
      failed: false,
    };
  }

  #restedEpoch(box: Assignment): number {
    const rests = [...this.snapshots.values()].filter(
      (s) => s.boxId === box.boxId && !s.failed && (s.kind === "pause" || s.kind === "stop"),
    );
    return Math.max(0, ...rests.map((s) => s.epoch));
  }

  #compatibility(): string {
    return this.#options.compatibility ?? "paper";
  }

  async report(boxes: BoxReport[], change: Partial<Report> = {}): Promise<{ ackRevision: number }> {
    this.revision += 1;
    return recordReport(
      this.#db,
      this.id,
      {
        session: this.session,
        revision: this.revision,
        full: true,
        fingerprint: {
          driver: "fake",
          accelerator: "none",
          acceleratorReason: "paper",
          cpus: this.#options.cpus ?? 64,
          memoryMib: this.#options.memoryMib ?? 262_144,
          diskGib: this.#options.diskGib ?? 100_000,
          gpus: this.#options.gpus ?? 0,
          freeDiskGib: this.freeDiskGib,
          compatibility: this.#compatibility(),
        },
        images: this.#options.images ?? [],
        boxes,
        snapshots: [...this.snapshots.values()],
        goneBoxes: [],
        goneSnapshots: [],
        ...change,
      },
      { leaseMs: this.#options.leaseMs ?? LEASE_MS },
    );
  }
}

function key(snapshotId: string): string {
  return `snapshots/${snapshotId}/manifest`;
}
