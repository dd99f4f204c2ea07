// Boxes: made and read. How their intent changes is in box-intent.ts.

import { sql } from "kysely";
import type { BoxId, OperationId, SnapshotId, TeamId, VolumeId } from "#domain/ids.ts";
import type { OperationKind } from "#domain/operation.ts";
import type { Permission, Subject } from "#domain/permission.ts";
import type { SnapshotState } from "#domain/phase.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { auditInsert, entryOfRequest, guarded } from "./audit.ts";
import { type BoxRow, type BoxView, selectBoxRows, viewOf } from "./box-view.ts";
import { type Db, isUniqueViolation, transact } from "./db.ts";
import { type Mutation, readAnswer } from "./idempotency.ts";
import { newId, newMachineId } from "./new-id.ts";
import type { OperationView } from "./operations.ts";
import { asRefusal } from "./raised.ts";
import { touch } from "./request.ts";
import { mayOnBox, permitCreate, permitOnBox } from "./rights.ts";
import { resolveTeam } from "./teams.ts";
import { resolveVersion, type VersionRow } from "./templates.ts";
import { CHANNEL, TOPICS } from "./wake.ts";

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
  /** Id or name of the team that it belongs to; null: only its owner's. */
  readonly team?: string | null;
}

const HOME_PATH = "/home/dev";
const NAME_TRIES = 8;
const NAME_MAX = 40;

/**
 * Creates a box under an Idempotency-Key in a single statement, and so in a single commit. `shape` makes the answer
 * that is kept and given again.
 */
export async function createBoxOnce<Answer>(
  db: Db,
  subject: Subject,
  mutation: Mutation | null,
  input: CreateBoxInput,
  shape: (accepted: AcceptedBox) => Answer,
): Promise<Answer> {
  try {
    const version = await resolveVersion(db, subject, input.template, input.version);
    const teamId = await resolveTeam(db, subject, input.team ?? null);
    permitCreate(subject, teamId);
    for (let attempt = 0; attempt < NAME_TRIES; attempt += 1) {
      const accepted = draftBox(subject, wantedBox(version, input, teamId));
      const answer = shape(accepted);
      await db.failpoints.hit("store.box.create.before_commit");
      const isMade = await writeBox(db, accepted, mutation && { ...mutation, answer });
      await db.failpoints.hit("store.box.create.committed");
      if (isMade) return answer;
      if (mutation) {
        const kept = await readAnswer<Answer>(db, subject, mutation);
        if (kept) return kept.answer;
      }
      await resolveTeam(db, subject, teamId);
      if (input.name !== null) throw nameTaken(input.name);
    }
    throw noFreeName(version.template_name);
  } catch (raised) {
    const error = await asRefusal(db, raised, subject);
    // What stands in the way now may be what the first request of this key has made.
    const isRefused = error instanceof StoreRefusal || isKeyConflict(error);
    const kept = mutation && isRefused ? await readAnswer<Answer>(db, subject, mutation) : null;
    if (kept) return kept.answer;
    throw error;
  }
}

export async function createBox(
  db: Db,
  subject: Subject,
  input: CreateBoxInput,
): Promise<AcceptedBox> {
  return transact(db, "store.box.create", async (tx) => {
    const version = await resolveVersion(tx, subject, input.template, input.version);
    const teamId = await resolveTeam(tx, subject, input.team ?? null);
    permitCreate(subject, teamId);
    return insertBox(tx, subject, wantedBox(version, input, teamId));
  });
}

function wantedBox(version: VersionRow, input: CreateBoxInput, teamId: TeamId | null): NewBox {
  const isPrebuilt = version.prebuild_state === "local" || version.prebuild_state === "durable";
  return {
    name: input.name,
    baseName: version.template_name,
    kind: "user",
    operation: "box.create",
    version,
    env: input.env,
    region: input.region ?? null,
    labels: input.labels ?? {},
    teamId,
    source:
      isPrebuilt && version.prebuild_snapshot_id !== null
        ? {
            snapshotId: version.prebuild_snapshot_id,
            state: version.prebuild_state,
            withMemory: true,
          }
        : null,
    forkedFrom: null,
  };
}

export interface NewBox {
  /** Null: made up from `baseName`. */
  readonly name: string | null;
  readonly baseName: string;
  readonly kind: "user" | "builder";
  readonly operation: OperationKind;
  readonly version: Pick<
    VersionRow,
    | "id"
    | "template_id"
    | "template_name"
    | "number"
    | "build"
    | "spec"
    | "image_digest"
    | "read_at"
  >;
  readonly env: Readonly<Record<string, string>>;
  readonly region: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly teamId: TeamId | null;
  readonly source: {
    readonly snapshotId: SnapshotId;
    readonly state: SnapshotState | null;
    readonly withMemory: boolean;
  } | null;
  readonly forkedFrom: { readonly id: BoxId; readonly name: string } | null;
}

interface DraftedBox extends AcceptedBox {
  readonly draft: BoxRow;
  readonly wanted: NewBox;
}

/** Writes it as a part of a transaction. A given name that is taken is refused; a made-up one is tried again. */
export async function insertBox(tx: Db, subject: Subject, box: NewBox): Promise<AcceptedBox> {
  for (let attempt = 0; attempt < NAME_TRIES; attempt += 1) {
    const accepted = draftBox(subject, box);
    if (await writeBox(tx, accepted, null))
      return { box: accepted.box, operation: accepted.operation };
    await resolveTeam(tx, subject, box.teamId);
    if (box.name !== null) throw nameTaken(box.name);
  }
  throw noFreeName(box.baseName);
}

function nameTaken(name: string): StoreRefusal {
  return new StoreRefusal("name_taken", `There is already a box named '${name}'.`);
}

function noFreeName(base: string): StoreRefusal {
  return new StoreRefusal("name_taken", `No free name was found for '${base}'.`);
}

function isKeyConflict(error: unknown): boolean {
  return isUniqueViolation(error, "idempotency_keys_pkey");
}

/** The last characters of the id: random, and the same on every try of the same request. */
function madeUpName(base: string, id: string): string {
  const suffix = id.slice(-5);
  return `${base.slice(0, NAME_MAX - suffix.length - 1).replace(/-+$/, "")}-${suffix}`;
}

/** The row as it will be, so that the answer is known before the one statement that writes it all. */
function draftBox(subject: Subject, wanted: NewBox): DraftedBox {
  const { version, source, forkedFrom } = wanted;
  const id = newId<BoxId>("box");
  const at = version.read_at;
  const draft: BoxRow = {
    ...{ id, org_id: subject.orgId, owner_id: subject.userId, team_id: wanted.teamId },
    ...{ kind: wanted.kind, env: wanted.env },
    name: wanted.name ?? madeUpName(wanted.baseName, id),
    ...{ template_id: version.template_id, template_name: version.template_name },
    ...{ template_version_id: version.id, version_number: version.number },
    ...{ version_build: version.build, spec: version.spec, image_digest: version.image_digest },
    ...{ desired: "running", generation: 1, boot_serial: 0, epoch: 0, reserved: false },
    ...{ node_id: null, node_name: null, node_status: null },
    source_snapshot_id: source?.snapshotId ?? null,
    source_with_memory: source?.withMemory ?? false,
    ...{ source_state: source?.state ?? null, source_box_id: null, restore_snapshot_id: null },
    ...{ rest_snapshot_id: null, rest_kind: null, rest_state: null, rest_epoch: null },
    ...{ rest_with_memory: null, rest_progress: null, rest_error: null },
    ...{ forked_from_id: forkedFrom?.id ?? null, forked_from_name: forkedFrom?.name ?? null },
    ...{ observed_state: null, observed_generation: -1, observed_boot_serial: null },
    ...{ observed_up: false, activity: null, fault: null, node_notices: [], notices: [] },
    ...{ observed_ports: null, previews: [] },
    ...{ renewal: null, started: null, build: null, failure: null, placement: null },
    ...{ phase: "creating", phase_reason: null, phase_since: at, last_safe_at: null },
    ...{ created_at: at, deleted_at: null },
  };
  const box = viewOf(draft);
  const operation: OperationView = {
    ...{ id: newId<OperationId>("operation"), kind: wanted.operation, subjectKind: "box" },
    ...{ subjectId: id, generation: 1, state: "running", error: null },
    ...{ createdAt: at, finishedAt: null },
  };
  return { box, operation, draft, wanted };
}

/**
 * Box, home volume, operation, event, remembered answer and wakes: one statement. False when it wrote nothing, because
 * the name or the key is taken, or the team gone; a key that is taken meanwhile fails the statement.
 */
async function writeBox(
  db: Db,
  { box, operation, draft, wanted }: DraftedBox,
  answer: (Mutation & { readonly answer: unknown }) | null,
): Promise<boolean> {
  const { spec } = draft;
  const message = `${box.name} was created${box.forkedFrom ? ` as a fork of ${box.forkedFrom.name}` : ""}`;
  const data = { template: box.template.name, version: box.template.version, phase: box.phase };
  touch(db, box.id);
  // In a transaction its end writes the entry.
  const request = db.committing === null ? db.request : null;
  const audited = request?.trail
    ? sql`, audited as (${auditInsert([entryOfRequest(request, "ok", null)], sql`made`)})`
    : sql``;
  const statement = sql`
    with made as (
      insert into boxes (id, org_id, owner_id, team_id, name, kind, template_version_id, forked_from_id, spec,
        cpus, memory_mib, disk_gib, gpus, region, labels, image_digest, env, machine_id, desired,
        source_snapshot_id, source_with_memory, phase, phase_reason, phase_since, created_at)
      select ${box.id}, ${box.orgId}, ${box.ownerId}, ${box.teamId}, ${box.name}, ${box.kind}, ${box.template.versionId},
        ${draft.forked_from_id}, ${JSON.stringify(spec)}::jsonb, ${spec.cpus}::integer,
        ${spec.memoryMib}::integer, ${spec.rootDiskGib + spec.homeDiskGib}::integer,
        ${spec.gpus ?? 0}::integer, ${wanted.region},
        ${JSON.stringify(wanted.labels)}::jsonb, ${box.imageDigest}, ${JSON.stringify(box.env)}::jsonb,
        ${newMachineId()}, 'running', ${draft.source_snapshot_id}, ${draft.source_with_memory}::boolean,
        ${box.phase}, ${box.reason}, ${draft.created_at}::timestamptz, ${draft.created_at}::timestamptz
      where not exists (select 1 from idempotency_keys where org_id = ${box.orgId}
        and user_id = ${box.ownerId} and key = ${answer?.key ?? null})
        and (${box.teamId}::text is null
          or exists (select 1 from teams where id = ${box.teamId} and deleted_at is null for key share))
      on conflict (org_id, name) where deleted_at is null do nothing returning id),
    home as (
      insert into volumes (id, org_id, owner_id, box_id, name, mount_path, size_gib)
      select ${newId<VolumeId>("volume")}, ${box.orgId}, ${box.ownerId}, id, ${`${box.name}-home`},
        ${HOME_PATH}, ${spec.homeDiskGib}::integer from made),
    receipt as (
      insert into operations (id, org_id, owner_id, kind, subject_kind, subject_id, generation, state, created_at)
      select ${operation.id}, ${box.orgId}, ${box.ownerId}, ${operation.kind}, 'box', id, 1, 'running',
        ${draft.created_at}::timestamptz from made),
    kept as (
      insert into idempotency_keys (org_id, user_id, key, request_hash, answer)
      select ${box.orgId}, ${box.ownerId}, ${answer?.key ?? null}::text, ${answer?.requestHash ?? null}::text,
        ${JSON.stringify(answer?.answer ?? null)}::jsonb
      from made where ${answer !== null}::boolean),
    told as (
      insert into events (org_id, kind, subject_kind, subject_id, box_id, actor, message, data)
      select ${box.orgId}, 'box.created', 'box', id, id, ${box.ownerId}, ${message},
        ${JSON.stringify(data)}::jsonb from made)${audited}
    select pg_notify(${CHANNEL}, topic)
    from made cross join unnest(${[TOPICS.events, TOPICS.schedule]}::text[]) as topic`;
  const { rows } = await guarded(() => statement.execute(db.query));
  const isMade = rows.length > 0;
  if (request?.trail && isMade) request.trail.isWritten = true;
  if (!isMade) db.request?.trail?.touched.delete(box.id);
  return isMade;
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
    sql`${mayOnBox(subject, "box.read")} and b.deleted_at is null and b.kind = 'user'
      and b.id > ${filter.after ?? ""}
      and (${template}::text is null or t.id = ${template} or t.name = ${template})
      order by b.id limit ${filter.limit}`,
  );
  return rows.map(viewOf);
}

/** By id (also a deleted one's) or by name. */
export async function getBox(
  db: Db,
  subject: Subject,
  reference: string,
  permission: Permission = "box.read",
): Promise<BoxView> {
  const row = await selectBoxRow(db, subject, reference);
  if (permission !== "box.read") await permitOnBox(db, subject, permission, row);
  return viewOf(row);
}

async function selectBoxRow(db: Db, subject: Subject, reference: string): Promise<BoxRow> {
  const rows = await selectBoxRows(
    db,
    sql`${mayOnBox(subject, "box.read")}
      and (b.id = ${reference} or (b.name = ${reference} and b.deleted_at is null))
      order by (b.id = ${reference}) desc limit 1`,
  );
  if (!rows[0]) throw new StoreRefusal("not_found", `There is no box '${reference}'.`);
  touch(db, rows[0].id);
  return rows[0];
}

/** Locks the row until the transaction ends, then reads it: what is decided on it cannot be stale. */
export async function lockBoxRow(
  tx: Db,
  subject: Subject,
  reference: string,
  permission: Permission,
): Promise<BoxRow> {
  const { id } = await selectBoxRow(tx, subject, reference);
  await sql`select 1 from boxes where id = ${id} for no key update`.execute(tx.query);
  const row = await selectBoxRow(tx, subject, id);
  await permitOnBox(tx, subject, permission, row);
  return row;
}

/** How many live boxes are in each phase. */
export async function countBoxes(db: Db, subject: Subject): Promise<Record<string, number>> {
  const { rows } = await sql<{ phase: string; count: number }>`
    select b.phase, count(*) as count from boxes b
    where ${mayOnBox(subject, "box.read")} and b.deleted_at is null and b.kind = 'user' group by 1`.execute(
    db.query,
  );
  return Object.fromEntries(rows.map((row) => [row.phase, row.count]));
}
