// Snapshots, checkpoints and volumes.

import type { Snapshot } from "#contract/snapshots.ts";
import type { Volume } from "#contract/volumes.ts";
import { createCheckpoint, restoreCheckpoint } from "#store/checkpoints.ts";
import { answerOnce } from "#store/idempotency.ts";
import {
  type AcceptedSnapshot,
  deleteSnapshot,
  getSnapshot,
  listSnapshots,
  type SnapshotView,
} from "#store/snapshots.ts";
import { getVolume, listVolumes, type VolumeView } from "#store/volumes.ts";
import { shapeAccepted as shapeAcceptedBox } from "./boxes.ts";
import type { ApiContext } from "./context.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import type { Handlers } from "./route.ts";
import { shapeOperation } from "./shape-box.ts";

function shapeSnapshot(snapshot: SnapshotView): Snapshot {
  return {
    id: snapshot.id,
    kind: snapshot.kind,
    name: snapshot.name,
    state: snapshot.state,
    durable: snapshot.state === "durable",
    progress: Math.min(1, Math.max(0, snapshot.progress)),
    withMemory: snapshot.withMemory,
    box: snapshot.box,
    allocatedBytes: snapshot.allocatedBytes,
    storedBytes: snapshot.storedBytes,
    error: snapshot.error,
    createdAt: snapshot.createdAt.toISOString(),
  };
}

function shapeAccepted({ snapshot, operation }: AcceptedSnapshot) {
  return { snapshot: shapeSnapshot(snapshot), operation: shapeOperation(operation) };
}

export function snapshotHandlers(
  context: ApiContext,
): Pick<Handlers, Extract<keyof Handlers, `${"snapshots" | "checkpoints"}.${string}`>> {
  return {
    "checkpoints.create": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeAccepted(await createCheckpoint(tx, subject, params.box, body.name ?? null)),
      ),
    "checkpoints.restore": ({ db, subject, params, body, ifMatch, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeAcceptedBox(
          await restoreCheckpoint(tx, subject, params.box, body.snapshot, {
            ifGeneration: ifMatch,
          }),
          context,
        ),
      ),
    "snapshots.list": async ({ db, subject, query }) => {
      const { box, kind, limit } = query;
      const scope = ["snapshots", box ?? null, kind ?? null];
      const after = textPosition(scope, query.cursor);
      const rows = await listSnapshots(db, subject, { after, limit: limit + 1, box, kind });
      return pageFrom(rows, limit, scope, (one) => one.id, shapeSnapshot);
    },
    "snapshots.get": async ({ db, subject, params }) =>
      shapeSnapshot(await getSnapshot(db, subject, params.snapshot)),
    "snapshots.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeAccepted(await deleteSnapshot(tx, subject, params.snapshot)),
      ),
  };
}

function shapeVolume(volume: VolumeView): Volume {
  return {
    id: volume.id,
    name: volume.name,
    sizeGib: volume.sizeGib,
    box: volume.box,
    createdAt: volume.createdAt.toISOString(),
  };
}

export function volumeHandlers(): Pick<Handlers, Extract<keyof Handlers, `volumes.${string}`>> {
  return {
    "volumes.list": async ({ db, subject, query }) => {
      const scope = ["volumes", query.box ?? null];
      const after = textPosition(scope, query.cursor);
      const page = { after, limit: query.limit + 1, box: query.box };
      const rows = await listVolumes(db, subject, page);
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeVolume);
    },
    "volumes.get": async ({ db, subject, params }) =>
      shapeVolume(await getVolume(db, subject, params.volume)),
  };
}
