// Boxes: made and read. How their intent changes is in box-intent.ts.

import { sql } from "kysely";
import type { Notice } from "#domain/box.ts";
import type { BoxId, SnapshotId, VolumeId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { concludeBoxes, nothingTold, type Told } from "./box-changes.ts";
import { type BoxRow, type BoxView, selectBoxRows, viewOf } from "./box-view.ts";
import { type Db, transact } from "./db.ts";
import { newId, newMachineId } from "./new-id.ts";
import { insertOperation, type OperationView } from "./operations.ts";
import { resolveVersion, type VersionRow } from "./templates.ts";
import { TOPICS } from "./wake.ts";

export interface AcceptedBox {
  readonly box: BoxView;
  readonly operation: OperationView;
}

export interface CreateBoxInput {
  /** Null: made up from the template's. */
  readonly name: string | null;
  /** Id or name. */
  readonly template: string;
  /** Null: the newest ready version, else the newest. */
  readonly version: number | null;
  readonly env: Readonly<Record<string, string>>;
  readonly region?: string | null;
  readonly labels?: Readonly<Record<string, string>>;
}

const HOME_PATH = "/home/dev";
const NAME_TRIES = 8;
const NAME_MAX = 40;

export async function createBox(
  db: Db,
  subject: Subject,
  input: CreateBoxInput,
): Promise<AcceptedBox> {
  return transact(db, "store.box.create", async (tx) => {
    const version = await resolveVersion(tx, subject, input.template, input.version);
    const prebuild = version.prebuild_state === "local" || version.prebuild_state === "durable";
    const told = nothingTold();
    const id = await insertBox(tx, subject, {
      name: input.name,
      baseName: version.template_name,
      kind: "user",
      version,
      env: input.env,
      region: input.region ?? null,
      labels: input.labels ?? {},
      source: prebuild ? { snapshotId: version.prebuild_snapshot_id, withMemory: true } : null,
      forkedFrom: null,
    });
    const operation = await insertOperation(tx, subject, {
      kind: "box.create",
      subjectKind: "box",
      subjectId: id,
      generation: 1,
    });
    told.topics.add(TOPICS.schedule);
    const [box] = await concludeNewBoxes(tx, subject, [id], told);
    if (!box) throw new Error(`box ${id} vanished in its own transaction`);
    return { box, operation };
  });
}

export interface NewBox {
  readonly name: string | null;
  readonly baseName: string;
  readonly kind: "user" | "builder";
  readonly version: Pick<VersionRow, "id" | "spec" | "image_digest">;
  readonly env: Readonly<Record<string, string>>;
  readonly region: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly source: { readonly snapshotId: SnapshotId | null; readonly withMemory: boolean } | null;
  readonly forkedFrom: BoxId | null;
  readonly notices?: readonly Notice[];
}

/** Writes the row and its home volume. A given name that is taken is refused; a made-up one is tried again. */
export async function insertBox(tx: Db, subject: Subject, box: NewBox): Promise<BoxId> {
  for (let attempt = 0; attempt < NAME_TRIES; attempt += 1) {
    const id = newId<BoxId>("box");
    const name = box.name ?? madeUpName(box.baseName, id);
    const { spec } = box.version;
    // One statement; `on conflict` keeps the transaction usable when the name is taken.
    const { rows } = await sql<{ id: BoxId }>`
      with made as (
        insert into boxes (id, org_id, owner_id, name, kind, template_version_id, forked_from_id, spec,
          cpus, memory_mib, disk_gib, region, labels, image_digest, env, machine_id, desired,
          source_snapshot_id, source_with_memory, notices, phase)
        values (${id}, ${subject.orgId}, ${subject.userId}, ${name}, ${box.kind}, ${box.version.id},
          ${box.forkedFrom}, ${JSON.stringify(spec)}::jsonb, ${spec.cpus}, ${spec.memoryMib},
          ${spec.rootDiskGib + spec.homeDiskGib}, ${box.region}, ${JSON.stringify(box.labels)}::jsonb,
          ${box.version.image_digest}, ${JSON.stringify(box.env)}::jsonb, ${newMachineId()}, 'running',
          ${box.source?.snapshotId ?? null}, ${box.source?.withMemory ?? false},
          ${JSON.stringify(box.notices ?? [])}::jsonb, 'creating')
        on conflict (org_id, name) where deleted_at is null do nothing returning id),
      home as (
        insert into volumes (id, org_id, owner_id, box_id, name, mount_path, size_gib)
        select ${newId<VolumeId>("volume")}, ${subject.orgId}, ${subject.userId}, id,
          ${`${name}-home`}, ${HOME_PATH}, ${spec.homeDiskGib} from made)
      select id from made`.execute(tx.query);
    if (rows[0]) return rows[0].id;
    if (box.name !== null)
      throw new StoreRefusal("name_taken", `There is already a box named '${box.name}'.`);
  }
  throw new StoreRefusal("name_taken", `No free name was found for '${box.baseName}'.`);
}

/** The last characters of the id: random, and the same on every try of the same request. */
function madeUpName(base: string, id: string): string {
  const suffix = id.slice(-5);
  return `${base.slice(0, NAME_MAX - suffix.length - 1).replace(/-+$/, "")}-${suffix}`;
}

export async function concludeNewBoxes(
  tx: Db,
  subject: Subject,
  ids: readonly BoxId[],
  told: Told,
): Promise<BoxView[]> {
  const rows = await selectBoxRows(tx, sql`b.id = any(${[...ids]}::text[])`);
  for (const id of ids) {
    const row = rows.find((candidate) => candidate.id === id);
    if (!row) continue;
    told.events.push({
      orgId: subject.orgId,
      kind: "box.created",
      subjectKind: "box",
      subjectId: id,
      boxId: id,
      actor: subject.userId,
      message: `${row.name} was created${row.forked_from_name ? ` as a fork of ${row.forked_from_name}` : ""}`,
      data: { template: row.template_name, version: row.version_number, phase: "creating" },
    });
  }
  const views = await concludeBoxes(tx, ids, told, subject.userId);
  return ids.flatMap((id) => views.find((view) => view.id === id) ?? []);
}

export interface ListBoxesFilter {
  /** Id of the last box of the page before; null for the first page. */
  readonly after: string | null;
  readonly limit: number;
  /** Id or name. */
  readonly template?: string | undefined;
}

/** Live boxes of users, in the order of their ids. */
export async function listBoxes(
  db: Db,
  subject: Subject,
  filter: ListBoxesFilter,
): Promise<BoxView[]> {
  const template = filter.template ?? null;
  const rows = await selectBoxRows(
    db,
    sql`b.org_id = ${subject.orgId} and b.deleted_at is null and b.kind = 'user'
      and b.id > ${filter.after ?? ""}
      and (${template}::text is null or t.id = ${template} or t.name = ${template})
      order by b.id limit ${filter.limit}`,
  );
  return rows.map(viewOf);
}

/** By id (also a deleted one's) or by name. */
export async function getBox(db: Db, subject: Subject, reference: string): Promise<BoxView> {
  return viewOf(await selectBoxRow(db, subject, reference));
}

export async function selectBoxRow(db: Db, subject: Subject, reference: string): Promise<BoxRow> {
  const rows = await selectBoxRows(
    db,
    sql`b.org_id = ${subject.orgId}
      and (b.id = ${reference} or (b.name = ${reference} and b.deleted_at is null))
      order by (b.id = ${reference}) desc limit 1`,
  );
  if (!rows[0]) throw new StoreRefusal("not_found", `There is no box '${reference}'.`);
  return rows[0];
}

/** Locks the row until the transaction ends, then reads it: what is decided on it cannot be stale. */
export async function lockBoxRow(tx: Db, subject: Subject, reference: string): Promise<BoxRow> {
  const { id } = await selectBoxRow(tx, subject, reference);
  await sql`select 1 from boxes where id = ${id} for no key update`.execute(tx.query);
  return selectBoxRow(tx, subject, id);
}

/** How many live boxes are in each phase. */
export async function countBoxes(db: Db, subject: Subject): Promise<Record<string, number>> {
  const { rows } = await sql<{ phase: string; count: number }>`
    select phase, count(*) as count from boxes
    where org_id = ${subject.orgId} and deleted_at is null and kind = 'user' group by phase`.execute(
    db.query,
  );
  return Object.fromEntries(rows.map((row) => [row.phase, row.count]));
}
