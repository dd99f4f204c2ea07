// The worker thread's side of snapshots.ts: one job, then the end. Hashing and compressing happen here.

import { parentPort, workerData } from "node:worker_threads";
import { fetchFiles } from "#objects/fetch.ts";
import { upload } from "#objects/upload.ts";
import { flatten, type Job, portsOverWire, type ToHost } from "#objects/worker-protocol.ts";

const port = parentPort;
if (!port) throw new Error("src/objects/worker.ts is started by snapshots.ts, as a worker thread");
const job = workerData as Job;
const ports = portsOverWire(port);
let last: ToHost;
try {
  const result =
    job.kind === "upload" ? await upload(job.input, ports) : await fetchFiles(job.input, ports);
  last = { kind: "done", result };
} catch (error) {
  last = { kind: "failed", error: flatten(error) };
}
port.postMessage(last);
port.close();
