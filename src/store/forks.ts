// Forks: one snapshot of the parent, and new boxes that start from it.

import { sql } from "kysely";
import { mayCreateIn, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { bumpRevisions, nothingTold } from "./box-changes.ts";
import { refuseDeleted } from "./box-intent.ts";
import { type BoxRow, viewOf } from "./box-view.ts";
import { type AcceptedBox, insertBox, lockBoxRow, type NewBox } from "./boxes.ts";
import { type Db, transact } from "./db.ts";
import { permitCreate } from "./rights.ts";
import { requestSnapshot } from "./snapshot-requests.ts";
import { selectVersions, type VersionRow } from "./templates.ts";
import { wake } from "./wake.ts";

export interface ForkInput {
  readonly count: number;
  /** One for each, or null: made up from the parent's name. */
  readonly names: readonly string[] | null;
}

/** Children in the order of `names`, all from one instant of the parent. */
export async function forkBox(
  db: Db,
  subject: Subject,
  reference: string,
  input: ForkInput,
): Promise<AcceptedBox[]> {
  return transact(db, "store.box.fork", async (tx) => {
    // A fork has all that is in its parent: who may not enter the one may not have the other.
    const parent = await lockBoxRow(tx, subject, reference, "box.enter");
    const teamId = mayCreateIn(subject, parent.team_id) ? parent.team_id : null;
    permitCreate(subject, teamId);
    refuseFork(parent);
    const told = nothingTold();
    const source = await chooseSource(tx, parent);
    const version = await readVersion(tx, parent);
    const forks: AcceptedBox[] = [];
    for (let index = 0; index < input.count; index += 1)
      forks.push(
        await insertBox(tx, subject, {
          name: input.names?.[index] ?? null,
          baseName: parent.name,
          kind: "user",
          operation: "box.fork",
          // The parent's shape, which is not that of a newer version.
          version: { ...version, spec: parent.spec, image_digest: parent.image_digest },
          env: parent.env,
          region: null,
          labels: {},
          teamId,
          source,
          forkedFrom: { id: parent.id, name: parent.name },
        }),
      );
    if (parent.reserved) await bumpRevisions(tx, [parent.node_id], told);
    await wake(tx, [...told.topics]);
    return forks;
  });
}

async function readVersion(tx: Db, parent: BoxRow): Promise<VersionRow> {
  const [version] = await selectVersions(tx, sql`v.id = ${parent.template_version_id}`);
  if (!version) throw new Error(`${parent.id} has no template version`);
  return version;
}

function refuseFork(parent: BoxRow): void {
  refuseDeleted(parent);
  const { phase } = viewOf(parent);
  if (parent.kind === "builder" || parent.failure)
    throw new StoreRefusal("not_now", `${parent.name} is ${phase} and cannot be forked.`);
  const isLive = parent.reserved && parent.observed_state === "ready";
  if (parent.reserved && parent.rest_snapshot_id === null && !isLive)
    throw new StoreRefusal(
      "not_ready",
      `${parent.name} is ${phase}: fork it when it is running, paused or stopped.`,
    );
}

/** At rest (or coming to it): the rest snapshot. Live: a new snapshot. Never started: what it would start from. */
async function chooseSource(tx: Db, parent: BoxRow): Promise<NewBox["source"]> {
  if (!parent.reserved)
    return parent.source_snapshot_id === null
      ? null
      : {
          snapshotId: parent.source_snapshot_id,
          state: parent.source_state,
          withMemory: parent.source_with_memory,
        };
  if (parent.rest_snapshot_id !== null)
    return {
      snapshotId: parent.rest_snapshot_id,
      state: parent.rest_state,
      withMemory: parent.rest_with_memory === true && parent.desired !== "stopped",
    };
  const snapshotId = await requestSnapshot(tx, parent, { kind: "fork", withMemory: true });
  return { snapshotId, state: "requested", withMemory: true };
}
