// SSH keys that users have registered. One key is one user's: a gateway finds the user by it.

import { sql } from "kysely";
import type { NodeId, SshKeyId } from "#domain/ids.ts";
import { mayEver, type Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { bumpRevisions, nothingTold } from "./box-changes.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents } from "./events.ts";
import { newId } from "./new-id.ts";
import { revoke } from "./revocations.ts";
import { endOfMaker, holdMaker, type Maker } from "./tokens.ts";

export interface SshKeyView {
  readonly id: SshKeyId;
  readonly name: string;
  readonly publicKey: string;
  readonly fingerprint: string;
  readonly createdAt: Date;
  /** With the token that it was registered with; null: never by itself. */
  readonly expiresAt: Date | null;
  /** The token that it was registered with; null: a login. */
  readonly madeWith: { readonly id: string; readonly name: string } | null;
}

const COLUMNS = sql`id, name, public_key as "publicKey", fingerprint, created_at as "createdAt",
  expires_at as "expiresAt", (select jsonb_build_object('id', m.id, 'name', m.name) from tokens m where m.id = ssh_keys.parent_id) as "madeWith"`;

export async function createSshKey(
  db: Db,
  { subject, tokenId }: Maker,
  key: Pick<SshKeyView, "name" | "publicKey" | "fingerprint">,
): Promise<SshKeyView> {
  // A key lets into boxes, whatever the token may do that registers it.
  if (!mayEver(subject, "box.enter"))
    throw new StoreRefusal("forbidden", "A key enters boxes: this needs the permission box.enter.");
  return transact(db, "store.key.create", async (tx) => {
    await refuseMany(tx, subject);
    await refuseOthersKey(tx, subject, key.fingerprint);
    await holdMaker(tx, { subject, tokenId });
    const { rows } = await sql<SshKeyView>`
      insert into ssh_keys (id, org_id, user_id, name, public_key, fingerprint, parent_id, expires_at)
      values (${newId<SshKeyId>("sshKey")}, ${subject.orgId}, ${subject.userId}, ${key.name},
        ${key.publicKey}, ${key.fingerprint}, ${tokenId}, ${endOfMaker(tokenId)})
      on conflict (fingerprint, org_id) where revoked_at is null do nothing
      returning ${COLUMNS}`.execute(tx.query);
    if (!rows[0]) return knownKey(tx, subject, key.fingerprint);
    await tellKey(tx, subject, rows[0], "created", `SSH key ${key.name} was registered`);
    return rows[0];
  });
}

/** Each is written into every box of the user. */
const MAX_KEYS = 100;

async function refuseMany(tx: Db, subject: Subject): Promise<void> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from ssh_keys where user_id = ${subject.userId} and revoked_at is null
  `.execute(tx.query);
  if ((rows[0]?.count ?? 0) >= MAX_KEYS)
    throw new StoreRefusal("in_use", `You have ${MAX_KEYS} SSH keys already: delete one first.`);
}

async function knownKey(tx: Db, subject: Subject, fingerprint: string): Promise<SshKeyView> {
  const { rows } = await sql<SshKeyView>`
    select ${COLUMNS} from ssh_keys where fingerprint = ${fingerprint} and revoked_at is null
      and user_id = ${subject.userId} and org_id = ${subject.orgId}`.execute(tx.query);
  if (rows[0]) return rows[0];
  throw new StoreRefusal("in_use", "This key is registered by another user.");
}

/** Locked, so that two users cannot register it at once in two organizations. */
async function refuseOthersKey(tx: Db, subject: Subject, fingerprint: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${fingerprint}, 0))`.execute(tx.query);
  const { rows } = await sql`
    select 1 from ssh_keys where fingerprint = ${fingerprint} and revoked_at is null
      and user_id <> ${subject.userId} limit 1`.execute(tx.query);
  if (rows.length > 0) throw new StoreRefusal("in_use", "This key is registered by another user.");
}

export async function listSshKeys(
  db: Db,
  subject: Subject,
  page: { readonly after: string | null; readonly limit: number },
): Promise<SshKeyView[]> {
  const { rows } = await sql<SshKeyView>`
    select ${COLUMNS} from ssh_keys where user_id = ${subject.userId}
      and org_id = ${subject.orgId} and revoked_at is null and id > ${page.after ?? ""} order by id limit ${page.limit}`.execute(
    db.query,
  );
  return rows;
}

export async function deleteSshKey(db: Db, subject: Subject, id: string): Promise<SshKeyView> {
  return transact(db, "store.key.delete", async (tx) => {
    const { rows } = await sql<SshKeyView>`
      update ssh_keys set revoked_at = now()
      where id = ${id} and user_id = ${subject.userId} and org_id = ${subject.orgId}
        and revoked_at is null
      returning ${COLUMNS}`.execute(tx.query);
    if (!rows[0]) throw new StoreRefusal("not_found", `There is no SSH key '${id}'.`);
    await revoke(tx, [id]);
    await tellKey(tx, subject, rows[0], "deleted", `SSH key ${rows[0].name} was deleted`);
    return rows[0];
  });
}

/** Gateways hear of it by the event; the nodes of the user's boxes by their assignments. */
async function tellKey(
  tx: Db,
  subject: Subject,
  key: SshKeyView,
  what: "created" | "deleted",
  message: string,
): Promise<void> {
  const told = nothingTold();
  const { rows } = await sql<{ id: NodeId }>`
    select distinct node_id as id from boxes
    where owner_id = ${subject.userId} and org_id = ${subject.orgId} and reserved`.execute(
    tx.query,
  );
  told.events.push({
    orgId: subject.orgId,
    kind: `key.${what}`,
    subjectKind: "ssh_key",
    subjectId: key.id,
    actor: subject.userId,
    message,
    data: { fingerprint: key.fingerprint },
  });
  await bumpRevisions(
    tx,
    rows.map((row) => row.id),
    told,
  );
  await insertEvents(tx, told.events, [...told.topics]);
}
