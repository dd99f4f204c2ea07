// Snapshots to and from the object store: what the agent calls. The work is done in a worker thread, so
// that the caller's event loop only moves bytes.

import { Worker } from "node:worker_threads";
import type { Failpoints } from "#lib/failpoint.ts";
import { verifyFile } from "#lib/page-digests.ts";
import type { FetchInput, FetchResult } from "#objects/fetch.ts";
import { digestsOf, loadTable } from "#objects/layers.ts";
import { readManifest } from "#objects/manifest.ts";
import { FileTable } from "#objects/page-table.ts";
import type { ObjectStore } from "#objects/store.ts";
import type { TransferProgress, UploadInput, UploadResult } from "#objects/upload.ts";
import {
  answerCall,
  type Job,
  type JobResult,
  revive,
  type ToHost,
} from "#objects/worker-protocol.ts";

export interface TransferOptions {
  readonly store: ObjectStore;
  readonly failpoints: Failpoints;
  readonly onProgress?: (progress: TransferProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Makes a local snapshot durable. Idempotent: call it again after any failure. Throws StoreError (`no_space`,
 * `unavailable`: try again later) or SnapshotError (`local_changed`, `conflict`: do not; `upload_expired`: do).
 */
export async function uploadSnapshot(
  input: UploadInput,
  options: TransferOptions,
): Promise<UploadResult> {
  return (await runJob({ kind: "upload", input }, options)) as UploadResult;
}

/**
 * Writes a stored snapshot's files, and its digests, to a directory. Throws SnapshotError (`corrupt`,
 * `missing`) naming the object, or StoreError; then none of the files are left.
 */
export async function fetchSnapshot(
  input: FetchInput,
  options: TransferOptions,
): Promise<FetchResult> {
  return (await runJob({ kind: "fetch", input }, options)) as FetchResult;
}

/** Compares local files with what was stored. Returns what is wrong, one line each; [] is good. */
export async function verifyLocal(
  store: ObjectStore,
  manifestKey: string,
  directory: string,
): Promise<string[]> {
  const manifest = await readManifest(store, manifestKey);
  const { table } = await loadTable(store, manifestKey, manifest);
  const problems: string[] = [];
  for (const { name, size } of manifest.files) {
    const file = table.files.get(name) ?? new FileTable(0);
    problems.push(...(await verifyFile(directory, digestsOf(name, size, file))));
  }
  return problems;
}

function runJob(job: Job, options: TransferOptions): Promise<JobResult> {
  const { store, failpoints, onProgress = () => {}, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      workerData: job,
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    // Ended at once: packs are named by content and the manifest comes last, so nothing is half-done.
    const abort = (): void => {
      void worker.terminate();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    worker.on("message", (message: ToHost) => {
      if (message.kind === "call")
        void answerCall(worker, message, { store, failpoints, onProgress });
      else if (message.kind === "progress") onProgress(message.progress);
      else if (message.kind === "done") resolve(message.result);
      else reject(revive(message.error));
    });
    worker.on("error", reject);
    worker.on("exit", (code) => {
      signal?.removeEventListener("abort", abort);
      reject(new Error(`the snapshot worker ended with ${code} and no result`));
    });
  });
}
