// The peer of our pause: the very same guest in a QEMU as anyone runs it, its RAM anonymous memory, saved as `virsh
// save` and `managedsave` do it: vCPUs stopped, everything into one stream.

import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { chmod, copyFile, mkdir, open, rm, stat, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { BoxId } from "#domain/ids.ts";
import { openAccelerators } from "#drivers/qemu/accelerator.ts";
import { JAIL_PATHS, vmmArguments } from "#drivers/qemu/args.ts";
import { connectQmp, type Qmp } from "#drivers/qemu/qmp.ts";
import { systemClock } from "#lib/clock.ts";
import type { VmRig } from "./vm-rig.ts";

const SAVE_TIMEOUT_MS = 2 * 60_000;
const POLL_MS = 2;
const MIB = 1024 * 1024;

export interface Save {
  /** From the stop of the vCPUs until the stream's last byte was written. */
  readonly pausedMs: number;
  /** And until it was on the disk. */
  readonly durableMs: number;
  readonly mib: number;
}

export class PlainQemu {
  readonly #process: ChildProcess;
  readonly #qmp: Qmp;
  readonly #directory: string;

  private constructor(process: ChildProcess, qmp: Qmp, directory: string) {
    this.#process = process;
    this.#qmp = qmp;
    this.#directory = directory;
  }

  /** A copy of the running box, as it is now; the box goes on. */
  static async copyOf(
    rig: VmRig,
    boxId: BoxId,
    shape: { memoryMib: number; cpus: number },
    directory: string,
  ): Promise<PlainQemu> {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    const stream = join(directory, "incoming");
    await copyOut(rig, boxId, stream, directory);
    const qmpPath = join(directory, "qmp.sock");
    // A network of its own, with nothing in it.
    const program = ["--net", "qemu-system-x86_64", ...(await argumentsOf(rig, shape, directory))];
    const child = spawn("unshare", program, { stdio: ["ignore", "ignore", "inherit"] });
    const qmp = await connected(qmpPath, child);
    await ended(qmp, "migrate-incoming", `exec:cat ${stream}`);
    await qmp.execute("cont");
    await rm(stream);
    return new PlainQemu(child, qmp, directory);
  }

  /** One save; the guest goes on afterwards. The file is gone after the account. */
  async save(): Promise<Save> {
    const path = join(this.#directory, "saved");
    const startedAt = performance.now();
    await this.#qmp.execute("stop");
    await ended(this.#qmp, "migrate", `exec:cat > ${path}`);
    const pausedMs = performance.now() - startedAt;
    const handle = await open(path, "r+");
    await handle.sync();
    await handle.close();
    const durableMs = performance.now() - startedAt;
    await this.#qmp.execute("cont");
    const { size } = await stat(path);
    await rm(path);
    return { pausedMs, durableMs, mib: size / MIB };
  }

  async close(): Promise<void> {
    this.#qmp.close();
    const gone = new Promise((done) => this.#process.once("exit", done));
    if (this.#process.exitCode === null && this.#process.kill("SIGKILL")) await gone;
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** The box's whole memory and state as one stream, and its disks of the same instant. */
async function copyOut(rig: VmRig, boxId: BoxId, stream: string, directory: string): Promise<void> {
  await rig.reopen();
  const sockets = rig.socketDirectory(boxId);
  const qmp = await connectQmp(join(sockets, "qmp.sock"), systemClock);
  const socketPath = join(sockets, "jail", "migrate.sock");
  await rm(socketPath, { force: true });
  const received = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    pipeline(socket, createWriteStream(stream)).then(received.resolve, received.reject);
  });
  await new Promise<void>((done) => server.listen(socketPath, done));
  await chmod(socketPath, 0o666);
  try {
    await capabilities(qmp, { events: true, "x-ignore-shared": false });
    await qmp.execute("stop");
    await ended(qmp, "migrate", `unix:${JAIL_PATHS.migrateSocket}`);
    await received.promise;
    for (const name of ["root.qcow2", "home.qcow2"])
      await copyFile(join(rig.stateDir, "boxes", boxId, "files", name), join(directory, name));
  } finally {
    await qmp.execute("cont");
    qmp.close();
    server.close();
  }
}

/** The box's machine, device for device, without jail and with plain memory. */
async function argumentsOf(
  rig: VmRig,
  { memoryMib, cpus }: { memoryMib: number; cpus: number },
  directory: string,
): Promise<string[]> {
  const accelerator = await openAccelerators({
    ...rig.driverOptions,
    bootId: "bench",
  }).choose();
  await symlink(rig.imageDirectory, join(directory, "image"));
  const ours = vmmArguments({
    accelerator: accelerator.kind,
    tscKhz: accelerator.kind === "tcg" ? accelerator.tscKhz : null,
    ...{ cpus, memoryMib, tapName: "none", qmpFd: 3, controlFd: 4, incoming: true },
  });
  const memory = `memory-backend-ram,id=ram,size=${memoryMib}M`;
  const replaced: [RegExp, string][] = [
    [/^memory-backend-file,.*/, memory],
    [/^tap,id=net,.*/, "tap,id=net,ifname=tap0,script=no,downscript=no"],
    [/^socket,id=qmp,fd=3,/, `socket,id=qmp,path=${join(directory, "qmp.sock")},`],
    [/^socket,id=control,fd=4,/, `socket,id=control,path=${join(directory, "control.sock")},`],
    [/\/box\//g, `${directory}/`],
    [/\/image\//g, `${directory}/image/`],
  ];
  const sandbox = ours.indexOf("-sandbox"); // Would forbid the `exec:` that the save goes through.
  return ours
    .filter((_, index) => index !== sandbox && index !== sandbox + 1)
    .map((argument) =>
      replaced.reduce((text, [pattern, by]) => text.replace(pattern, by), argument),
    );
}

async function connected(path: string, child: ChildProcess): Promise<Qmp> {
  for (;;) {
    if (child.exitCode !== null) throw new Error("the plain QEMU ended; see what it said above");
    const there = await stat(path).catch(() => null);
    const qmp = there ? await connectQmp(path, systemClock).catch(() => null) : null;
    if (!qmp) {
      await systemClock.sleep(POLL_MS);
      continue;
    }
    await capabilities(qmp, { events: true });
    // Its default is 128 MiB/s; `virsh save` lifts it too.
    await qmp.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 50 });
    return qmp;
  }
}

async function capabilities(qmp: Qmp, wanted: Readonly<Record<string, boolean>>): Promise<void> {
  await qmp.execute("migrate-set-capabilities", {
    capabilities: Object.entries(wanted).map(([capability, state]) => ({ capability, state })),
  });
}

async function ended(qmp: Qmp, command: "migrate" | "migrate-incoming", uri: string) {
  const over = Promise.withResolvers<string>();
  const stop = qmp.onEvent(({ name, data }) => {
    const status = String(data.status);
    if (name === "MIGRATION" && ["completed", "failed"].includes(status)) over.resolve(status);
  });
  qmp.closed.then(() => over.resolve("lost"));
  try {
    await qmp.execute(command, { uri });
    const status = await qmp.within(over.promise, SAVE_TIMEOUT_MS, command);
    if (status !== "completed") throw new Error(`plain QEMU: ${command} ${status}`);
  } finally {
    stop();
  }
}
