// Templates and their immutable versions. How a version is built is in builds.ts.

import { type RawBuilder, sql } from "kysely";
import type { Assignment } from "#contract/node-protocol.ts";
import type { BoxSpec } from "#domain/box.ts";
import type {
  BoxId,
  OrgId,
  SnapshotId,
  TemplateId,
  TemplateVersionId,
  UserId,
} from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import type { SnapshotState } from "#domain/phase.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import type { VersionState } from "./schema.ts";

export interface VersionView {
  readonly id: TemplateVersionId;
  readonly templateId: TemplateId;
  readonly number: number;
  readonly state: VersionState;
  readonly step: string | null;
  readonly error: string | null;
  readonly imageDigest: string;
  readonly spec: BoxSpec;
  readonly prebuild: { readonly snapshotId: SnapshotId; readonly state: SnapshotState } | null;
  readonly builderBoxId: BoxId | null;
  readonly createdAt: Date;
  readonly readyAt: Date | null;
}

export interface VersionDetail extends VersionView {
  readonly definition: Record<string, unknown>;
  readonly log: string;
}

export interface TemplateView {
  readonly id: TemplateId;
  readonly orgId: OrgId;
  readonly ownerId: UserId;
  readonly name: string;
  readonly latest: VersionView | null;
  /** The newest version that is ready. */
  readonly ready: VersionView | null;
  readonly createdAt: Date;
}

export interface VersionRow {
  readonly id: TemplateVersionId;
  readonly org_id: OrgId;
  readonly template_id: TemplateId;
  readonly template_name: string;
  readonly number: number;
  readonly definition: Record<string, unknown>;
  readonly image_digest: string;
  readonly spec: BoxSpec;
  readonly env: Record<string, string>;
  readonly build: NonNullable<Assignment["build"]>;
  readonly state: VersionState;
  readonly state_since: Date;
  readonly builder_box_id: BoxId | null;
  readonly prebuild_snapshot_id: SnapshotId | null;
  readonly prebuild_state: SnapshotState | null;
  readonly build_step: string | null;
  readonly build_log: string;
  readonly build_error: string | null;
  readonly created_at: Date;
  /** The database's clock when this was read. */
  readonly read_at: Date;
}

export async function selectVersions(
  db: Db,
  condition: RawBuilder<unknown>,
): Promise<VersionRow[]> {
  const { rows } = await sql<VersionRow>`
    select v.id, v.org_id, v.template_id, t.name as template_name, v.number, v.definition, v.image_digest,
      v.spec, v.env, v.build, v.state, v.state_since, v.builder_box_id, v.prebuild_snapshot_id,
      s.state as prebuild_state, v.build_step, v.build_log, v.build_error, v.created_at,
      clock_timestamp() as read_at
    from template_versions v
    join templates t on t.id = v.template_id
    left join snapshots s on s.id = v.prebuild_snapshot_id
    where ${condition}`.execute(db.query);
  return rows;
}

/** The version that a new box uses. Refuses one that is being built or could not be. */
export async function resolveVersion(
  db: Db,
  subject: Subject,
  template: string,
  number: number | null,
): Promise<VersionRow> {
  const [version] = await selectVersions(
    db,
    sql`v.org_id = ${subject.orgId} and t.deleted_at is null
      and (t.id = ${template} or t.name = ${template})
      and (${number}::integer is null or v.number = ${number})
      order by (v.state = 'ready') desc, v.number desc limit 1`,
  );
  if (!version) {
    const { name } = await getTemplate(db, subject, template);
    throw new StoreRefusal("not_found", `The template ${name} has no version ${number ?? "yet"}.`);
  }
  const name = `version ${version.number} of the template ${version.template_name}`;
  if (version.state === "building")
    throw new StoreRefusal("not_ready", `The ${name} is still being built.`);
  if (version.state === "failed")
    throw new StoreRefusal("not_now", `The ${name} could not be built: ${version.build_error}`);
  return version;
}

function versionView(row: VersionRow): VersionView {
  return {
    id: row.id,
    templateId: row.template_id,
    number: row.number,
    state: row.state,
    step: row.build_step,
    error: row.build_error,
    imageDigest: row.image_digest,
    spec: row.spec,
    prebuild:
      row.state === "ready" && row.prebuild_snapshot_id !== null
        ? { snapshotId: row.prebuild_snapshot_id, state: row.prebuild_state ?? "requested" }
        : null,
    builderBoxId: row.builder_box_id,
    createdAt: row.created_at,
    readyAt: row.state === "ready" ? row.state_since : null,
  };
}

interface TemplateRow {
  id: TemplateId;
  org_id: OrgId;
  owner_id: UserId;
  name: string;
  created_at: Date;
}

export async function listTemplates(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<TemplateView[]> {
  return selectTemplates(
    db,
    subject,
    sql`t.deleted_at is null and t.id > ${page.after ?? ""} order by t.id limit ${page.limit}`,
  );
}

/** By id or by name. */
export async function getTemplate(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<TemplateView> {
  const [template] = await selectTemplates(
    db,
    subject,
    sql`(t.id = ${reference} or (t.name = ${reference} and t.deleted_at is null))
      order by (t.id = ${reference}) desc limit 1`,
  );
  if (!template) throw new StoreRefusal("not_found", `There is no template '${reference}'.`);
  return template;
}

async function selectTemplates(
  db: Db,
  subject: Subject,
  condition: RawBuilder<unknown>,
): Promise<TemplateView[]> {
  const { rows } = await sql<TemplateRow>`
    select t.id, t.org_id, t.owner_id, t.name, t.created_at from templates t
    where t.org_id = ${subject.orgId} and ${condition}`.execute(db.query);
  const versions = await selectVersions(
    db,
    sql`v.template_id = any(${rows.map((row) => row.id) as string[]}::text[]) and v.number in (
      select max(w.number) from template_versions w where w.template_id = v.template_id
      union all
      select max(w.number) from template_versions w where w.template_id = v.template_id and w.state = 'ready')
      order by v.number desc`,
  );
  return rows.map((row) => {
    const own = versions.filter((version) => version.template_id === row.id).map(versionView);
    return {
      id: row.id,
      orgId: row.org_id,
      ownerId: row.owner_id,
      name: row.name,
      latest: own[0] ?? null,
      ready: own.find((version) => version.state === "ready") ?? null,
      createdAt: row.created_at,
    };
  });
}

/** Newest first; `before` is the number of the last version of the page before. */
export async function listVersions(
  db: Db,
  subject: Subject,
  template: string,
  page: { readonly before: number | null; readonly limit: number },
): Promise<VersionView[]> {
  const { id } = await getTemplate(db, subject, template);
  const rows = await selectVersions(
    db,
    sql`v.template_id = ${id} and (${page.before}::integer is null or v.number < ${page.before})
      order by v.number desc limit ${page.limit}`,
  );
  return rows.map(versionView);
}

export async function getVersion(
  db: Db,
  subject: Subject,
  template: string,
  number: number,
): Promise<VersionDetail> {
  const { id, name } = await getTemplate(db, subject, template);
  const [row] = await selectVersions(db, sql`v.template_id = ${id} and v.number = ${number}`);
  if (!row) throw new StoreRefusal("not_found", `The template ${name} has no version ${number}.`);
  return { ...versionView(row), definition: row.definition, log: row.build_log };
}
