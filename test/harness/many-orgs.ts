// A database as full as an installation of many organizations: rows as requests would have left them, written in bulk.
// The first organization has 100 boxes, however many there are besides; a template's version `base` is ready in each.

import { type RawBuilder, sql } from "kysely";
import type { OrgId, TeamId, UserId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import type { Db } from "#store/db.ts";

export interface Crowd {
  readonly orgs: number;
  readonly users: number;
  readonly boxes: number;
}

export interface ManyOrgs {
  readonly owner: Subject;
  /** A member with boxes of their own, in a team that has some, and with some shared to them. */
  readonly member: Subject;
  /** Boxes of the member's, their team's, and one that is shared with them. */
  readonly own: string;
  readonly ofTeam: string;
  readonly shared: string;
}

const FIRST_ORG_BOXES = 100;
const TEAMS = 3;
const DIGEST = `sha256:${"a".repeat(64)}`;
const SPEC = { cpus: 2, memoryMib: 2048, rootDiskGib: 20, homeDiskGib: 10, gpus: 0 };

/** Ids as they look, in no order that helps an index. */
const id = (prefix: string, n: RawBuilder<unknown>) =>
  sql`(${prefix}::text || '_' || substr(md5(${prefix}::text || (${n})::text), 1, 20))`;

export async function fillWithOrgs(db: Db, { orgs, users, boxes }: Crowd): Promise<ManyOrgs> {
  const perOrg = Math.floor(users / orgs);
  const n = sql`n`;
  const org = sql`(case when n < ${FIRST_ORG_BOXES} then 0 else 1 + n % ${Math.max(1, orgs - 1)} end)`;
  const owner = sql`(${org} * ${perOrg} + n % ${perOrg})`;
  const team = sql`(${org} * ${TEAMS} + n % ${TEAMS})`;
  const series = (count: number) => sql`generate_series(0, ${count - 1}::integer) as n`;
  await db.query.connection().execute(async (query) => {
    const run = (text: RawBuilder<unknown>) => text.execute(query);
    await run(sql`set session_replication_role = replica`);
    await run(sql`set statement_timeout = 0`);
    await run(
      sql`insert into orgs (id, name) select ${id("org", n)}, 'crowd-' || n from ${series(orgs)}`,
    );
    await run(
      sql`insert into users (id, name) select ${id("usr", n)}, 'user-' || n from ${series(users)}`,
    );
    await run(sql`insert into grants (id, org_id, user_id, role, scope, scope_id)
      select ${id("gr", sql`'o' || n`)}, o, ${id("usr", n)}, case n % ${perOrg} when 0 then 'owner' else 'member' end, 'org', o
      from (select n, ${id("org", sql`n / ${perOrg}`)} as o from ${series(orgs * perOrg)}) as members`);
    await run(sql`insert into teams (id, org_id, name)
      select ${id("team", n)}, ${id("org", sql`n / ${TEAMS}`)}, 'team-' || n from ${series(orgs * TEAMS)}`);
    // Each but the owner is in one team.
    await run(sql`insert into grants (id, org_id, user_id, role, scope, scope_id)
      select ${id("gr", sql`'t' || n`)}, ${id("org", sql`n / ${perOrg}`)}, ${id("usr", n)}, 'member', 'team',
        ${id("team", sql`n / ${perOrg} * ${TEAMS} + n % ${TEAMS}`)} from ${series(orgs * perOrg)} where n % ${perOrg} > 0`);
    await run(sql`insert into templates (id, org_id, owner_id, name, last_number)
      select ${id("tpl", n)}, ${id("org", n)}, ${id("usr", sql`n * ${perOrg}`)}, 'base', 1 from ${series(orgs)}`);
    await run(sql`insert into template_versions (id, org_id, template_id, number, definition, image_digest, spec, hooks,
        build, state)
      select ${id("tv", n)}, ${id("org", n)}, ${id("tpl", n)}, 1, '{}', ${DIGEST}, ${JSON.stringify(SPEC)}::jsonb,
        '{"onResume": null, "onFork": null}', '{"steps": []}', 'ready' from ${series(orgs)}`);
    await run(sql`insert into snapshots (id, org_id, owner_id, box_id, epoch, kind, with_memory, state, spec, image_digest,
        stored_bytes, taken_at)
      select ${id("snap", n)}, ${id("org", org)}, ${id("usr", owner)}, ${id("box", n)}, 1, 'pause', true, 'durable',
        ${JSON.stringify(SPEC)}::jsonb, ${DIGEST}, 1000000, now() from ${series(boxes)}`);
    await run(sql`insert into boxes (id, org_id, owner_id, team_id, name, kind, template_version_id, spec, cpus, memory_mib,
        disk_gib, image_digest, machine_id, desired, source_snapshot_id, rest_snapshot_id, source_with_memory, phase,
        created_at)
      select ${id("box", n)}, ${id("org", org)}, ${id("usr", owner)}, case when n % 2 = 0 then ${id("team", team)} end,
        'box-' || n, 'user', ${id("tv", org)}, ${JSON.stringify(SPEC)}::jsonb, 2, 2048, 30, ${DIGEST}, md5(n::text), 'paused',
        ${id("snap", n)}, ${id("snap", n)}, true, 'paused', now() - interval '1 day' from ${series(boxes)}`);
    await run(sql`insert into volumes (id, org_id, owner_id, box_id, name, mount_path, size_gib)
      select ${id("vol", n)}, ${id("org", org)}, ${id("usr", owner)}, ${id("box", n)}, 'box-' || n || '-home', '/home/dev', 10
      from ${series(boxes)}`);
    // Every tenth box is shared with the next user of its organization.
    await run(sql`insert into grants (id, org_id, user_id, role, scope, scope_id)
      select ${id("gr", sql`'b' || n`)}, ${id("org", org)}, ${id("usr", sql`${org} * ${perOrg} + (n + 1) % ${perOrg}`)},
        'use', 'box', ${id("box", n)} from ${series(boxes)} where n % 10 = 0`);
    await run(sql`insert into events (org_id, kind, subject_kind, subject_id, box_id, actor, message)
      select ${id("org", org)}, 'box.created', 'box', ${id("box", n)}, ${id("box", n)}, ${id("usr", owner)}, 'created'
      from ${series(boxes)}`);
    await run(sql`insert into operations (id, org_id, owner_id, kind, subject_kind, subject_id, state)
      select ${id("op", n)}, ${id("org", org)}, ${id("usr", owner)}, 'box.create', 'box', ${id("box", n)}, 'succeeded'
      from ${series(boxes)}`);
    await run(sql`insert into quota_limits (org_id, scope, scope_id, limits)
      select ${id("org", n)}, 'org', ${id("org", n)}, '{"boxes": 100000, "createsPerHour": 100000}' from ${series(orgs)}`);
    await run(sql`insert into tokens (id, hash, org_id, user_id, name)
      select ${id("tok", n)}, md5('token' || n), ${id("org", sql`n / ${perOrg}`)}, ${id("usr", n)}, 'one'
      from ${series(orgs * perOrg)}`);
    await run(sql`set session_replication_role = origin`);
    await run(sql`insert into quota_deltas (org_id, team_id, user_id, boxes, running, cpus, memory_mib, gpus, disk_gib,
        snapshot_bytes, shared_ports) select * from quota_recount()`);
    await run(sql`reset statement_timeout`);
  });
  await sql`vacuum (analyze)`.execute(db.query);
  return firstOrg(db);
}

/** What such an installation leaves behind besides: previews, keys, invitations, budgets, usage, the audit trail. */
export async function fillWithHistory(db: Db, { orgs, users }: Crowd): Promise<void> {
  const perOrg = Math.floor(users / orgs);
  const each = sql`from boxes b join template_versions v on v.id = b.template_version_id`;
  await db.query.connection().execute(async (query) => {
    const run = (text: RawBuilder<unknown>) => text.execute(query);
    await run(sql`set session_replication_role = replica`);
    await run(sql`set statement_timeout = 0`);
    await run(sql`insert into previews (id, org_id, owner_id, box_id, port, label, visibility, team_id)
      select ${id("prv", sql`b.name`)}, org_id, owner_id, id, 3000, md5(name), 'private', team_id from boxes b
      where abs(hashtext(name)) % 5 = 0`);
    await run(sql`insert into ssh_keys (id, org_id, user_id, name, public_key, fingerprint)
      select ${id("key", sql`u.name`)}, g.org_id, u.id, 'laptop', 'k', md5(u.name)
      from users u join grants g on g.user_id = u.id and g.scope = 'org'`);
    await run(sql`insert into invitations (id, org_id, hash, roles, created_by, expires_at, accepted_at)
      select ${id("inv", sql`n`)}, ${id("org", sql`n / 2`)}, md5('i' || n), '{member}', ${id("usr", sql`n / 2 * ${perOrg}`)},
        now() + interval '1 day', case n % 2 when 0 then now() end from generate_series(0, ${orgs * 2 - 1}::integer) n`);
    await run(sql`insert into budgets (id, org_id, amount, thresholds, policy)
      select ${id("bud", sql`o.name`)}, id, 100, '{50,100}', 'refuse' from orgs o`);
    await run(sql`insert into usage_intervals (org_id, team_id, owner_id, box_id, template_id, subject_id, resource, amount,
        began_at, ended_at)
      select b.org_id, b.team_id, b.owner_id, b.id, v.template_id, b.id, 'disk_paused', 30, now() - n * interval '2 hours',
        case n when 1 then 'infinity' else now() - n * interval '1 hour' end ${each}, generate_series(1, 3) n`);
    await run(sql`insert into usage_rollups (org_id, team_id, owner_id, box_id, template_id, subject_id, resource, hour,
        amount, cost)
      select b.org_id, b.team_id, b.owner_id, b.id, v.template_id, b.id, 'disk_paused',
        date_trunc('hour', now(), 'UTC') - (n + 1) * interval '1 hour', 108000, 1 ${each}, generate_series(1, 3) n`);
    await run(sql`insert into audit_entries (org_id, verb, outcome, actor_id, touched)
      select org_id, 'boxes.create', 'ok', owner_id, array[id] from boxes`);
    await run(sql`insert into audit_chains (chain, head_seq, head_hash, anchor_hash)
      select org_id, count(*), '', '' from audit_entries group by 1`);
    await run(sql`insert into audit_seals (chain, seq, entry_id, hash)
      select org_id, row_number() over (partition by org_id order by id), id, '' from audit_entries`);
    // An hour is over.
    await run(sql`update usage_clock set rolled_until = date_trunc('hour', now(), 'UTC') - interval '1 hour',
      floor_at = date_trunc('hour', now(), 'UTC') - interval '1 hour'`);
    await run(sql`update audit_state set sealed_to = (select max(id) from audit_entries)`);
    await run(sql`set session_replication_role = origin`);
    await run(sql`reset statement_timeout`);
  });
  await sql`vacuum (analyze)`.execute(db.query);
}

async function firstOrg(db: Db): Promise<ManyOrgs> {
  const one = async (prefix: string, n: string) => {
    const { rows } = await sql<{ id: string }>`select ${id(prefix, sql`${n}::text`)} as id`.execute(
      db.query,
    );
    return rows[0]?.id as string;
  };
  const orgId = (await one("org", "0")) as OrgId;
  const subject = async (n: string, rest: Pick<Subject, "roles" | "teams">): Promise<Subject> => ({
    ...{ userId: (await one("usr", n)) as UserId, orgId, isOperator: false, scopes: null },
    ...rest,
  });
  const teamId = (await one("team", "1")) as TeamId;
  return {
    owner: await subject("0", { roles: ["owner"], teams: [] }),
    member: await subject("1", { roles: ["member"], teams: [{ teamId, role: "member" }] }),
    own: await one("box", "1"),
    ofTeam: await one("box", "4"),
    shared: await one("box", "10"),
  };
}
