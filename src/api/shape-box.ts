// A box as the store has it becomes a box as the contract says it.

import type { Box } from "#contract/boxes.ts";
import type { Operation } from "#contract/operations.ts";
import { type PreviewPlace, previewUrl } from "#domain/preview.ts";
import type { BoxView } from "#store/box-view.ts";
import type { OperationView } from "#store/operations.ts";

export function shapeBox(box: BoxView, place: PreviewPlace): Box {
  return {
    id: box.id,
    name: box.name,
    phase: box.phase,
    reason: box.reason,
    since: box.since.toISOString(),
    next: box.next,
    desired: box.desired,
    generation: box.generation,
    observedGeneration: box.observedGeneration,
    epoch: box.epoch,
    template: box.template,
    spec: {
      cpus: box.spec.cpus,
      memoryMib: box.spec.memoryMib,
      rootDiskGib: box.spec.rootDiskGib,
      homeDiskGib: box.spec.homeDiskGib,
      gpus: box.spec.gpus ?? 0,
    },
    node: box.node && { id: box.node.id, name: box.node.name },
    snapshot: box.rest && {
      id: box.rest.id,
      kind: box.rest.kind,
      durable: box.rest.state === "durable",
      progress: box.rest.progress,
    },
    lastSafeAt: box.lastSafeAt?.toISOString() ?? null,
    fault: shapeFault(box),
    notices: box.notices.map(({ code, message, atMs }) => ({ code, message, at: timeOf(atMs) })),
    renewal: box.renewal && {
      renewed: box.renewal.renewed,
      sshHostKey: box.renewal.sshHostKey,
      at: timeOf(box.renewal.at),
    },
    started: box.started && { how: box.started.how, phasesMs: box.started.phases },
    ports: box.ports.map(({ port, isLoopback, program, label }) => ({
      ...{ port, isLoopback, program },
      previewUrl: label === null ? null : previewUrl(place, port, label),
    })),
    source: { forkedFrom: box.forkedFrom, snapshotId: box.source?.snapshotId ?? null },
    placement: box.placement && {
      summary: box.placement.summary,
      at: timeOf(box.placement.atMs),
      candidates: box.placement.candidates.map((one) => ({ ...one, reasons: [...one.reasons] })),
    },
    createdAt: box.createdAt.toISOString(),
    owner: box.ownerId,
    team: box.teamId,
    org: box.orgId,
  };
}

function shapeFault({ fault }: BoxView): Box["fault"] {
  if (!fault) return null;
  const { code, message, retryable, attempts, sinceMs, nextAttemptMs } = fault;
  return {
    code,
    message,
    retryable,
    attempts,
    since: timeOf(sinceMs),
    nextAttemptAt: nextAttemptMs === null ? null : timeOf(nextAttemptMs),
  };
}

export function shapeOperation(operation: OperationView): Operation {
  return {
    id: operation.id,
    kind: operation.kind,
    state: operation.state,
    resource: { type: operation.subjectKind, id: operation.subjectId },
    generation: operation.generation,
    error: operation.error,
    createdAt: operation.createdAt.toISOString(),
    finishedAt: operation.finishedAt?.toISOString() ?? null,
  };
}

/** A node's clock may say anything: a time that the contract cannot write must not break the answer. */
function timeOf(ms: number): string {
  return new Date(
    Number.isFinite(ms) ? Math.min(YEAR_10000_MS - 1, Math.max(0, ms)) : 0,
  ).toISOString();
}

const YEAR_10000_MS = 253_402_300_800_000;
