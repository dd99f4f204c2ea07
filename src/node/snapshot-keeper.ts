// The snapshots on this host: uploads what must become durable, fetches what boxes start from, removes
// what nobody keeps. Holds no truth: what is here is on the disk, what is wanted is in the assignments.

import type { KeptSnapshot, SnapshotReport } from "#contract/node-protocol.ts";
import type { SnapshotId } from "#domain/ids.ts";
import type { Driver, LocalSnapshot } from "#drivers/driver.ts";
import { backoffMs } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import type { Failpoints } from "#lib/failpoint.ts";
import type { Log } from "#lib/log.ts";
import type { FetchInput, FetchResult } from "#objects/fetch.ts";
import { manifestKeyOf } from "#objects/keys.ts";
import type { TransferProgress, UploadInput, UploadResult } from "#objects/upload.ts";

/** Snapshots to and from the object store: src/objects in a worker, or in the same thread. */
export interface Transfers {
  upload(input: UploadInput, options: TransferOptions): Promise<UploadResult>;
  fetch(input: FetchInput, options: TransferOptions): Promise<FetchResult>;
}

export interface TransferOptions {
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

export interface KeeperPorts {
  readonly driver: Driver;
  readonly transfers: Transfers;
  readonly clock: Clock;
  readonly log: Log;
  readonly failpoints: Pick<Failpoints, "hit">;
  /** Something changed that is to be reported. */
  readonly onChange: () => void;
  /** Whether the control plane and the boxes here can do without it. */
  readonly mayRemove: (snapshot: LocalSnapshot, isListed: boolean) => boolean;
}

/** What this process has seen of one transfer. */
interface Progress {
  manifestKey: string | null;
  storedBytes: number | null;
  progress: number;
  error: string | null;
  isFinal: boolean;
  failures: number;
  nextMs: number;
  abort: AbortController | null;
}

const RETRY = { firstMs: 1_000, longestMs: 60_000 };
/** Causes that a repetition does not cure. */
const FINAL_CODES = new Set(["local_changed", "conflict", "corrupt", "missing"]);

export class SnapshotKeeper {
  readonly #ports: KeeperPorts;
  #local = new Map<string, LocalSnapshot>();
  #kept = new Map<string, KeptSnapshot>();
  readonly #progress = new Map<string, Progress>();
  /** In use by a start, or needed by a box whose source is not here. */
  readonly #held = new Map<string, number>();
  readonly #needed = new Set<string>();

  constructor(ports: KeeperPorts) {
    this.#ports = ports;
  }

  /** Reads again what is on the disk. */
  async refresh(): Promise<void> {
    const found = await this.#ports.driver.listSnapshots();
    this.#local = new Map(found.map((snapshot) => [snapshot.snapshotId, snapshot]));
    this.#ports.onChange();
  }

  find(snapshotId: string): LocalSnapshot | null {
    return this.#local.get(snapshotId) ?? null;
  }

  list(): LocalSnapshot[] {
    return [...this.#local.values()];
  }

  setKept(kept: readonly KeptSnapshot[]): void {
    this.#kept = new Map(kept.map((one) => [one.snapshotId, one]));
    for (const [snapshotId, progress] of this.#progress) {
      if (this.#kept.has(snapshotId)) continue;
      progress.abort?.abort();
      if (!this.#local.has(snapshotId)) this.#progress.delete(snapshotId);
    }
  }

  /** A box waits for it: it is fetched, or this says why it cannot be. */
  need(snapshotId: string): { error: string; isFinal: boolean } | null {
    this.#needed.add(snapshotId);
    const { error, isFinal } = this.#progressOf(snapshotId);
    return error === null ? null : { error, isFinal };
  }

  /** Not to be removed until the returned function is called. */
  hold(snapshotId: string): () => void {
    this.#held.set(snapshotId, (this.#held.get(snapshotId) ?? 0) + 1);
    return () => this.#held.set(snapshotId, (this.#held.get(snapshotId) ?? 1) - 1);
  }

  isDurable(snapshotId: string): boolean {
    return this.#manifestKeyOf(snapshotId) !== null;
  }

  /** Its bytes here are not what was frozen, and the object store has it: away with it. */
  async discard(snapshotId: string): Promise<void> {
    await this.#ports.driver.removeSnapshot(snapshotId as SnapshotId);
    await this.refresh();
  }

  /** When the next transfer may be tried; null when there is nothing to do. */
  nextMs(): number | null {
    const due = [this.#nextUpload(), this.#nextFetch(), this.#nextRemoval()]
      .filter((id) => id !== null)
      .map((id) => this.#progressOf(id).nextMs);
    return due.length === 0 ? null : Math.min(...due);
  }

  /** Uploads one snapshot that is to become durable. False when none is due. */
  async uploadOne(signal: AbortSignal): Promise<boolean> {
    const id = this.#nextUpload();
    if (id === null || this.#progressOf(id).nextMs > this.#ports.clock.nowMs()) return false;
    await this.#transfer(id, signal, (progress, options) => this.#upload(id, progress, options));
    return true;
  }

  /** Fetches one snapshot that a box starts from. False when none is due. */
  async fetchOne(signal: AbortSignal): Promise<boolean> {
    const id = this.#nextFetch();
    if (id === null || this.#progressOf(id).nextMs > this.#ports.clock.nowMs()) return false;
    await this.#transfer(id, signal, (progress, options) => this.#fetch(id, progress, options));
    return true;
  }

  /** Removes one snapshot that is not kept any more. False when there is none. */
  async removeOne(): Promise<boolean> {
    const id = this.#nextRemoval();
    if (id === null) return false;
    const { driver, failpoints } = this.#ports;
    await failpoints.hit("agent.remove.begun");
    await driver.removeSnapshot(id as SnapshotId);
    await failpoints.hit("agent.remove.done");
    this.#progress.delete(id);
    await this.refresh();
    return true;
  }

  reports(): SnapshotReport[] {
    return this.list().map((snapshot) => {
      const {
        directory: _d,
        files: _f,
        identity: _i,
        spec: _s,
        imageDigest: _g,
        ...rest
      } = snapshot;
      const seen = this.#progressOf(snapshot.snapshotId);
      const manifestKey = this.#manifestKeyOf(snapshot.snapshotId);
      return {
        ...rest,
        manifestKey,
        storedBytes: seen.storedBytes,
        progress: manifestKey === null ? seen.progress : 1,
        error: seen.error,
        failed: false,
      };
    });
  }

  #nextUpload(): string | null {
    const due = this.list()
      .filter(({ snapshotId }) => this.#kept.get(snapshotId)?.upload && !this.isDurable(snapshotId))
      .filter(({ snapshotId }) => !this.#progressOf(snapshotId).isFinal);
    // Parents come first, so that their children are incremental.
    due.sort((a, b) => a.createdAtMs - b.createdAtMs);
    return this.#soonest(due.map(({ snapshotId }) => snapshotId));
  }

  #nextFetch(): string | null {
    const due = [...this.#kept.values()]
      .filter(({ snapshotId }) => !this.#local.has(snapshotId))
      .filter(({ fetch, snapshotId }) => fetch || this.#needed.has(snapshotId))
      .filter(({ snapshotId }) => this.isDurable(snapshotId))
      .filter(({ snapshotId }) => !this.#progressOf(snapshotId).isFinal);
    return this.#soonest(due.map(({ snapshotId }) => snapshotId));
  }

  #nextRemoval(): string | null {
    const removable = this.list().find(({ snapshotId }, _at, all) => {
      if (this.#progressOf(snapshotId).abort || (this.#held.get(snapshotId) ?? 0) > 0) return false;
      const snapshot = all.find((one) => one.snapshotId === snapshotId)!;
      return this.#ports.mayRemove(snapshot, this.#kept.has(snapshotId));
    });
    return removable?.snapshotId ?? null;
  }

  #soonest(ids: readonly string[]): string | null {
    let best: string | null = null;
    for (const id of ids)
      if (best === null || this.#progressOf(id).nextMs < this.#progressOf(best).nextMs) best = id;
    return best;
  }

  async #transfer(
    id: string,
    signal: AbortSignal,
    work: (progress: Progress, options: TransferOptions) => Promise<void>,
  ): Promise<void> {
    const { clock, log, onChange } = this.#ports;
    const progress = this.#progressOf(id);
    const abort = new AbortController();
    progress.abort = abort;
    const options: TransferOptions = {
      signal: AbortSignal.any([signal, abort.signal]),
      onProgress: ({ doneBytes, totalBytes }) => {
        progress.progress = totalBytes === 0 ? 0 : Math.floor((doneBytes / totalBytes) * 20) / 20;
        onChange();
      },
    };
    try {
      await work(progress, options);
      Object.assign(progress, { error: null, failures: 0, nextMs: 0, progress: 1 });
    } catch (error) {
      if (options.signal.aborted) return;
      const { code = "", message } = error as { code?: string; message: string };
      progress.failures += 1;
      progress.isFinal = FINAL_CODES.has(code);
      progress.error = message;
      progress.nextMs = clock.nowMs() + backoffMs(progress.failures, RETRY);
      log.warn({ snapshotId: id, err: error }, "a snapshot's transfer failed");
    } finally {
      progress.abort = null;
      onChange();
    }
  }

  async #upload(id: string, progress: Progress, options: TransferOptions): Promise<void> {
    const { transfers, failpoints } = this.#ports;
    const { directory, allocatedBytes, ...meta } = this.#local.get(id)!;
    await failpoints.hit("agent.upload.begun");
    const result = await transfers.upload(
      {
        snapshotId: id,
        directory,
        files: meta.files,
        scope: this.#kept.get(id)?.scope ?? "all",
        parentManifestKey: meta.parentId === null ? null : manifestKeyOf(meta.parentId),
        meta: { ...meta, allocatedBytes },
      },
      options,
    );
    await failpoints.hit("agent.upload.done");
    progress.manifestKey = result.manifestKey;
    progress.storedBytes = result.storedBytes;
  }

  async #fetch(id: string, _progress: Progress, options: TransferOptions): Promise<void> {
    const { driver, transfers, failpoints } = this.#ports;
    await failpoints.hit("agent.fetch.begun");
    const directory = await driver.stageSnapshot(id as SnapshotId);
    const manifestKey = this.#manifestKeyOf(id)!;
    const result = await transfers.fetch({ manifestKey, directory }, options);
    await failpoints.hit("agent.fetch.staged");
    const { allocatedBytes: _, ...meta } = result.meta as Omit<LocalSnapshot, "directory">;
    if (meta.snapshotId !== id) throw new Error(`${manifestKey} holds ${meta.snapshotId}`);
    await driver.commitSnapshot(meta);
    await failpoints.hit("agent.fetch.done");
    this.#needed.delete(id);
    await this.refresh();
  }

  #manifestKeyOf(id: string): string | null {
    return this.#progress.get(id)?.manifestKey ?? this.#kept.get(id)?.manifestKey ?? null;
  }

  #progressOf(id: string): Progress {
    let progress = this.#progress.get(id);
    if (!progress) {
      progress = {
        ...{ manifestKey: null, storedBytes: null, progress: 0, error: null },
        ...{ isFinal: false, failures: 0, nextMs: 0, abort: null },
      };
      this.#progress.set(id, progress);
    }
    return progress;
  }
}
