// What the VM benches share: one host with a driver, boxes of a given memory, and a plain OpenSSH
// client that enters them through the driver.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FAST_SETTINGS } from "#cli/ssh.ts";
import type { BoxRun, BoxSource, SnapshotKind } from "#domain/box.ts";
import { type BoxId, makeId, type SnapshotId, type TemplateVersionId } from "#domain/ids.ts";
import type { LocalSnapshot, StartResult } from "#drivers/driver.ts";
import { createQemuDriver, type QemuDriver } from "#drivers/qemu/driver.ts";
import type { QemuDriverOptions } from "#drivers/qemu/host.ts";
import { openVmTestHost, TEST_SPEC, type VmTestHost } from "#drivers/qemu/vm-test-host.ts";
import { type Log, silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { makeSshKey } from "#lib/ssh-keys.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  signHostCertificate,
  signUserCertificate,
} from "#trust/ssh-certificates.ts";

const HOUR_MS = 3_600_000;
const random = (bytes: Uint8Array) => void crypto.getRandomValues(bytes);

/** What the driver logs of a snapshot with memory. */
export interface SnapshotTimes {
  /** From the seal to the renewal: nothing of the tenant's ran; null when the box came to rest. */
  readonly pausedMs: number | null;
  readonly phases: Readonly<Record<string, number>>;
}

export class VmRig {
  readonly #host: VmTestHost;
  readonly #log: Log = { ...silentLog, info: (fields) => this.#note(fields) };
  #driver: QemuDriver | null = null;
  /** Of the last snapshot with memory. */
  lastTimes: SnapshotTimes | null = null;
  readonly #authority = loadSshAuthority(makeSshAuthorityKey(), "bench");
  readonly #directory: string;
  readonly #epochs = new Map<BoxId, number>();

  private constructor(host: VmTestHost, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  static async open(): Promise<VmRig> {
    const host = await openVmTestHost();
    const rig = new VmRig(host, await mkdtemp(join(tmpdir(), "berth-bench-")));
    rig.#driver = await createQemuDriver({ ...host.options, log: rig.#log });
    return rig;
  }

  async close(): Promise<void> {
    for (const { boxId } of await this.driver.list()) await this.driver.destroy(boxId);
    for (const { snapshotId } of await this.driver.listSnapshots())
      await this.driver.removeSnapshot(snapshotId);
    await this.driver.sweep();
    await this.driver.close();
    await this.#host.close();
    await rm(this.#directory, { recursive: true });
  }

  get driver(): QemuDriver {
    if (!this.#driver) throw new Error("the rig is not open");
    return this.#driver;
  }

  get driverOptions(): QemuDriverOptions {
    return this.#host.options;
  }

  /** Where snapshots are; a file system with reflinks. */
  get stateDir(): string {
    return this.#host.stateDir;
  }

  get imageDirectory(): string {
    const name = this.#host.imageDigest.replace(/^sha256:/, "");
    return join(this.#host.options.imagesDir, name);
  }

  /** Another driver object: nothing holds the boxes' monitors; the boxes run on. */
  async reopen(options: Pick<QemuDriverOptions, "spareVmms"> = {}): Promise<void> {
    await this.driver.close();
    this.#driver = await createQemuDriver({ ...this.#host.options, ...options, log: this.#log });
  }

  /** Directory of the sockets of the box's VMM. */
  socketDirectory(boxId: BoxId): string {
    return join(this.#host.runDir, boxId);
  }

  #note(fields: object): void {
    if ("phases" in fields && "pausedMs" in fields) this.lastTimes = fields as SnapshotTimes;
  }

  async vmmPid(boxId: BoxId): Promise<number> {
    const pid = (await this.driver.inspect(boxId))?.pid;
    if (!pid) throw new Error(`box ${boxId} has no VMM`);
    return pid;
  }

  newBoxId(): BoxId {
    return makeId<BoxId>("box", random);
  }

  image(): BoxSource {
    return { kind: "image", imageDigest: this.#host.imageDigest };
  }

  /** Starts the box's next epoch; resolves when the guest acknowledged its identity. */
  async start(boxId: BoxId, source: BoxSource, memoryMib: number): Promise<StartResult> {
    const epoch = (this.#epochs.get(boxId) ?? 0) + 1;
    this.#epochs.set(boxId, epoch);
    const request: BoxRun = {
      ...{ boxId, epoch, source, bootSerial: 0 },
      spec: { ...TEST_SPEC, memoryMib },
      imageDigest: this.#host.imageDigest,
      templateVersionId: makeId<TemplateVersionId>("tv", random),
      identity: {
        boxId,
        hostName: "bench",
        machineId: Buffer.from(boxId).toString("hex").slice(-32),
        sshUserCa: this.#authority.publicKeyLine,
        sshPrincipals: [boxId],
        env: {},
      },
    };
    return await this.driver.start(request, {
      signHostKey: async (publicKeyLine) =>
        signHostCertificate(this.#authority, {
          publicKeyLine,
          keyId: boxId,
          principals: [`${boxId}.berth`],
          ...validity(),
        }),
    });
  }

  async snapshot(boxId: BoxId, kind: SnapshotKind): Promise<LocalSnapshot> {
    const snapshotId = makeId<SnapshotId>("snap", random);
    return await this.driver.snapshot(boxId, this.#epochs.get(boxId) ?? 0, {
      snapshotId,
      kind,
      withMemory: true,
    });
  }

  /** A whole new SSH connection with plain OpenSSH that runs `true`. */
  async ssh(boxId: BoxId, boxPort = 22): Promise<void> {
    const key = makeSshKey("bench");
    const keyPath = join(this.#directory, "key");
    await writeFile(keyPath, key.privateKeyOpenssh, { mode: 0o600 });
    await writeFile(
      `${keyPath}-cert.pub`,
      signUserCertificate(this.#authority, {
        publicKeyLine: key.publicKeyLine,
        keyId: "bench",
        principals: [boxId],
        ...validity(),
      }),
    );
    const known = join(this.#directory, "known_hosts");
    await writeFile(known, `${knownHostsLine(this.#authority.publicKeyLine, "*.berth")}\n`);
    const epoch = this.#epochs.get(boxId) ?? 0;
    const server = createServer((socket) => {
      socket.on("error", () => {});
      this.driver.connect(boxId, epoch, boxPort).then(
        (box) => {
          socket.once("close", () => box.destroy());
          box.pipe(socket).pipe(box);
        },
        () => socket.destroy(),
      );
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const port = (server.address() as { port: number }).port;
    try {
      await run(
        [
          "ssh",
          "-F",
          "none",
          "-i",
          keyPath,
          "-p",
          String(port),
          "-o",
          `UserKnownHostsFile=${known}`,
          "-o",
          `HostKeyAlias=${boxId}.berth`,
          "-o",
          "StrictHostKeyChecking=yes",
          "-o",
          "IdentitiesOnly=yes",
          ...FAST_SETTINGS.flatMap((setting) => ["-o", setting]), // As `berth ssh` has them.
          "dev@127.0.0.1",
          "true",
        ],
        { timeoutMs: 5 * 60_000 },
      );
    } finally {
      server.close();
    }
  }
}

function validity(): { notBeforeMs: number; notAfterMs: number } {
  const nowMs = Date.now();
  return { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + HOUR_MS };
}

export async function timedMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
