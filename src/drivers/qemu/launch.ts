// Starts a VMM so that it outlives the agent, and tells its identity. The listening sockets of the
// monitor and the control port are made here, in a directory that the VMM cannot even see, and
// handed down as open files.

import { spawn } from "node:child_process";
import { chmod, mkdir, open, rename } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import type { Log } from "#lib/log.ts";
import { identifyProcess, type ProcessIdentity } from "./proc.ts";

export const VMM_FDS = { qmp: 3, control: 4, info: 5, state: 6 } as const;

export interface Launch {
  readonly argv: readonly string[];
  /** Root's own; gets qmp.sock and control.sock. */
  readonly socketDirectory: string;
  /** What the launch chain and the VMM say on standard output and error. */
  readonly logPath: string;
  /** Waits for a device state, which it gets through VMM_FDS.state. */
  readonly incoming: boolean;
  readonly bootId: string;
  readonly log: Log;
}

export interface SpawnedVmm {
  readonly identity: ProcessIdentity;
  /** Where the device state goes; null when it boots. Ends with the agent: what it was for begins anew. */
  readonly feed: Duplex | null;
}

/** Returns once the VMM's process exists; throws with what it said when it ended at once. */
export async function launchVmm(launch: Launch): Promise<SpawnedVmm> {
  await mkdir(launch.socketDirectory, { recursive: true, mode: 0o700 });
  const output = await open(launch.logPath, "w", 0o600);
  const qmp = await listen(join(launch.socketDirectory, "qmp.sock"));
  const control = await listen(join(launch.socketDirectory, "control.sock"));
  try {
    const [program = "", ...args] = launch.argv;
    const child = spawn(program, args, {
      detached: true, // A session of its own: no signal to the agent's group reaches it.
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      stdio: [
        "ignore",
        output.fd,
        output.fd,
        descriptorOf(qmp),
        descriptorOf(control),
        "pipe",
        launch.incoming ? "pipe" : "ignore",
      ],
    });
    const info = (child.stdio as readonly unknown[])[VMM_FDS.info] as Readable;
    const failed = new Promise<never>((_resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => {
        launch.log.debug({ pid: child.pid, code, signal }, "VMM launcher ended");
        reject(new Error(`VMM ended during its launch (${signal ?? code}), see ${launch.logPath}`));
      });
    });
    failed.catch(() => {});
    const pid = await Promise.race([readChildPid(info), failed]);
    child.unref();
    const identity = await identifyProcess(pid, launch.bootId);
    if (!identity) throw new Error(`VMM ended at once, see ${launch.logPath}`);
    return { identity, feed: feedOf((child.stdio as readonly unknown[])[VMM_FDS.state]) };
  } finally {
    await Promise.all([closeServer(qmp), closeServer(control), output.close()]);
  }
}

function feedOf(stream: unknown): Duplex | null {
  const feed = (stream ?? null) as Socket | null;
  feed?.on("error", () => {}); // Met by whoever writes to it.
  feed?.unref();
  return feed;
}

/** Listens at `path`; closing the server later leaves the socket, which the VMM then serves. */
async function listen(path: string): Promise<Server> {
  const server = createServer();
  const draft = `${path}.new`;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(draft, resolve);
  });
  await chmod(draft, 0o600);
  await rename(draft, path); // Node unlinks the path that it made when it closes.
  return server;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Node has no public way to a listening socket's descriptor. */
function descriptorOf(server: Server): number {
  const fd = (server as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (typeof fd !== "number" || fd < 0) {
    throw new Error("this Node version does not show a listening socket's descriptor");
  }
  return fd;
}

/** Reads to the end: bwrap would die of a pipe that nobody reads. */
async function readChildPid(info: Readable): Promise<number> {
  let text = "";
  for await (const chunk of info) text += String(chunk);
  const match = /"child-pid":\s*(\d+)/.exec(text);
  if (match?.[1]) return Number(match[1]);
  return await new Promise(() => {}); // Closed without a pid: the launcher's exit tells why.
}
