// A box in words: a row of a list, and everything about one.

import type { Box } from "#sdk/client.ts";
import { facts, table } from "./table.ts";
import { age } from "./terminal.ts";

export function boxTable(boxes: readonly Box[], nowMs: number): string {
  return table(
    ["NAME", "PHASE", "FOR", "TEMPLATE", "SIZE", "NODE", "NOTE"],
    boxes.map((box) => [
      box.name,
      box.phase,
      age(box.since, nowMs),
      `${box.template.name}:${box.template.version}`,
      sizeOf(box),
      box.node?.name ?? "-",
      noteOf(box),
    ]),
  );
}

export function sizeOf(box: Box): string {
  const gpus = box.spec.gpus > 0 ? `, ${box.spec.gpus} gpu` : "";
  return `${box.spec.cpus} cpu, ${memoryOf(box.spec.memoryMib)}${gpus}`;
}

function memoryOf(mib: number): string {
  return mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`;
}

/** The one thing worth saying in a list: a fault, a reason, whether a box at rest is safe, a notice. */
function noteOf(box: Box): string {
  if (box.fault) return box.fault.message;
  if (box.reason) return box.reason;
  if (box.snapshot) return durability(box);
  const notice = box.notices.at(-1);
  if (notice?.code === "emulated") return "emulated: slow, no security boundary";
  return notice?.message ?? "";
}

function durability(box: Box): string {
  if (!box.snapshot) return "";
  if (box.snapshot.durable) return "durable";
  return `not durable yet (${Math.floor(box.snapshot.progress * 100)} %)`;
}

export function boxDetails(box: Box, nowMs: number): string {
  const ago = (iso: string) => `${iso} (${age(iso, nowMs)} ago)`;
  return facts([
    ["name", box.name],
    ["id", box.id],
    ["phase", `${box.phase} for ${age(box.since, nowMs)}`],
    ["reason", box.reason],
    ["next", box.next],
    ["wanted", box.desired],
    ["template", `${box.template.name}, version ${box.template.version}`],
    [
      "size",
      `${sizeOf(box)}, root disk ${box.spec.rootDiskGib} GiB, home ${box.spec.homeDiskGib} GiB`,
    ],
    ["node", box.node ? box.node.name : null],
    ["placement", box.placement?.summary ?? null],
    [
      "snapshot",
      box.snapshot ? `${box.snapshot.kind} ${box.snapshot.id}, ${durability(box)}` : null,
    ],
    ["last safe", box.lastSafeAt ? ago(box.lastSafeAt) : null],
    ["fault", box.fault ? faultOf(box.fault) : null],
    ["notices", box.notices.map((notice) => `${notice.message} (${age(notice.at, nowMs)} ago)`)],
    ["came up", box.started ? `${box.started.how}: ${phasesOf(box.started.phasesMs)}` : null],
    ["renewed", box.renewal ? box.renewal.renewed.join(", ") : null],
    ["forked from", box.source.forkedFrom?.name ?? box.source.forkedFrom?.id ?? null],
    ["created", ago(box.createdAt)],
    ["generation", `${box.generation}, made true: ${box.observedGeneration}; epoch ${box.epoch}`],
  ]);
}

const PHASE_ORDER = ["prepare", "fetch", "launch", "restore", "boot", "answer", "sign", "renew"];

function phasesOf(phasesMs: Readonly<Record<string, number>>): string {
  const rank = (phase: string) => PHASE_ORDER.indexOf(phase) + 1 || PHASE_ORDER.length + 1;
  return Object.entries(phasesMs)
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([phase, ms]) => `${phase} ${Math.round(ms)} ms`)
    .join(", ");
}

function faultOf(fault: NonNullable<Box["fault"]>): string {
  const next = fault.nextAttemptAt ? `, next try at ${fault.nextAttemptAt}` : "";
  return `${fault.message} (${fault.code}, tried ${fault.attempts} times since ${fault.since}${next})`;
}
