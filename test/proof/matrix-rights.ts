// Who may do what, written by hand and apart from the code that decides it: matrix.test.ts asks every operation as every
// actor and compares. An operation without an entry fails there.

import type { RouteName } from "#contract/routes.ts";
import type { Permission } from "#domain/permission.ts";

/** Of the organization alpha, whose things are asked for. `member` owns the box, which belongs to the team. */
export const MEMBERS = [
  ...["owner", "admin", "author", "member", "other", "viewer", "auditor", "billing"],
  ...["teamAdmin", "teamMember", "teamViewer", "shareView", "shareUse", "shareAdmin"],
] as const;
/** A token of the owner's that may read the organization and its members only. */
export const SCOPED = "scoped";
/** Owners of the organization beta; the second runs the installation. */
export const FOREIGN = ["foreignOwner", "foreignOperator"] as const;

const ALL: readonly string[] = MEMBERS;
const ADMINS = ["owner", "admin"];
/** The box and what hangs on it. */
const SEE = [
  ...ADMINS,
  ...["member", "viewer", "auditor", "teamAdmin", "teamMember", "teamViewer"],
  ...["shareView", "shareUse", "shareAdmin"],
];
const ENTER = [...ADMINS, "member", "teamAdmin", "teamMember", "shareUse", "shareAdmin"];
const RUN = [...ADMINS, "member", "teamAdmin", "shareAdmin"];
/** Who may create boxes at all. */
const CREATE = [
  ...[...ADMINS, "author", "member", "other", "teamAdmin", "teamMember", "teamViewer"],
  ...["shareView", "shareUse", "shareAdmin"],
];
const WRITE_TEMPLATES = [...ADMINS, "author"];
const METER = [...ADMINS, "auditor", "billing"];
const OPERATOR = ["foreignOperator"];

export interface Entry {
  readonly may: readonly string[];
  /** Of those who may not, who sees the thing and is told why; to all others it is not there. */
  readonly sees: readonly string[];
  /** Named when it is refused; default: the operation's. */
  readonly needs?: readonly Permission[];
  /** What each parameter of the path is, where it is not what it is called. */
  readonly params?: Readonly<Record<string, Thing>>;
  /** By name, in the query and the body: what refers to something that there is. */
  readonly query?: Readonly<Record<string, Thing>>;
  readonly isQueryNeeded?: boolean;
  /** What its query needs besides. */
  readonly fixed?: Readonly<Record<string, string>>;
  readonly refs?: Readonly<Record<string, Thing>>;
  readonly body?: (id: (thing: Thing) => string) => Record<string, unknown>;
  /** Why it is no part of the matrix, and where it is tried. */
  readonly elsewhere?: string;
  /** An operator names any organization by its id. */
  readonly isOfInstallation?: boolean;
}

export type Thing =
  | "box"
  | "snapshot"
  | "template"
  | "version"
  | "volume"
  | "node"
  | "operation"
  | "key"
  | "token"
  | "preview"
  | "link"
  | "org"
  | "member"
  | "teamViewer"
  | "other"
  | "invitation"
  | "team"
  | "account"
  | "accountToken"
  | "share"
  | "provider"
  | "scimToken"
  | "budget"
  | "scope";

type Options = Omit<Entry, "may" | "sees">;

/** Of the organization as a whole: whoever belongs is told what is missing. */
const org = (may: readonly string[], options: Options = {}): Entry => ({
  ...{ may, sees: ALL },
  ...options,
});
/** Of the box, or of something on it. */
const box = (may: readonly string[], options: Options = {}): Entry => ({
  ...{ may, sees: SEE },
  ...options,
});
/** Of one person. */
const self = (may: readonly string[], options: Options = {}): Entry => ({
  ...{ may, sees: may },
  ...options,
});
/** Of the installation. */
const operators = (options: Options = {}): Entry => ({
  ...{ may: OPERATOR, sees: [...ALL, ...FOREIGN], isOfInstallation: true },
  ...options,
});

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

export const RIGHTS: Readonly<Record<RouteName, Entry>> = {
  "boxes.create": org(CREATE, {
    refs: { template: "template", team: "team" },
    body: (id) => ({ template: id("template") }),
  }),
  "boxes.list": org(ALL, { query: { template: "template" } }),
  "boxes.get": box(SEE),
  "boxes.start": box(RUN),
  "boxes.stop": box(RUN),
  "boxes.pause": box(RUN),
  "boxes.resume": box(RUN),
  "boxes.restart": box(RUN),
  // A copy is the asker's own: whoever may enter the box could take everything out of it anyway.
  "boxes.fork": {
    ...box(ENTER, { needs: ["box.enter", "box.create"], body: () => ({}) }),
    // Who creates no boxes at all is told so, whatever they name.
    sees: [...SEE, "billing"],
  },
  // Given away: a share is not enough.
  "boxes.update": box([...ADMINS, "member", "teamAdmin"], {
    refs: { owner: "other", team: "team" },
    body: (id) => ({ owner: id("other") }),
  }),
  "boxes.delete": box(RUN),
  "boxes.wait": box(SEE, { fixed: { for: "settled", timeoutMs: "1" } }),
  "checkpoints.create": box(RUN, { body: () => ({}) }),
  "checkpoints.restore": box(RUN, {
    refs: { snapshot: "snapshot" },
    body: (id) => ({ snapshot: id("snapshot") }),
  }),
  "snapshots.list": org(ALL, { query: { box: "box" } }),
  "snapshots.get": box(SEE),
  "snapshots.delete": box(RUN),
  "templates.create": org(WRITE_TEMPLATES, { body: () => ({ name: "another" }) }),
  "templates.list": org(ALL),
  "templates.get": org(ALL),
  "templates.versions": org(ALL),
  "templates.version": org(ALL),
  "templates.build": org(WRITE_TEMPLATES),
  "templates.delete": org(WRITE_TEMPLATES),
  "volumes.list": org(ALL, { query: { box: "box" } }),
  "volumes.get": box(SEE),
  "nodes.list": operators(),
  "nodes.get": operators(),
  "nodes.update": operators({ body: () => ({ schedulable: false }) }),
  "nodes.delete": operators(),
  "nodes.drain": operators(),
  "nodes.createJoinToken": operators({ body: () => ({}) }),
  "events.list": org(ALL, { query: { box: "box" } }),
  "events.watch": org(ALL, { query: { box: "box" } }),
  "operations.get": box(SEE),
  "access.ticket": box(ENTER, { body: () => ({}) }),
  "access.sshCertificate": box(ENTER, { body: () => ({ publicKey: KEY }) }),
  "access.sshAuthority": org(ALL),
  "keys.create": org(ALL, { body: () => ({ name: "one", publicKey: KEY }) }),
  "keys.list": org(ALL),
  "keys.delete": self(["member"]),
  "tokens.create": org(ALL, { body: () => ({ name: "one" }) }),
  "tokens.list": org(ALL),
  "tokens.delete": self(["member"]),
  "webSessions.create": org(ALL, { elsewhere: "its body is the credential: credentials.test.ts" }),
  "webSessions.delete": org(ALL),
  "previews.open": box(RUN, { body: () => ({ port: 8001 }) }),
  "previews.list": org(ALL, { query: { box: "box" } }),
  "previews.update": box(RUN, { body: () => ({ visibility: "org" }) }),
  "previews.close": box(RUN),
  "previews.createLink": box(RUN, { body: () => ({}) }),
  "previews.listLinks": box(SEE),
  "previews.deleteLink": box(RUN),
  "org.get": org([...ALL, SCOPED]),
  "org.update": org(ADMINS, { body: () => ({ maxVisibility: "org" }) }),
  "orgs.list": org(ALL),
  "orgs.listAll": operators(),
  "orgs.create": operators({ body: () => ({ name: "gamma" }) }),
  "orgs.switch": org(ALL),
  "members.list": org([...ALL, SCOPED]),
  "members.get": org([...ALL, SCOPED]),
  "members.update": org(ADMINS, { body: () => ({ roles: ["viewer"] }) }),
  "members.remove": org([...ADMINS, "member"], { needs: ["member.manage"] }),
  "invitations.create": org(ADMINS, {
    refs: { team: "team" },
    body: (id) => ({ team: id("team") }),
  }),
  "invitations.list": org(ADMINS),
  "invitations.delete": org(ADMINS),
  "invitations.accept": org(ALL, { body: () => ({ secret: "none" }) }),
  "invitations.register": org(ALL, {
    elsewhere: "its body is the credential: invitations.test.ts",
  }),
  "teams.list": org(ALL),
  "teams.get": org(ALL),
  "teams.create": org(ADMINS, { body: () => ({ name: "another" }) }),
  "teams.update": org([...ADMINS, "teamAdmin"], { body: () => ({ name: "renamed" }) }),
  "teams.delete": org(ADMINS),
  "teams.members": org(ALL),
  "teams.setMember": org([...ADMINS, "teamAdmin"], {
    refs: { user: "other" },
    body: (id) => ({ user: id("other") }),
  }),
  "teams.removeMember": org([...ADMINS, "teamAdmin", "teamViewer"], {
    needs: ["team.manage"],
    params: { member: "teamViewer" },
  }),
  "serviceAccounts.create": org(ADMINS, { body: () => ({ name: "another" }) }),
  "serviceAccounts.list": org([...ALL, SCOPED]),
  "serviceAccounts.delete": org(ADMINS),
  "serviceAccounts.createToken": org(ADMINS, { body: () => ({ name: "one" }) }),
  "serviceAccounts.tokens": org(ADMINS),
  "serviceAccounts.deleteToken": org(ADMINS, { params: { token: "accountToken" } }),
  "shares.list": box(SEE),
  "shares.create": box(RUN, {
    refs: { user: "other", team: "team" },
    body: (id) => ({ user: id("other") }),
  }),
  // What one was given oneself, one may give back.
  "shares.delete": box([...RUN, "shareView"], { needs: ["box.share"] }),
  "providers.create": org(ADMINS, {
    body: () => ({ name: "another", label: "X", issuer: "https://x.test", clientId: "c" }),
  }),
  "providers.list": org(ADMINS),
  "providers.get": org(ADMINS),
  "providers.update": org(ADMINS, { body: () => ({ label: "Y" }) }),
  "providers.delete": org(ADMINS),
  "providers.groups": org(ADMINS),
  "providers.setGroups": org(ADMINS, {
    refs: { "groups.team": "team" },
    body: (id) => ({ groups: [{ group: "g", role: "member", team: id("team") }] }),
  }),
  "scimTokens.create": org(ADMINS, { body: () => ({ name: "one" }) }),
  "scimTokens.list": org(ADMINS),
  "scimTokens.delete": org(ADMINS, { params: { token: "scimToken" } }),
  "audit.list": org([...ADMINS, "auditor"], { query: { actor: "member", resource: "box" } }),
  "audit.watch": org([...ADMINS, "auditor"], { query: { actor: "member", resource: "box" } }),
  "audit.export": org([...ADMINS, "auditor"]),
  "audit.head": org([...ADMINS, "auditor"]),
  "audit.getPolicy": org([...ADMINS, "auditor"]),
  "audit.updatePolicy": org(ADMINS, { body: () => ({ keepDays: 400 }) }),
  "quotas.get": org([...ALL, SCOPED]),
  "quotas.list": org(METER, { fixed: { scope: "user" } }),
  "quotas.getOrg": operators(),
  "quotas.setOrg": operators({ refs: { templates: "template" }, body: () => ({ boxes: 5 }) }),
  "quotas.setTeam": org(ADMINS, {
    refs: { templates: "template" },
    body: (id) => ({ templates: [id("template")] }),
  }),
  "quotas.setUser": org(ADMINS, {
    params: { user: "member" },
    refs: { templates: "template" },
    body: (id) => ({ templates: [id("template")] }),
  }),
  "quotas.setDefault": org(ADMINS, {
    refs: { templates: "template" },
    body: (id) => ({ templates: [id("template")] }),
  }),
  "quotas.getInstallation": operators(),
  "quotas.setInstallation": operators({ body: () => ({ cpus: 100 }) }),
  "usage.get": org([...ALL, SCOPED], {
    query: { box: "box", user: "member", team: "team", template: "template" },
  }),
  "usage.events": org(METER),
  "prices.get": org([...ALL, SCOPED], { query: { org: "org" } }),
  "prices.set": operators({
    refs: { org: "org" },
    body: (id) => ({ org: id("org"), prices: { vcpu: "1" } }),
  }),
  "prices.estimate": org(ALL, { query: { template: "template" }, isQueryNeeded: true }),
  "budgets.list": org([...ALL, SCOPED]),
  "budgets.set": org([...ADMINS, "billing"], {
    refs: { team: "team" },
    body: (id) => ({ team: id("team"), amount: "5", policy: "warn" }),
  }),
  "budgets.delete": org([...ADMINS, "billing"]),
  "system.get": org(ALL),
};
