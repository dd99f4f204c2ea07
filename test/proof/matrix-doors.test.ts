// What is served beside the operations of the contract, and the directory (SCIM) asked as everybody, for what is theirs,
// another organization's and nobody's, with the second wall and without.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import type { Route } from "#contract/route.ts";
import { ROUTES } from "#contract/routes.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";

/** How each is held to an organization, or why it is not. */
const DOORS: Readonly<Record<string, string>> = {
  "GET /healthz": "tells nothing of anybody",
  "GET /readyz": "tells nothing of anybody",
  "GET /metrics": "numbers of the process",
  "GET /v1/openapi.json": "the contract",
  "GET /v1/preview-authorize": "held to the session's organization: preview-authorize.test.ts",
  // Whoever logs in is in no organization yet; a person may be in several (src/identity, store/identities.ts).
  "GET /v1/login/providers": "before anybody is known: login.test.ts",
  "GET /v1/login/:provider": "before anybody is known: login.test.ts",
  "GET /v1/login/callback/:provider": "before anybody is known: login.test.ts",
  "POST /v1/login/device": "before anybody is known: login.test.ts",
  "POST /v1/login/device/poll": "before anybody is known: login.test.ts",
  "POST /v1/login/logout/:provider": "a provider's word on its own sessions: login.test.ts",
  "GET /scim/v2/ServiceProviderConfig": "the protocol",
  "GET /scim/v2/ResourceTypes": "the protocol",
  "GET /scim/v2/ResourceTypes/:id": "the protocol",
  "GET /scim/v2/Schemas": "the protocol",
  "GET /scim/v2/Schemas/:id": "the protocol",
};

const SCIM: Readonly<Record<string, (ids: Ids) => object | undefined>> = {
  "GET /scim/v2/Users": () => undefined,
  "POST /scim/v2/Users": () => ({ userName: "new@corp.test" }),
  "GET /scim/v2/Users/:id": () => undefined,
  "PUT /scim/v2/Users/:id": () => ({ userName: "other@corp.test", active: false }),
  "PATCH /scim/v2/Users/:id": () => ({
    Operations: [{ op: "replace", path: "active", value: false }],
  }),
  "DELETE /scim/v2/Users/:id": () => undefined,
  "GET /scim/v2/Groups": () => undefined,
  "POST /scim/v2/Groups": ({ user }) => ({ displayName: "new", members: [{ value: user }] }),
  "GET /scim/v2/Groups/:id": () => undefined,
  "PUT /scim/v2/Groups/:id": ({ user }) => ({
    ...{ displayName: "other", members: [{ value: user }] },
  }),
  "PATCH /scim/v2/Groups/:id": ({ user }) => ({
    Operations: [{ op: "add", path: "members", value: [{ value: user }] }],
  }),
  "DELETE /scim/v2/Groups/:id": () => undefined,
};

interface Ids {
  readonly user: string;
  readonly group: string;
}

/** `METHOD /path` of everything that is registered. */
function registered({ api }: ControlPlane): string[] {
  const found: string[] = [];
  const above: string[] = [];
  for (const line of api.app.printRoutes({ commonPrefix: false }).split("\n")) {
    const [, indent = "", rest = ""] = /^((?:[│ ] {3})*[├└]── )(.*)$/.exec(line) ?? [];
    if (indent === "") continue;
    const [, part = "", methods = ""] = /^(.*?)(?: \(([A-Z, ]+)\))?$/.exec(rest) ?? [];
    above.length = indent.length / 4 - 1;
    const path = above.join("") + part;
    above.push(part);
    for (const method of methods.split(", ").filter(Boolean)) found.push(`${method} ${path}`);
  }
  return found;
}

test("everything that is served is an operation of the contract, the directory's, or listed with its reason", async (t) => {
  const plane = await controlPlane(t);
  const routes: readonly Route[] = ROUTES;
  const operations = routes.map(
    ({ method, path }) => `${method} /v1${path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
  );
  const known = new Set([...operations, ...Object.keys(DOORS), ...Object.keys(SCIM)]);
  const served = registered(plane).filter((one) => !/^(HEAD|OPTIONS) /.test(one));
  assert.ok(served.length >= operations.length);
  assert.deepEqual(
    served.filter((one) => !known.has(one)),
    [],
    "say how it is held",
  );
  assert.deepEqual(
    [...known].filter((one) => !served.includes(one)),
    [],
    "not served any more",
  );
});

test("a NUL in an address, or in what a directory says, is no fault of ours", async (t) => {
  const plane = await controlPlane(t);
  const { token } = await plane.admin.client.scimTokens.create({ name: "directory" });
  for (const one of registered(plane)) {
    const [method = "", path = ""] = one.split(" ");
    const bearer = path.startsWith("/scim") ? token : plane.admin.token;
    for (const url of [
      path.replaceAll(/:\w+/g, "a%00b"),
      `${path.replaceAll(/:\w+/g, "a")}?user=%00`,
    ]) {
      if (!url.includes("%00")) continue;
      const headers = { authorization: `Bearer ${bearer}` };
      const answer = await plane.api.app.inject({ method: method as "GET", url, headers });
      assert.equal(answer.statusCode, 400, `${method} ${url}: ${answer.body}`);
    }
  }
  const answer = await plane.api.app.inject({
    ...{ method: "POST", url: "/scim/v2/Users", payload: { userName: "a", title: "b\0\ud800" } },
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(answer.statusCode, 201);
  assert.equal(answer.json().title, "b��");
});

async function world(plane: ControlPlane) {
  const [alpha, beta] = [await plane.addOrg("alpha"), await plane.addOrg("beta")];
  const tokenOf = async (by: typeof alpha) =>
    (await by.client.scimTokens.create({ name: "directory" })).token;
  const revoked = await alpha.client.scimTokens.create({ name: "revoked" });
  await alpha.client.scimTokens.delete(revoked.id);
  const tokens = {
    ...{ alpha: await tokenOf(alpha), beta: await tokenOf(beta) },
    ...{ owner: alpha.token, revoked: revoked.token, anonymous: "" },
  };
  const ask = async (token: string, route: string, ids: Ids) => {
    const [method = "", path = ""] = route.split(" ");
    const id = path.includes("/Groups") ? ids.group : ids.user;
    const body = SCIM[route]?.(ids);
    const answer = await fetch(plane.url + path.replace(":id", id), {
      method,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        "content-type": "application/scim+json",
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    return { status: answer.status, text, json: text ? JSON.parse(text) : null };
  };
  const make = async (token: string): Promise<Ids> => {
    const none = { user: "scu_none", group: "scg_none" };
    const user = (await ask(token, "POST /scim/v2/Users", none)).json.id;
    return { user, group: (await ask(token, "POST /scim/v2/Groups", { ...none, user })).json.id };
  };
  const ids = { alpha: await make(tokens.alpha), beta: await make(tokens.beta) };
  const like = (id: string) => `${id.slice(0, -4)}zzzz`;
  const nobody: Ids = { user: like(ids.alpha.user), group: like(ids.alpha.group) };
  const digest = async () => {
    const { rows } = await sql<{ text: string }>`
      select coalesce(string_agg(x::text, '|' order by x::text), '') as text from (
        select to_jsonb(u) from scim_users u union all select to_jsonb(g) from scim_groups g
        union all select to_jsonb(m) from scim_members m union all select to_jsonb(a) from grants a
        union all select to_jsonb(t) from teams t) as x`.execute(plane.db.query);
    return rows[0]?.text;
  };
  return { tokens, ids, nobody, ask, digest };
}

for (const isWalled of [true, false])
  test(`the directory ${isWalled ? "" : "without row security "}is its own organization's alone`, async (t) => {
    const plane = await controlPlane(t);
    const { tokens, ids, nobody, ask, digest } = await world(plane);
    const of = plane.db.tenants.of.bind(plane.db.tenants);
    let held = 0;
    plane.db.tenants.of = (subject) => {
      held += 1;
      return isWalled ? of(subject) : plane.db.query;
    };
    const before = await digest();
    let asked = 0;
    const same = (text: string) =>
      [ids.alpha, nobody]
        .flatMap(({ user, group }) => [user, group])
        .reduce((all, id) => all.replaceAll(id, "ID"), text);
    for (const route of Object.keys(SCIM)) {
      for (const token of [tokens.owner, tokens.revoked, tokens.anonymous])
        assert.equal((await ask(token, route, ids.alpha)).status, 401, route);
      if (!route.includes(":id")) continue;
      const foreign = await ask(tokens.beta, route, ids.alpha);
      const absent = await ask(tokens.beta, route, nobody);
      asked += 2;
      assert.equal(foreign.status, 404, `${route}: ${foreign.text}`);
      assert.equal(same(foreign.text), same(absent.text), route);
    }
    assert.equal(held, asked, "not on a connection that is held");
    // Somebody else's entry in one's own group is nobody.
    const mixed = { user: ids.alpha.user, group: ids.beta.group };
    for (const route of ["PUT /scim/v2/Groups/:id", "PATCH /scim/v2/Groups/:id"]) {
      const foreign = await ask(tokens.beta, route, mixed);
      const absent = await ask(tokens.beta, route, { ...mixed, user: nobody.user });
      assert.ok(foreign.status >= 400, `${route}: ${foreign.text}`);
      assert.equal(same(foreign.text), same(absent.text), route);
    }
    assert.equal(await digest(), before, "something was changed");
    for (const kind of ["Users", "Groups"]) {
      const { json } = await ask(tokens.beta, `GET /scim/v2/${kind}`, ids.beta);
      assert.equal(json.totalResults, 1);
      assert.equal(json.Resources[0].id, kind === "Users" ? ids.beta.user : ids.beta.group);
    }
    // What is one's own can be changed.
    for (const route of ["PATCH /scim/v2/Users/:id", "DELETE /scim/v2/Groups/:id"])
      assert.ok((await ask(tokens.beta, route, ids.beta)).status < 300, route);
  });
