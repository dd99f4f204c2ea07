// What the host shows of a box: its record, held against what the kernel says.

import type { HostState, Notice } from "#domain/box.ts";
import type { BoxId } from "#domain/ids.ts";
import type { HostBox } from "../driver.ts";
import type { BoxRecord } from "./box-record.ts";
import { cutConsole, saidPowerOff } from "./console.ts";
import type { Host } from "./host.ts";
import { isAlive } from "./proc.ts";

/** Writes down how a VMM ended, the first time it is seen, unless an operation has the box in hand. */
export async function hostBoxOf(
  host: Host,
  boxId: BoxId,
  isBusy: () => boolean,
): Promise<HostBox | null> {
  const record = await host.boxes.read(boxId);
  if (!record) {
    const there = (await host.boxes.list()).includes(boxId);
    return there
      ? { boxId, epoch: 0, state: "absent", bootSerial: 0, pid: null, notices: [] }
      : null;
  }
  const { epoch, bootSerial } = record.run;
  const state = await stateOf(host, record);
  let notices = record.notices;
  if (state === "down" && record.vmm !== null && record.memoryFrom === null) {
    const ended = record.ended ?? (await howItEnded(host, record));
    if (!record.ended && !isBusy()) await host.boxes.write({ ...record, ended }, false);
    notices = [...notices, ended];
  }
  if (state !== "absent") await cutConsole(host.boxes.filesPath(boxId));
  const isUp = state === "up" || state === "ready" || state === "frozen";
  return { boxId, epoch, state, bootSerial, pid: isUp ? (record.vmm?.pid ?? null) : null, notices };
}

async function stateOf(host: Host, record: BoxRecord): Promise<HostState> {
  if (record.stage === "preparing") return "absent";
  if (!record.vmm || !(await isAlive(record.vmm, host.bootId))) return "down";
  if (record.freezing) return "frozen";
  return isAcknowledged(record, record.run.epoch) ? "ready" : "up";
}

export async function isReady(host: Host, record: BoxRecord, epoch: number): Promise<boolean> {
  return record.run.epoch === epoch && (await stateOf(host, record)) === "ready";
}

/** Has the guest in this very VMM acknowledged its identity for this epoch? */
function isAcknowledged({ acknowledged, vmm }: BoxRecord, epoch: number): boolean {
  return (
    acknowledged !== null &&
    vmm !== null &&
    acknowledged.epoch === epoch &&
    acknowledged.pid === vmm.pid &&
    acknowledged.startTicks === vmm.startTicks
  );
}

/** Why the VMM of a box that should run is gone, as well as the host can still tell. */
export async function howItEnded(host: Host, record: BoxRecord): Promise<Notice> {
  const atMs = host.clock.nowMs();
  const { boxId } = record.run;
  if (await saidPowerOff(host.boxes.filesPath(boxId))) {
    const message = "the guest shut itself down; the box boots again from its disks";
    return { code: "guest_shut_down", message, atMs };
  }
  let why = "its process was killed or crashed";
  if (record.vmm?.bootId !== host.bootId) why = "the host restarted";
  else if (await host.cgroups.ranOutOfMemory(boxId)) why = "it went over its memory limit";
  const message = `the VMM died: ${why}; memory is lost, the box boots again from its disks`;
  return { code: "vmm_died", message, atMs };
}
