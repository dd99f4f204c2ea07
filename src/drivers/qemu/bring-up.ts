// From complete files to a box that can be used: VMM, vCPUs, identity, and only then the network.

import { randomBytes } from "node:crypto";
import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BoxRun, Notice } from "#domain/box.ts";
import { DriverError, type StartOptions, type StartResult } from "../driver.ts";
import { type BoxRecord, withNotice } from "./box-record.ts";
import { BOX_FILES, clearConsole, clearRam, OLD_CONSOLE } from "./disk.ts";
import { GuestControlError } from "./guest-control.ts";
import { runGuestExec } from "./guest-exec.ts";
import type { Host } from "./host.ts";
import { boxLink } from "./network-rules.ts";
import { EXEC_PORT, openPort } from "./ports.ts";
import { STATE_FILE } from "./snapshot-dir.ts";
import type { Vmms } from "./vmm.ts";

/** A boot takes ten seconds under TCG on a quiet host. */
const BOOT_TIMEOUT_MS = 300_000;
const RESTORE_TIMEOUT_MS = 60_000;
const RENEW_TIMEOUT_MS = 120_000;
const DISKS_TIMEOUT_MS = 60_000;
const GIB = 1024 ** 3;

/** Milliseconds per phase, in the order in which they passed. */
export class Phases {
  readonly #host: Host;
  readonly #phases: Record<string, number> = {};
  #sinceMs: number;
  constructor(host: Host) {
    this.#host = host;
    this.#sinceMs = host.clock.monotonicMs();
  }
  end(phase: string): void {
    const nowMs = this.#host.clock.monotonicMs();
    this.#phases[phase] = Math.round((nowMs - this.#sinceMs) * 10) / 10;
    this.#sinceMs = nowMs;
  }
  all(): Readonly<Record<string, number>> {
    return this.#phases;
  }
}

/** Restores the memory that the files came with. Nothing of the tenant's runs: the snapshot is sealed. */
export async function restoreBox(
  host: Host,
  vmms: Vmms,
  record: BoxRecord,
  phases: Phases,
  signal: AbortSignal | undefined,
): Promise<BoxRecord> {
  if (!record.memoryFrom) throw new Error("no memory to restore");
  const statePath = join(host.snapshots.path(record.memoryFrom), STATE_FILE);
  const launched = await vmms.launch(record, true);
  phases.end("launch");
  await vmms.restore(launched, statePath);
  await host.failpoints.hit("driver.restore.loaded");
  vmms.openGuest(launched); // Before the vCPUs run, so that the guest finds a host.
  if (record.mustGrow) await growDisks(vmms, launched);
  const qmp = await vmms.monitor(launched);
  await qmp.execute("cont");
  phases.end("restore");
  // Until the renewal nothing of the tenant's runs, so this may be written down while the guest wakes up.
  const released: BoxRecord = { ...launched, memoryFrom: null };
  await Promise.all([
    answered(launched, () => vmms.guest(launched, RESTORE_TIMEOUT_MS, signal)),
    host.boxes.write(released, true),
  ]);
  phases.end("answer");
  await host.failpoints.hit("driver.restore.running");
  return released;
}

/** Boots from the disks, with empty RAM. */
export async function bootBox(
  host: Host,
  vmms: Vmms,
  record: BoxRecord,
  phases: Phases,
  signal: AbortSignal | undefined,
): Promise<BoxRecord> {
  const files = host.boxes.filesPath(record.run.boxId);
  await clearRam(files, record.run.spec.memoryMib);
  await keepOldConsole(files);
  const launched = await vmms.launch(record, false);
  phases.end("launch");
  if (record.mustGrow) await growDisks(vmms, launched);
  await answered(launched, () => vmms.guest(launched, BOOT_TIMEOUT_MS, signal));
  phases.end("boot");
  return launched;
}

/** The guest of a VMM that runs already, perhaps in the middle of its boot. */
export async function waitForGuest(
  vmms: Vmms,
  record: BoxRecord,
  signal: AbortSignal | undefined,
): Promise<void> {
  await answered(record, () => vmms.guest(record, BOOT_TIMEOUT_MS, signal));
}

async function keepOldConsole(files: string): Promise<void> {
  const path = join(files, BOX_FILES.console);
  const size = await stat(path).then(
    (file) => file.size,
    () => 0,
  );
  if (size > 0) await rename(path, join(files, OLD_CONSOLE));
  await clearConsole(files);
}

async function growDisks(vmms: Vmms, record: BoxRecord): Promise<void> {
  const qmp = await vmms.monitor(record);
  const { rootDiskGib, homeDiskGib } = record.run.spec;
  await qmp.execute("block_resize", { "node-name": "root", size: rootDiskGib * GIB });
  await qmp.execute("block_resize", { "node-name": "home", size: homeDiskGib * GIB });
}

/**
 * Gives the guest its identity for `run.epoch` and opens the network once it acknowledged. Fails closed: without the
 * acknowledgement the network stays shut and the box is never ready.
 */
export async function renew(
  host: Host,
  vmms: Vmms,
  record: BoxRecord,
  run: BoxRun,
  certificate: string,
  how: StartResult["how"],
  phases: Phases,
  sshAuthorizedKeys: readonly string[] = [],
): Promise<BoxRecord> {
  if (!record.vmm || record.slot === null) throw new Error("no VMM to renew");
  // The same for the same epoch: what was opened with it before a snapshot stays open after.
  const held = record.acknowledged?.epoch === run.epoch ? record.acknowledged : null;
  const execToken = held?.execToken ?? randomBytes(32).toString("hex");
  const guest = await answered(record, () => vmms.guest(record));
  const { identity } = run;
  await host.failpoints.hit("driver.renew.begun");
  const ask = async () => {
    const answer = await answered(record, () =>
      guest.renew(
        {
          ...{ epoch: run.epoch, execToken, boxId: run.boxId, sshHostCertificate: certificate },
          hostName: identity.hostName,
          machineId: identity.machineId,
          sshHostKey: record.sshHostKey.privateKey,
          sshHostPublicKey: record.sshHostKey.publicKey,
          sshUserCa: identity.sshUserCa,
          sshPrincipals: identity.sshPrincipals,
          sshAuthorizedKeys,
          env: identity.env,
        },
        RENEW_TIMEOUT_MS,
      ),
    );
    await host.failpoints.hit("driver.renew.acknowledged");
    return answer;
  };
  const ack = await openWhenAcknowledged(host, record.slot, ask());
  if (record.mustGrow) {
    await seeDisks(host, record, execToken);
    await answered(record, () => guest.grow());
  }
  phases.end("renew");
  const ready: BoxRecord = {
    ...record,
    run,
    mustGrow: false,
    sshHostCertificate: certificate,
    ...(certificate !== record.sshHostCertificate && { certifiedAtMs: host.clock.nowMs() }),
    freezing: null,
    notices: await emulatedNotice(host, record.notices),
    acknowledged: {
      ...{ epoch: run.epoch, execToken, how, phases: phases.all() },
      ...{ pid: record.vmm.pid, startTicks: record.vmm.startTicks },
      renewal: {
        renewed: ack.renewed,
        sshHostKey: record.sshHostKey.publicKey,
        at: host.clock.nowMs(),
      },
    },
  };
  await host.boxes.write(ready, true);
  await host.failpoints.hit("driver.renew.recorded");
  return ready;
}

/** What opens the network is started while the guest is at its renewal: starting it takes longer than its work. */
async function openWhenAcknowledged<T>(host: Host, slot: number, asked: Promise<T>): Promise<T> {
  const opened = host.networks.open(
    slot,
    asked.then(() => {}),
  );
  const [answer] = await Promise.allSettled([asked, opened]);
  if (answer.status === "rejected") throw answer.reason;
  await opened;
  return answer.value;
}

/** Waits until the guest's kernel has seen its disks grow: it is told by an interrupt, some time after the VMM knew. */
async function seeDisks(host: Host, record: BoxRecord, execToken: string): Promise<void> {
  const { rootDiskGib, homeDiskGib } = record.run.spec;
  const { boxAddress } = boxLink(host.owner, record.slot ?? -1);
  const argv = ["cat", "/sys/block/vda/size", "/sys/block/vdb/size"];
  const endMs = host.clock.monotonicMs() + DISKS_TIMEOUT_MS;
  for (;;) {
    const stream = await openPort(boxAddress, EXEC_PORT, execToken, host.clock);
    const request = { argv, user: "root" };
    const { stdout } = await runGuestExec(stream, request, { clock: host.clock, token: null });
    const [root = 0, home = 0] = stdout.split("\n").map((sectors) => Number(sectors) * 512);
    if (root >= rootDiskGib * GIB && home >= homeDiskGib * GIB) return;
    if (host.clock.monotonicMs() > endMs) {
      const message = `box ${record.run.boxId}: its disks did not grow: ${stdout.trim()} sectors`;
      throw new DriverError("guest_unreachable", message, true);
    }
    await host.clock.sleep(50);
  }
}

/** Signs while the VMM comes up; the rejection is seen by whoever awaits it. */
export function beginSigning(record: BoxRecord, options: StartOptions): Promise<string> {
  const signing = options.signHostKey(record.sshHostKey.publicKey);
  signing.catch(() => {});
  return signing;
}

async function emulatedNotice(host: Host, notices: readonly Notice[]): Promise<readonly Notice[]> {
  const { kind, reason } = await host.accelerators.choose();
  if (kind === "kvm" || notices.some(({ code }) => code === "emulated")) return notices;
  return withNotice(notices, { code: "emulated", message: reason, atMs: host.clock.nowMs() });
}

/** What the guest says, or the driver's own fault when it refuses or is silent. */
export async function answered<T>(record: BoxRecord, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof GuestControlError)) throw error;
    const code = error.code === "refused" ? "renewal_failed" : "guest_unreachable";
    const message = `box ${record.run.boxId}: ${error.message}; see its console`;
    throw new DriverError(code, message, true);
  }
}
