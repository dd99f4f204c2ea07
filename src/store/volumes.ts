// Volumes: the homes of boxes. Their bytes travel in the box's snapshots.

import { type RawBuilder, sql } from "kysely";
import type { BoxId, VolumeId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import type { Db } from "./db.ts";
import { mayOnBox } from "./rights.ts";

export interface VolumeView {
  readonly id: VolumeId;
  readonly name: string;
  readonly mountPath: string;
  readonly sizeGib: number;
  readonly box: { readonly id: BoxId; readonly name: string };
  readonly createdAt: Date;
}

export async function listVolumes(
  db: Db,
  subject: Subject,
  filter: {
    readonly after: string | null;
    readonly limit: number;
    /** Id or name of the box. */
    readonly box?: string | undefined;
  },
): Promise<VolumeView[]> {
  const box = filter.box ?? null;
  return selectVolumes(
    db,
    subject,
    sql`v.id > ${filter.after ?? ""} and b.kind = 'user'
      and (${box}::text is null or b.id = ${box} or b.name = ${box})
      order by v.id limit ${filter.limit}`,
  );
}

/** By id or by name. */
export async function getVolume(db: Db, subject: Subject, reference: string): Promise<VolumeView> {
  const [volume] = await selectVolumes(
    db,
    subject,
    sql`(v.id = ${reference} or v.name = ${reference}) order by v.id limit 1`,
  );
  if (!volume) throw new StoreRefusal("not_found", `There is no volume '${reference}'.`);
  return volume;
}

async function selectVolumes(
  db: Db,
  subject: Subject,
  condition: RawBuilder<unknown>,
): Promise<VolumeView[]> {
  const { rows } = await sql<Omit<VolumeView, "box"> & { boxId: BoxId; boxName: string }>`
    select v.id, v.name, v.mount_path as "mountPath", v.size_gib as "sizeGib",
      b.id as "boxId", b.name as "boxName", v.created_at as "createdAt"
    from volumes v join boxes b on b.id = v.box_id
    where ${mayOnBox(subject, "volume.read")} and v.deleted_at is null and ${condition}`.execute(
    db.query,
  );
  return rows.map(({ boxId, boxName, ...row }) => ({ ...row, box: { id: boxId, name: boxName } }));
}
