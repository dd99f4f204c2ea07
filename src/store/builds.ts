// Template versions are written and built here. A build is a box (kind builder) that boots the base image, runs
// the steps, and is frozen into the prebuild snapshot that new boxes start from.

import { sql } from "kysely";
import type { TemplateId, TemplateVersionId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { planBuild, type TemplateRecipe } from "#domain/template.ts";
import { bumpRevisions, concludeBoxes, nothingTold, type Told } from "./box-changes.ts";
import { selectBoxRows } from "./box-view.ts";
import { insertBox } from "./boxes.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { newId } from "./new-id.ts";
import { finishOperations, insertOperation, type OperationView } from "./operations.ts";
import { finishDeletion } from "./settle.ts";
import { requestSnapshot } from "./snapshot-requests.ts";
import { getTemplate, selectVersions, type TemplateView, type VersionRow } from "./templates.ts";
import { TOPICS } from "./wake.ts";

export interface AcceptedTemplate {
  readonly template: TemplateView;
  readonly operation: OperationView;
}

export interface CreateTemplateInput {
  /** Every default filled in, as contract/templates.ts parses it. */
  readonly definition: TemplateRecipe;
  /** What `definition.base` resolves to. */
  readonly imageDigest: string;
}

/** Makes the template or a new version of it, and asks for its build. An equal definition makes no new version. */
export async function createTemplate(
  db: Db,
  subject: Subject,
  input: CreateTemplateInput,
): Promise<AcceptedTemplate> {
  return transact(db, "store.template.create", async (tx) => {
    const templateId = await upsertTemplate(tx, subject, input.definition.name);
    const [latest] = await selectVersions(
      tx,
      sql`v.template_id = ${templateId} and v.number = t.last_number
        and v.image_digest = ${input.imageDigest}
        and v.definition = ${JSON.stringify(input.definition)}::jsonb`,
    );
    const versionId = latest?.id ?? (await insertVersion(tx, subject, templateId, input));
    return buildVersion(tx, subject, versionId);
  });
}

/** Builds a version again that failed; any other only gets a receipt. */
export async function requestBuild(
  db: Db,
  subject: Subject,
  template: string,
  number: number,
): Promise<AcceptedTemplate> {
  return transact(db, "store.template.build", async (tx) => {
    const { id, name } = await getTemplate(tx, subject, template);
    const [version] = await selectVersions(tx, sql`v.template_id = ${id} and v.number = ${number}`);
    if (!version)
      throw new StoreRefusal("not_found", `The template ${name} has no version ${number}.`);
    return buildVersion(tx, subject, version.id);
  });
}

async function upsertTemplate(tx: Db, subject: Subject, name: string): Promise<TemplateId> {
  await sql`
    insert into templates (id, org_id, owner_id, name)
    values (${newId<TemplateId>("template")}, ${subject.orgId}, ${subject.userId}, ${name})
    on conflict (org_id, name) where deleted_at is null do nothing`.execute(tx.query);
  const { rows } = await sql<{ id: TemplateId }>`
    select id from templates where org_id = ${subject.orgId} and name = ${name} and deleted_at is null
    for no key update`.execute(tx.query);
  if (!rows[0]) throw new StoreRefusal("not_ready", `The template ${name} is being deleted.`);
  return rows[0].id;
}

async function insertVersion(
  tx: Db,
  subject: Subject,
  templateId: TemplateId,
  input: CreateTemplateInput,
): Promise<TemplateVersionId> {
  const { definition } = input;
  const { rows } = await sql<{ number: number }>`
    update templates set last_number = last_number + 1 where id = ${templateId}
    returning last_number as number`.execute(tx.query);
  const id = newId<TemplateVersionId>("templateVersion");
  await tx.query
    .insertInto("template_versions")
    .values({
      id,
      org_id: subject.orgId,
      template_id: templateId,
      number: rows[0]?.number ?? 1,
      definition: JSON.stringify(definition),
      image_digest: input.imageDigest,
      spec: JSON.stringify(definition.size),
      env: JSON.stringify(definition.env),
      hooks: JSON.stringify(definition.hooks),
      build: JSON.stringify({ steps: planBuild(definition) }),
      state: "unbuilt",
    })
    .execute();
  return id;
}

async function buildVersion(
  tx: Db,
  subject: Subject,
  versionId: TemplateVersionId,
): Promise<AcceptedTemplate> {
  await sql`select 1 from template_versions where id = ${versionId} for no key update`.execute(
    tx.query,
  );
  const [version] = await selectVersions(tx, sql`v.id = ${versionId}`);
  if (!version) throw new StoreRefusal("not_found", "The template was deleted meanwhile.");
  const told = nothingTold();
  if (version.state === "unbuilt" || version.state === "failed")
    await startBuilder(tx, subject, version, told);
  const operation = await insertOperation(tx, subject, {
    kind: "template.build",
    subjectKind: "template_version",
    subjectId: versionId,
    state: version.state === "ready" ? "succeeded" : "running",
  });
  await insertEvents(tx, told.events, [...told.topics]);
  return { template: await getTemplate(tx, subject, version.template_id), operation };
}

async function startBuilder(
  tx: Db,
  subject: Subject,
  version: VersionRow,
  told: Told,
): Promise<void> {
  const { box: builder } = await insertBox(tx, subject, {
    name: null,
    baseName: `build-${version.template_name}-${version.number}`,
    kind: "builder",
    operation: "box.create",
    version,
    env: {},
    region: null,
    labels: {},
    teamId: null,
    source: null,
    forkedFrom: null,
  });
  await tx.query
    .updateTable("template_versions")
    .set({
      state: "building",
      state_since: sql<Date>`now()`,
      builder_box_id: builder.id,
      prebuild_snapshot_id: null,
      build_step: null,
      build_log: "",
      build_error: null,
    })
    .where("id", "=", version.id)
    .execute();
  told.events.push(versionEvent(version, "building", "is being built", subject.userId));
}

function versionEvent(
  version: VersionRow,
  state: string,
  words: string,
  actor: string | null = null,
) {
  return {
    orgId: version.org_id,
    kind: `template.${state}`,
    subjectKind: "template" as const,
    subjectId: version.template_id,
    boxId: version.builder_box_id,
    actor,
    message: `version ${version.number} of ${version.template_name} ${words}`,
    data: { versionId: version.id, version: version.number, state },
  };
}

/** Versions whose builder has something to conclude. */
export async function listBuildsToAdvance(db: Db, limit: number): Promise<TemplateVersionId[]> {
  const { rows } = await sql<{ id: TemplateVersionId }>`
    select v.id from template_versions v
    join boxes b on b.id = v.builder_box_id
    left join snapshots s on s.id = v.prebuild_snapshot_id
    where v.state = 'building' and (
      b.deleted_at is not null or b.desired = 'deleted' or b.failure is not null
      or b.build ->> 'error' is not null or (b.fault ->> 'retryable')::boolean = false
      or ((b.build ->> 'done')::boolean and s.id is null)
      or s.state in ('local', 'durable', 'failed'))
    order by v.id limit ${limit}`.execute(db.query);
  return rows.map((row) => row.id);
}

/** One step of one build: ask for its snapshot, or finish it. True when something changed. */
export async function advanceBuild(db: Db, versionId: TemplateVersionId): Promise<boolean> {
  return transact(db, "store.template.advance", async (tx) => {
    const [before] = await selectVersions(tx, sql`v.id = ${versionId}`);
    if (!before?.builder_box_id) return false;
    await sql`select 1 from boxes where id = ${before.builder_box_id} for no key update`.execute(
      tx.query,
    );
    await sql`select 1 from template_versions where id = ${versionId} for no key update`.execute(
      tx.query,
    );
    const [version] = await selectVersions(tx, sql`v.id = ${versionId}`);
    if (version?.state !== "building" || version.builder_box_id !== before.builder_box_id)
      return false;
    const [box] = await selectBoxRows(tx, sql`b.id = ${version.builder_box_id}`);
    if (!box) return false;
    const { prebuild_state: prebuild } = version;
    if (prebuild === "local" || prebuild === "durable")
      return finishBuild(tx, version, { state: "ready", error: null });
    if (prebuild === "failed")
      return finishBuild(tx, version, {
        state: "failed",
        error: "its snapshot could not be taken",
      });
    const trouble =
      box.build?.error ??
      box.failure?.message ??
      (box.fault && !box.fault.retryable ? box.fault.message : null) ??
      (box.deleted_at || box.desired === "deleted" ? "its builder was deleted" : null);
    if (trouble !== null) return finishBuild(tx, version, { state: "failed", error: trouble });
    if (!box.build?.done || version.prebuild_snapshot_id !== null) return false;
    const snapshotId = await requestSnapshot(tx, box, {
      kind: "prebuild",
      withMemory: true,
      kept: true,
    });
    await tx.query
      .updateTable("template_versions")
      .set({ prebuild_snapshot_id: snapshotId, build_step: "snapshot" })
      .where("id", "=", versionId)
      .execute();
    const told = nothingTold();
    await bumpRevisions(tx, [box.node_id], told);
    await insertEvents(tx, told.events, [...told.topics]);
    return true;
  });
}

async function finishBuild(
  tx: Db,
  version: VersionRow,
  outcome: { state: "ready" | "failed"; error: string | null },
): Promise<boolean> {
  await tx.query
    .updateTable("template_versions")
    .set({
      state: outcome.state,
      state_since: sql<Date>`now()`,
      build_step: null,
      build_error: outcome.error,
    })
    .where("id", "=", version.id)
    .execute();
  await finishOperations(
    tx,
    version.id,
    outcome.error === null ? "succeeded" : "failed",
    outcome.error === null
      ? null
      : { code: "build_failed", message: outcome.error, retryable: false },
  );
  const told = nothingTold();
  told.events.push(
    versionEvent(
      version,
      outcome.state,
      outcome.error === null ? "is ready" : `could not be built: ${outcome.error}`,
    ),
  );
  await deleteBuilder(tx, version, told);
  return true;
}

async function deleteBuilder(tx: Db, version: VersionRow, told: Told): Promise<void> {
  if (version.builder_box_id === null) return;
  const [box] = await selectBoxRows(tx, sql`b.id = ${version.builder_box_id}`);
  if (!box || box.deleted_at !== null) {
    await insertEvents(tx, told.events, [...told.topics]);
    return;
  }
  if (box.desired !== "deleted")
    await tx.query
      .updateTable("boxes")
      .set({ desired: "deleted", generation: box.generation + 1, failure: null })
      .where("id", "=", box.id)
      .execute();
  if (!box.reserved) await finishDeletion(tx, box, told);
  else await bumpRevisions(tx, [box.node_id], told);
  await concludeBoxes(tx, [box.id], told);
}

/** Refused while boxes use it. Its prebuilds go when nothing starts from them any more. */
export async function deleteTemplate(
  db: Db,
  subject: Subject,
  reference: string,
): Promise<AcceptedTemplate> {
  return transact(db, "store.template.delete", async (tx) => {
    const template = await getTemplate(tx, subject, reference);
    await sql`select 1 from templates where id = ${template.id} for no key update`.execute(
      tx.query,
    );
    const { rows } = await sql<{ name: string }>`
      select b.name from boxes b join template_versions v on v.id = b.template_version_id
      where v.template_id = ${template.id} and b.deleted_at is null and b.kind = 'user'
      order by b.name limit 5`.execute(tx.query);
    if (rows.length > 0)
      throw new StoreRefusal(
        "in_use",
        `The template ${template.name} is used by ${rows.map((row) => row.name).join(", ")}.`,
      );
    const versions = await selectVersions(
      tx,
      sql`v.template_id = ${template.id} and v.state = 'building'`,
    );
    for (const version of versions)
      await finishBuild(tx, version, { state: "failed", error: "the template was deleted" });
    await sql`update templates set deleted_at = coalesce(deleted_at, now()) where id = ${template.id}`.execute(
      tx.query,
    );
    const operation = await insertOperation(tx, subject, {
      kind: "template.delete",
      subjectKind: "template_version",
      subjectId: template.id,
      state: "succeeded",
    });
    await insertEvents(
      tx,
      [
        {
          orgId: subject.orgId,
          kind: "template.deleted",
          subjectKind: "template",
          subjectId: template.id,
          actor: subject.userId,
          message: `template ${template.name} was deleted`,
        },
      ],
      [TOPICS.settle],
    );
    return { template, operation };
  });
}
