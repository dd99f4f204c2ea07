// Two organizations that have one of everything, and everybody who could ask for it.

import { sql } from "kysely";
import type { OrgId } from "#domain/ids.ts";
import type { OrgRole } from "#domain/permission.ts";
import { addUser } from "#store/access.ts";
import { openPreview } from "#store/preview-changes.ts";
import { createPreviewLink } from "#store/preview-links.ts";
import type { Caller, ControlPlane } from "#test/harness/control-plane.ts";
import type { Thing } from "./matrix-rights.ts";

export type Ids = Readonly<Record<Thing, string>>;

export interface MatrixWorld {
  /** Token of each actor. */
  readonly tokens: ReadonlyMap<string, string>;
  readonly alpha: Ids;
  readonly beta: Ids;
  /** Of each kind, an id that nobody has. */
  readonly nobody: Ids;
}

const DIGEST = `sha256:${"a".repeat(64)}`;

export async function matrixWorld(plane: ControlPlane): Promise<MatrixWorld> {
  const { db } = plane;
  await plane.admin.client.prices.set({ currency: "EUR", prices: { vcpu: "0.01" } });
  await sql`insert into nodes (id, name, region, status) values ('node_matrix', 'matrix', 'here', 'ready')`.execute(
    db.query,
  );
  await sql`insert into node_revisions (node_id) values ('node_matrix')`.execute(db.query);
  const alpha = await makeOrg(plane, await plane.addOrg("alpha"));
  const beta = await makeOrg(plane, await plane.addOrg("beta"));
  const tokens = new Map<string, string>([
    ["owner", alpha.owner.token],
    ["member", alpha.member.token],
    ["foreignOwner", beta.owner.token],
  ]);
  const orgId = alpha.owner.subject.orgId;
  const people: [string, OrgRole][] = [
    ...([
      ["admin", "admin"],
      ["author", "template_author"],
      ["other", "member"],
    ] as const),
    ...([
      ["viewer", "viewer"],
      ["auditor", "auditor"],
      ["billing", "billing"],
    ] as const),
    ...([
      ["teamAdmin", "member"],
      ["teamMember", "member"],
      ["teamViewer", "member"],
    ] as const),
    ...([
      ["shareView", "member"],
      ["shareUse", "member"],
      ["shareAdmin", "member"],
    ] as const),
  ].map(([name, role]) => [name, role]);
  const ids = new Map<string, string>();
  for (const [name, role] of people) {
    const subject = await addUser(db, orgId, { name: name.toLowerCase(), roles: [role] });
    ids.set(name, subject.userId);
    tokens.set(name, (await plane.callerFor(subject)).token);
  }
  for (const role of ["admin", "member", "viewer"] as const)
    await alpha.owner.client.teams.setMember(alpha.ids.team as string, {
      ...{ user: ids.get(`team${role[0]?.toUpperCase()}${role.slice(1)}`) as string, role },
    });
  let share = "";
  for (const role of ["view", "use", "admin"] as const) {
    const user = ids.get(`share${role[0]?.toUpperCase()}${role.slice(1)}`) as string;
    const made = await alpha.owner.client.shares.create(alpha.ids.box as string, { user, role });
    if (role === "view") share = made.id;
  }
  const scopes = ["org.read", "member.read"];
  tokens.set(
    "scoped",
    (await alpha.owner.client.tokens.create({ name: "scoped", scopes } as never)).token,
  );
  const operator = await addUser(db, beta.owner.subject.orgId, {
    ...{ name: "operator", isOperator: true, roles: ["owner"] as const },
  });
  tokens.set("foreignOperator", (await plane.callerFor(operator)).token);
  const things = {
    ...alpha.ids,
    share,
    teamViewer: ids.get("teamViewer"),
    other: ids.get("other"),
  };
  return {
    tokens,
    alpha: things as Ids,
    beta: beta.ids as Ids,
    nobody: Object.fromEntries(
      Object.entries(things).map(([thing, id]) => [thing, unknownLike(String(id))]),
    ) as Ids,
  };
}

/** As long and of the same form, so that only what it names differs. */
function unknownLike(id: string): string {
  return id.includes("_") ? `${id.slice(0, -4)}zzzz` : id;
}

async function makeOrg(plane: ControlPlane, owner: Caller) {
  const { db } = plane;
  const { client, subject } = owner;
  const orgId = subject.orgId;
  const member = await plane.callerFor(
    await addUser(db, orgId, { name: "member", roles: ["member"] }),
  );
  const { template } = await client.templates.create({ name: "base" });
  const { builder, id: versionId } = template.latest ?? {};
  if (builder) await client.boxes.delete(builder);
  await sql`update template_versions set state = 'ready', builder_box_id = null where id = ${versionId}`.execute(
    db.query,
  );
  const team = await client.teams.create({ name: "crew" });
  const { box, operation } = await member.client.boxes.create({
    ...{ name: "one", template: "base" },
  });
  await client.boxes.update(box.id, { team: team.id });
  const snapshot = `snap_${box.id.slice(4)}`;
  await sql`
    insert into snapshots (id, org_id, owner_id, box_id, epoch, kind, with_memory, kept, state, spec, image_digest)
    select ${snapshot}, org_id, owner_id, id, 1, 'checkpoint', true, true, 'durable', spec, ${DIGEST}
    from boxes where id = ${box.id}`.execute(db.query);
  const [volume] = (await client.volumes.list({ box: box.id })).items;
  const preview = await openPreview(db, member.subject, box.id, { port: 8000, visibility: null });
  const { link } = await createPreviewLink(
    db,
    { subject: member.subject, tokenId: null },
    preview.id,
    3_600_000,
  );
  const account = await client.serviceAccounts.create({ name: "robot" });
  const provider = await client.providers.create({
    ...{ name: "sso", label: "SSO", issuer: "https://sso.test", clientId: "berth" },
  });
  const key = await member.client.keys.create({ name: "laptop", publicKey: keyOf(orgId) });
  const ids: Partial<Record<Thing, string>> = {
    ...{ org: orgId, member: member.subject.userId, other: owner.subject.userId },
    ...{ teamViewer: owner.subject.userId, box: box.id, operation: operation.id, snapshot },
    ...{ template: template.id, version: "1", volume: volume?.id, node: "node_matrix" },
    ...{ key: key.id, preview: preview.id, link: link.id, team: team.id, account: account.id },
    token: (await member.client.tokens.create({ name: "spare" })).id,
    accountToken: (await client.serviceAccounts.createToken(account.id, { name: "spare" })).id,
    invitation: (await client.invitations.create({})).id,
    share: (await client.shares.create(box.id, { team: team.id, role: "view" })).id,
    ...{ provider: provider.id, scope: "team" },
    scimToken: (await client.scimTokens.create({ name: "directory" })).id,
    budget: (await client.budgets.set({ team: team.id, amount: "100", policy: "warn" })).id,
  };
  return { owner, member, ids };
}

/** A key of its own for each organization: the bytes do not matter to anybody here. */
function keyOf(orgId: OrgId): string {
  const blob = Buffer.concat([
    Buffer.from([0, 0, 0, 11]),
    Buffer.from("ssh-ed25519"),
    Buffer.from([0, 0, 0, 32]),
    Buffer.from(orgId.padEnd(32, "x").slice(0, 32)),
  ]);
  return `ssh-ed25519 ${blob.toString("base64")}`;
}
