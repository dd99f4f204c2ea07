// What the VM benches share: one host with a driver, boxes of a given memory, and a plain OpenSSH
// client that enters them through the driver.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BoxRun, BoxSource, SnapshotKind } from "#domain/box.ts";
import { type BoxId, makeId, type SnapshotId, type TemplateVersionId } from "#domain/ids.ts";
import type { LocalSnapshot, StartResult } from "#drivers/driver.ts";
import type { QemuDriver } from "#drivers/qemu/driver.ts";
import { openVmTestHost, TEST_SPEC, type VmTestHost } from "#drivers/qemu/vm-test-host.ts";
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

export class VmRig {
  readonly #host: VmTestHost;
  readonly driver: QemuDriver;
  readonly #authority = loadSshAuthority(makeSshAuthorityKey(), "bench");
  readonly #directory: string;
  readonly #epochs = new Map<BoxId, number>();

  private constructor(host: VmTestHost, driver: QemuDriver, directory: string) {
    this.#host = host;
    this.driver = driver;
    this.#directory = directory;
  }

  static async open(): Promise<VmRig> {
    const host = await openVmTestHost();
    return new VmRig(host, await host.open(), await mkdtemp(join(tmpdir(), "berth-bench-")));
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
  async ssh(boxId: BoxId): Promise<void> {
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
      this.driver.connect(boxId, epoch, 22).then(
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
