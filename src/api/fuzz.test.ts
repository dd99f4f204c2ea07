// Whatever is sent, the answer is a success or a problem of the catalogue, and never a fault of ours.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ERROR_CODES } from "#contract/errors.ts";
import type { Route } from "#contract/route.ts";
import { ROUTES } from "#contract/routes.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { fc } from "#test/harness/fc.ts";

const RUNS_PER_ROUTE = 60;

/** A body that is accepted, to be damaged. */
const BODIES: Partial<Record<string, object>> = {
  "boxes.create": {
    name: "web",
    template: "default",
    version: 1,
    env: { A: "1" },
    region: "here",
    labels: { disk: "fast" },
  },
  "boxes.fork": { count: 1, names: ["left"] },
  "checkpoints.create": { name: "before" },
  "checkpoints.restore": { snapshot: "snap_00000000000000000000" },
  "templates.create": {
    name: "tools",
    base: "debian-12",
    packages: ["jq"],
    setup: "true",
    repository: { url: "https://example.org/a.git", ref: "main", path: "a" },
    size: { cpus: 1, memoryMib: 512, rootDiskGib: 8, homeDiskGib: 2 },
    env: { A: "1" },
    ports: [{ port: 3000, name: "web" }],
    idle: { pauseAfterMinutes: 30 },
    hooks: { onResume: "true", onFork: null },
  },
  "nodes.update": { schedulable: false },
  "nodes.createJoinToken": { name: "n1", ttlMinutes: 5 },
  "access.ticket": { ports: [22] },
  "keys.create": {
    name: "laptop",
    publicKey:
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMyUpRdbYbWt2crMMlMhJvVe8b7cgyLJQBiPNWrkVmBW me",
  },
  "tokens.create": { name: "ci", expiresInMs: 3_600_000 },
  "webSessions.create": { token: "berth_none" },
  "previews.open": { port: 3000, visibility: "org" },
  "previews.update": { visibility: "private" },
  "previews.createLink": { expiresInMs: 3_600_000 },
  "org.update": { maxVisibility: "public" },
  "access.sshCertificate": { publicKey: "ssh-ed25519 AAAA me" },
  "boxes.update": { owner: "admin", team: null },
  "orgs.create": { name: "acme", inviteOwner: true },
  "members.update": { roles: ["owner"] },
  "invitations.create": { email: "a@example.org", roles: ["member"], expiresInMs: 3_600_000 },
  "invitations.accept": { secret: "berth_none" },
  "invitations.register": { secret: "berth_none", name: "ada" },
  "teams.create": { name: "core" },
  "teams.update": { name: "core" },
  "teams.setMember": { user: "admin", role: "member" },
  "serviceAccounts.create": { name: "ci", roles: ["member"] },
  "serviceAccounts.createToken": { name: "nightly", scopes: ["box.read"] },
  "shares.create": { user: "admin", role: "view" },
  "quotas.setOrg": { boxes: 1000, templates: ["default"] },
  "quotas.setTeam": { boxes: 1000 },
  "quotas.setUser": { boxes: 1000 },
  "quotas.setDefault": { boxes: 1000 },
  "quotas.setInstallation": { boxes: 1000 },
  "prices.set": { currency: "EUR", prices: {} },
  "budgets.set": { amount: "1000", thresholds: [50], policy: "warn" },
  "audit.updatePolicy": { keepDays: 400 },
  "providers.create": {
    ...{ name: "corp", label: "Corp", issuer: "https://id.example.org", clientId: "berth" },
    ...{ parameters: { prompt: "login" }, emailDomains: ["example.org"], defaultRole: "member" },
  },
  "providers.update": { label: "Corp" },
  "providers.setGroups": { groups: [{ group: "dev", role: "member", team: null }] },
  "scimTokens.create": { name: "directory" },
};

const nasty = fc.constantFrom<unknown>(
  "\0",
  "a\0b",
  "\ud800",
  "💥".repeat(50),
  "x".repeat(70_000),
  "'; drop table boxes; --",
  "../../etc/passwd",
  "-1",
  "",
  "default",
  "web",
  -1,
  0,
  1.5,
  1e308,
  2 ** 53,
  2 ** 31,
  null,
  true,
  [],
  {},
  [[[[[[]]]]]],
  { toString: 1, hasOwnProperty: 1, length: -1 },
);
const value = fc.oneof(nasty, fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 3 }));

/** Replaces, removes or adds something at a random place. */
const damage = fc.record({
  path: fc.array(fc.nat(20), { maxLength: 4 }),
  value,
  kind: fc.constantFrom("replace", "remove", "add", "keep"),
  key: fc.oneof(fc.constantFrom("name", "env", "A", "toString", "__proto__x", "0"), fc.string()),
});

function damaged(body: unknown, { path, value, kind, key }: Damage): unknown {
  if (kind === "keep") return body;
  if (path.length === 0 || body === null || typeof body !== "object") return value;
  const keys = Object.keys(body);
  const at = keys[(path[0] ?? 0) % Math.max(1, keys.length)] ?? key;
  const copy = structuredClone(body) as Record<string, unknown>;
  if (path.length === 1 && kind === "remove") delete copy[at];
  else if (path.length === 1 && kind === "add") copy[key] = value;
  else copy[at] = damaged(copy[at], { path: path.slice(1), value, kind, key });
  return copy;
}

interface Damage {
  readonly path: readonly number[];
  readonly value: unknown;
  readonly kind: string;
  readonly key: string;
}

const parameter = fc.oneof(
  fc.constantFrom(
    "web",
    "default",
    "box_00000000000000000000",
    "1",
    "0",
    "99999999999",
    "join-tokens",
  ),
  fc.string({ unit: "binary", minLength: 1, maxLength: 200 }),
);
const queryValue = fc.oneof(
  fc.constantFrom("1", "newest", "settled", "0"),
  fc.string({ unit: "binary" }),
);
const query = fc.dictionary(
  fc.oneof(
    fc.constantFrom("limit", "cursor", "box", "kind", "template", "order", "for"),
    fc.string(),
  ),
  queryValue,
  { maxKeys: 4 },
);
const header = fc.oneof(
  fc.constantFrom("k1", '"1"', "*", '"99999999999999999999"', 'W/"1"'),
  fc.string({ maxLength: 300 }).map((text) => text.replace(/[^\x20-\x7e]/g, "?")),
);

/** True when it was accepted. */
async function send(plane: ControlPlane, route: Route, parts: Parts): Promise<boolean> {
  const path = route.path.replaceAll(/\{(\w+)\}/g, () =>
    encodeURIComponent(parts.parameters.pop()?.toWellFormed() ?? "web"),
  );
  const search = new URLSearchParams(parts.query);
  // A wait is given no time, and a stream is not followed: both have tests of their own.
  if (route.name === "boxes.wait") search.set("timeoutMs", "0");
  const response = await plane.api.app.inject({
    method: route.method,
    url: `/v1${path}?${search}`,
    headers: {
      authorization: `Bearer ${plane.admin.token}`,
      ...(parts.hasHeaders ? { "idempotency-key": parts.key, "if-match": parts.match } : {}),
      ...(route.body ? { "content-type": "application/json" } : {}),
    },
    ...(route.body ? { payload: JSON.stringify(parts.body) ?? "" } : {}),
  });
  const said = `${route.name}: ${response.statusCode} ${response.body.slice(0, 500)}`;
  assert.ok(response.statusCode < 500, said);
  if (response.statusCode < 400) return true;
  const problem = response.json();
  assert.ok(ERROR_CODES.includes(problem.code), said);
  assert.equal(problem.status, response.statusCode, said);
  assert.ok(response.body.length < 20_000, "an error must not send everything back");
  return false;
}

interface Parts {
  readonly parameters: string[];
  readonly query: Record<string, string>;
  readonly hasHeaders: boolean;
  readonly key: string;
  readonly match: string;
  readonly body: unknown;
}

test("no request makes a fault", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  let accepted = 0;
  for (const route of ROUTES as readonly Route[]) {
    if (route.stream) continue;
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          parameters: fc.array(parameter, { minLength: 2, maxLength: 2 }),
          query,
          hasHeaders: fc.boolean(),
          key: header,
          match: header,
          damage,
        }),
        async ({ damage, parameters, ...parts }) => {
          const body = damaged(BODIES[route.name] ?? {}, damage);
          accepted += +(await send(plane, route, { ...parts, parameters: [...parameters], body }));
        },
      ),
      { numRuns: RUNS_PER_ROUTE },
    );
  }
  // Else it would only have knocked at the door.
  assert.ok(accepted > 100, String(accepted));
});

test("every example is accepted, so that damaging it reaches the depths", () => {
  for (const route of ROUTES as readonly Route[]) {
    if (!route.body) continue;
    assert.ok(BODIES[route.name], `${route.name} needs an example`);
    assert.equal(route.body.safeParse(BODIES[route.name]).success, true, route.name);
  }
});
