// People who may do little, and everything that they could try, for growth.test.ts: alpha with its owner and administrator,
// a few who are neither, one of whom owns beta; and gamma, which none of them knows.

import { sql } from "kysely";
import type { UserId } from "#domain/ids.ts";
import {
  BOX_ROLES,
  ORG_ROLES,
  type OrgRole,
  PERMISSIONS,
  type Subject,
  TEAM_ROLES,
} from "#domain/permission.ts";
import { addUser, createUser } from "#store/access.ts";
import { setDesired } from "#store/box-intent.ts";
import { handOver, shareBox, unshareBox } from "#store/box-shares.ts";
import { createBox, listBoxes } from "#store/boxes.ts";
import { createTemplate } from "#store/builds.ts";
import type { Db } from "#store/db.ts";
import { forkBox } from "#store/forks.ts";
import { addGrant } from "#store/grants.ts";
import { acceptInvitation, createInvitation } from "#store/invitations.ts";
import { removeMember, setRoles } from "#store/members.ts";
import { createOrg, setMaxVisibility } from "#store/orgs.ts";
import { createProvider, setGroupRoles } from "#store/providers.ts";
import { setDefaultLimits } from "#store/quotas.ts";
import { createScimToken } from "#store/scim.ts";
import {
  createAccountToken,
  createServiceAccount,
  deleteServiceAccount,
} from "#store/service-accounts.ts";
import { removeTeamMember, setTeamMember } from "#store/team-members.ts";
import { createTeam, deleteTeam } from "#store/teams.ts";
import { createToken, deleteToken, type Identified, identifyToken } from "#store/tokens.ts";
import { fc } from "#test/harness/fc.ts";
import { IMAGE, recipe } from "#test/harness/world.ts";

/** What an act picks from, by numbers that fast-check draws. */
export interface Draw {
  readonly act: keyof typeof ACTS;
  readonly by: number;
  readonly one: number;
  readonly two: number;
  readonly roles: readonly number[];
}

export class GrowthWorld {
  readonly db: Db;
  readonly alpha: Subject;
  readonly beta: Subject;
  readonly gamma: Subject;
  /** Hashes of the tokens that whoever plays may use. */
  readonly credentials: string[] = [];
  readonly users: string[] = [];
  readonly teams: string[] = [];
  readonly boxes: string[] = [];
  readonly shares: string[] = [];
  readonly tokens: string[] = [];
  readonly accounts: string[] = [];
  readonly invitations: string[] = [];
  /** The owner's own, in alpha and in gamma. */
  victim = "";
  far = "";
  #made = 0;

  constructor(db: Db, alpha: Subject, beta: Subject, gamma: Subject) {
    this.db = db;
    this.alpha = alpha;
    this.beta = beta;
    this.gamma = gamma;
  }

  static async make(
    db: Db,
    players: Readonly<Record<string, readonly OrgRole[]>>,
    run: string,
  ): Promise<GrowthWorld> {
    const owner = (org: string) =>
      createUser(db, { orgName: `${org}-${run}`, name: `${org} owner` });
    const world = new GrowthWorld(
      db,
      await owner("alpha"),
      await owner("beta"),
      await owner("gamma"),
    );
    const { alpha, beta } = world;
    for (const one of [alpha, beta, world.gamma]) {
      await createTemplate(db, one, { definition: recipe(), imageDigest: IMAGE });
      await sql`update template_versions set state = 'ready' where org_id = ${one.orgId}`.execute(
        db.query,
      );
    }
    world.victim = (await createBox(db, alpha, boxNamed("victim"))).box.id;
    world.far = (await createBox(db, world.gamma, boxNamed("far"))).box.id;
    world.boxes.push(world.victim, world.far);
    world.users.push(alpha.userId, beta.userId, world.gamma.userId);
    world.users.push(
      (await addUser(db, alpha.orgId, { name: "administrator", roles: ["admin"] })).userId,
    );
    const team = await createTeam(db, alpha, "crew");
    world.teams.push(team.id);
    for (const [name, roles] of Object.entries(players)) {
      const subject = await addUser(db, alpha.orgId, { name, roles });
      world.users.push(subject.userId);
      await world.addCredential(subject);
      if (roles.some((role) => role === "member" || role === "template_author"))
        world.boxes.push((await createBox(db, subject, boxNamed(`of-${name}`))).box.id);
    }
    // The last who plays manages a team, and the first owns beta as well.
    const [first, last] = [world.users[4] as UserId, world.users.at(-1) as UserId];
    await setTeamMember(db, alpha, team.id, { user: last, role: "admin" });
    const { orgId } = beta;
    const holder = { userId: first };
    await addGrant(db, { scope: "org", scopeId: orgId, orgId, role: "owner", holder });
    await world.addCredential({ ...beta, userId: first });
    return world;
  }

  async addCredential(subject: Subject): Promise<void> {
    const hash = this.fresh("hash");
    await createToken(this.db, { subject, tokenId: null }, { hash, name: "t", expiresInMs: null });
    this.credentials.push(hash);
  }

  fresh(what: string): string {
    this.#made += 1;
    return `${what}-${this.alpha.orgId.slice(4)}-${this.#made}`;
  }

  /** Everybody who plays, as the API would let them in now. */
  async players(): Promise<Identified[]> {
    const found = await Promise.all(this.credentials.map((hash) => identifyToken(this.db, hash)));
    return found.filter((one) => one !== null);
  }
}

export function boxNamed(name: string, team: string | null = null) {
  return { ...{ name, template: "base", version: null, env: {} }, team };
}

interface Turn {
  readonly world: GrowthWorld;
  readonly who: Identified;
  readonly subject: Subject;
  readonly pick: (of: readonly string[], n: number) => string;
  readonly draw: Draw;
}

const rolesOf = ({ roles }: Draw) => [
  ...new Set(roles.map((n) => ORG_ROLES[n % ORG_ROLES.length] as OrgRole)),
];

/** Everything by which rights move, each with whatever the draw picks. */
export const ACTS = {
  invite: async ({ world, subject, pick, draw }: Turn) => {
    const hash = world.fresh("invitation");
    const team = draw.two % 2 ? pick(world.teams, draw.one) : null;
    const input = { hash, email: null, roles: rolesOf(draw), team, lifetimeMs: 60_000 };
    await createInvitation(world.db, { subject, tokenId: null }, input);
    world.invitations.push(hash);
  },
  accept: async ({ world, subject, pick, draw }: Turn) =>
    acceptInvitation(world.db, subject.userId, pick(world.invitations, draw.one)),
  setRoles: async ({ world, subject, pick, draw }: Turn) =>
    setRoles(world.db, subject, pick(world.users, draw.one), rolesOf(draw)),
  remove: async ({ world, subject, pick, draw }: Turn) =>
    removeMember(world.db, subject, pick(world.users, draw.one)),
  createTeam: async ({ world, subject }: Turn) => {
    world.teams.push((await createTeam(world.db, subject, world.fresh("team").slice(-40))).id);
  },
  deleteTeam: async ({ world, subject, pick, draw }: Turn) =>
    deleteTeam(world.db, subject, pick(world.teams, draw.one)),
  setTeamMember: async ({ world, subject, pick, draw }: Turn) =>
    setTeamMember(world.db, subject, pick(world.teams, draw.one), {
      ...{ user: pick(world.users, draw.two), role: TEAM_ROLES[draw.one % 3] ?? "member" },
    }),
  removeTeamMember: async ({ world, subject, pick, draw }: Turn) =>
    removeTeamMember(world.db, subject, pick(world.teams, draw.one), pick(world.users, draw.two)),
  createBox: async ({ world, subject, pick, draw }: Turn) => {
    const team = draw.two % 2 ? pick(world.teams, draw.one) : null;
    const name = world.fresh("b").slice(-20);
    world.boxes.push((await createBox(world.db, subject, boxNamed(name, team))).box.id);
  },
  fork: async ({ world, subject, pick, draw }: Turn) =>
    forkBox(world.db, subject, pick(world.boxes, draw.one), { count: 1, names: null } as never),
  share: async ({ world, subject, pick, draw }: Turn) => {
    const role = BOX_ROLES[draw.two % 3] ?? "view";
    const to =
      draw.roles.length % 2
        ? { user: pick(world.users, draw.two) }
        : { team: pick(world.teams, draw.two) };
    const share = await shareBox(world.db, subject, pick(world.boxes, draw.one), { role, ...to });
    world.shares.push(share.id);
  },
  unshare: async ({ world, subject, pick, draw }: Turn) =>
    unshareBox(world.db, subject, pick(world.boxes, draw.one), pick(world.shares, draw.two)),
  handOver: async ({ world, subject, pick, draw }: Turn) =>
    handOver(world.db, subject, pick(world.boxes, draw.one), {
      ...(draw.roles.length % 2
        ? { owner: pick(world.users, draw.two) }
        : { team: pick(world.teams, draw.two) }),
    }),
  token: async ({ world, who, draw }: Turn) => {
    const hash = world.fresh("hash");
    const scopes = draw.two % 2 ? null : PERMISSIONS.filter((_, n) => (n + draw.one) % 3 > 0);
    const made = await createToken(world.db, who, { hash, name: "t", expiresInMs: null, scopes });
    world.credentials.push(hash);
    world.tokens.push(made.id);
  },
  deleteToken: async ({ world, who, pick, draw }: Turn) =>
    deleteToken(world.db, who, pick(world.tokens, draw.one), draw.two % 2 ? { keep: "made" } : {}),
  account: async ({ world, subject, draw }: Turn) => {
    const account = { name: world.fresh("robot").slice(-40), roles: rolesOf(draw) };
    const made = await createServiceAccount(world.db, subject, account);
    world.accounts.push(made.id);
    world.users.push(made.id);
  },
  accountToken: async ({ world, who, pick, draw }: Turn) => {
    const hash = world.fresh("hash");
    const token = { hash, name: "t", expiresInMs: null };
    const maker = { ...who.subject, ...who };
    await createAccountToken(world.db, maker, pick(world.accounts, draw.one), token);
    world.credentials.push(hash);
  },
  deleteAccount: async ({ world, subject, pick, draw }: Turn) =>
    deleteServiceAccount(world.db, subject, pick(world.accounts, draw.one)),
  run: async ({ world, subject, pick, draw }: Turn) =>
    setDesired(world.db, subject, pick(world.boxes, draw.one), draw.two % 2 ? "stop" : "delete"),
  createOrg: async ({ world, subject }: Turn) =>
    createOrg(world.db, subject, {
      name: world.fresh("org").slice(-40),
      ownerInvitationHash: null,
    }),
  limitPreviews: async ({ world, subject }: Turn) => setMaxVisibility(world.db, subject, "private"),
  limit: async ({ world, subject }: Turn) =>
    setDefaultLimits(world.db, subject, "user", { boxes: 1 }),
  scim: async ({ world, subject }: Turn) =>
    createScimToken(world.db, { subject, tokenId: null }, { hash: world.fresh("scim"), name: "x" }),
  provider: async ({ world, subject, draw }: Turn) => {
    const name = world.fresh("idp").slice(-40);
    const settings = {
      ...{ name, label: name, issuer: "https://x.test", clientId: "c", clientSecret: null },
      ...{
        scopes: ["openid"],
        parameters: {},
        isTrusted: draw.one % 2 === 0,
        admitsNewUsers: true,
      },
      ...{ emailDomains: [], groupsClaim: "groups", defaultRole: rolesOf(draw)[0] ?? null },
      ...{ sessionMaxMs: 60_000, checkEveryMs: 60_000 },
    };
    const made = await createProvider(world.db, subject, settings as never, draw.two % 2 === 0);
    const [role = "member"] = rolesOf(draw);
    await setGroupRoles(world.db, subject, made.id, [{ group: "g", teamId: null, role }]);
  },
};

type Act = keyof typeof ACTS;

/** With those more often that people without rights can do at all. */
export const ALL_ACTS: readonly Act[] = [
  ...(Object.keys(ACTS) as Act[]),
  ...(["share", "share", "handOver", "handOver", "token", "setTeamMember", "unshare"] as const),
  ...(["createBox", "invite", "accept", "setRoles", "account", "accountToken"] as const),
];
/** By which people become or cease to be something. */
export const ROLE_ACTS: readonly Act[] = [
  ...(["setRoles", "setRoles", "setRoles", "remove", "remove", "remove"] as const),
  ...(["invite", "accept", "account", "accountToken", "deleteAccount"] as const),
];

export function drawArbitrary(acts: readonly Act[]): fc.Arbitrary<Draw> {
  return fc.record({
    act: fc.constantFrom(...acts),
    by: fc.nat(99),
    one: fc.nat(99),
    two: fc.nat(99),
    // Every other time the strongest.
    roles: fc.array(fc.oneof(fc.nat(6), fc.nat(1)), { minLength: 1, maxLength: 2 }),
  });
}

/** What the subject of `who` sees of boxes, ids only. */
export async function seenBoxes(db: Db, { subject }: Identified): Promise<string[]> {
  return (await listBoxes(db, subject, { after: null, limit: 200 })).map(({ id }) => id);
}
