// A login or a request at a gateway waits for a box at rest: it is started, for whoever waits.

import { sql } from "kysely";
import type { WakeRequest } from "#contract/gateway-feed.ts";
import type { DesiredState, Phase } from "#domain/box.ts";
import type { BoxId, OrgId, TeamId, UserId } from "#domain/ids.ts";
import { doorSubject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { insertAuditEntries } from "./audit.ts";
import { setDesired } from "./box-intent.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { isRevoked } from "./revocations.ts";
import { permitOnBox } from "./rights.ts";
import { loadSubject } from "./subjects.ts";

interface SleepingBox {
  id: BoxId;
  name: string;
  org_id: OrgId;
  owner_id: UserId;
  team_id: TeamId | null;
  desired: DesiredState;
  phase: Phase;
}

/** Changes nothing when the box is wanted running already: a failed one is its user's to try again. */
export async function wakeBox(db: Db, wanted: WakeRequest): Promise<Phase> {
  return transact(db, "store.box.wake", async (tx) => {
    const { rows } = await sql<SleepingBox>`
      select id, name, org_id, owner_id, team_id, desired, phase from boxes
      where id = ${wanted.boxId} and deleted_at is null and kind = 'user' for no key update`.execute(
      tx.query,
    );
    const box = rows[0];
    if (!box) throw new StoreRefusal("not_found", `There is no box '${wanted.boxId}'.`);
    await refuseStranger(tx, box, wanted);
    if (box.desired === "deleted") throw new StoreRefusal("not_now", `${box.name} is deleted.`);
    if (box.desired === "running") return box.phase;
    const userId = (wanted.userId ?? box.owner_id) as UserId;
    const who = wanted.userId === null ? "a visitor of a preview" : `its ${wanted.door} door`;
    await insertEvents(tx, [
      {
        orgId: box.org_id,
        kind: "box.woken",
        subjectKind: "box",
        subjectId: box.id,
        boxId: box.id,
        actor: wanted.userId,
        message: `${box.name} is woken by ${who}`,
        data: { door: wanted.door },
      },
    ]);
    await insertAuditEntries(tx, [
      {
        ...{ orgId: box.org_id, verb: "boxes.wake", outcome: "ok", actorId: wanted.userId },
        ...{ credentialId: wanted.credentialId, touched: [box.id], data: { door: wanted.door } },
      },
    ]);
    const subject = doorSubject(box.org_id, userId);
    return (await setDesired(tx, subject, box.id, "start")).box.phase;
  });
}

/** The gateway has let them in; it may not have heard the latest. */
async function refuseStranger(tx: Db, box: SleepingBox, wanted: WakeRequest): Promise<void> {
  if (wanted.credentialId !== null && (await isRevoked(tx, wanted.credentialId)))
    throw new StoreRefusal("revoked", "What let you in was taken back.");
  const isLetIn =
    wanted.userId === null
      ? wanted.door === "preview" && (await isOpenToVisitors(tx, box))
      : await mayEnter(tx, box, wanted);
  if (!isLetIn) throw new StoreRefusal("not_found", `There is no box '${wanted.boxId}'.`);
}

/** Into the box itself, or to a preview of it that is the organization's. */
async function mayEnter(tx: Db, box: SleepingBox, wanted: WakeRequest): Promise<boolean> {
  const subject = await loadSubject(tx, wanted.userId ?? "", box.org_id);
  if (!subject) return false;
  if (wanted.door === "preview" && (await isOpenToMembers(tx, box))) return true;
  try {
    await permitOnBox(tx, subject, "box.enter", box);
    return true;
  } catch (error) {
    if (error instanceof StoreRefusal) return false;
    throw error;
  }
}

async function isOpenToMembers(tx: Db, box: SleepingBox): Promise<boolean> {
  const { rows } = await sql`
    select 1 from previews where box_id = ${box.id} and closed_at is null
      and visibility in ('org', 'public') limit 1`.execute(tx.query);
  return rows.length > 0;
}

async function isOpenToVisitors(tx: Db, box: SleepingBox): Promise<boolean> {
  const { rows } = await sql`
    select 1 from previews p where p.box_id = ${box.id} and p.closed_at is null
      and (p.visibility = 'public' or exists (select 1 from preview_links l
        where l.preview_id = p.id and l.revoked_at is null and l.expires_at > now()))
    limit 1`.execute(tx.query);
  return rows.length > 0;
}
