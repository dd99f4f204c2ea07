// Every operation asked by everybody, for what is theirs, their neighbours', another organization's and nobody's. What
// should come of it stands in matrix-rights.ts. Nothing is ever done: what is allowed is stopped at its commit.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { sql } from "kysely";
import { z } from "zod";
import type { Route } from "#contract/route.ts";
import { ROUTES } from "#contract/routes.ts";
import type { Failpoints } from "#lib/failpoint.ts";
import type { Db } from "#store/db.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { countCalls, functionsOfSubjects } from "./called.ts";
import { type Entry, FOREIGN, MEMBERS, RIGHTS, SCOPED, type Thing } from "./matrix-rights.ts";
import { type Ids, type MatrixWorld, matrixWorld } from "./matrix-world.ts";

const routes: readonly Route[] = ROUTES;
const inMatrix = routes.filter(({ name }) => !entryOf(name).elsewhere);
const ANONYMOUS = "anonymous";
const ACTORS: readonly string[] = [...MEMBERS, SCOPED, ...FOREIGN, ANONYMOUS];

function entryOf(name: string): Entry {
  const entry = (RIGHTS as Record<string, Entry>)[name];
  assert.ok(entry, `${name}: say in matrix-rights.ts who may do it`);
  return entry;
}

function thingOf(route: Route, param: string): Thing {
  return entryOf(route.name).params?.[param] ?? (param as Thing);
}

const idParams = (route: Route) =>
  Object.keys(route.params?.shape ?? {}).filter(
    (name) => !["version", "scope"].includes(thingOf(route, name)),
  );

interface Asked {
  readonly status: number;
  readonly text: string;
}

interface Request {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Record<string, unknown> | undefined;
}

class Matrix {
  readonly plane: ControlPlane;
  readonly world: MatrixWorld;

  constructor(plane: ControlPlane, world: MatrixWorld) {
    this.plane = plane;
    this.world = world;
  }

  /** `isWalled` false: without row security, so that what the store says is alone. */
  static async make(t: Parameters<typeof controlPlane>[0], isWalled: boolean): Promise<Matrix> {
    const plane = await controlPlane(t);
    const world = await matrixWorld(plane);
    if (!isWalled) plane.db.tenants.of = () => plane.db.query;
    stopCommits(plane.failpoints);
    return new Matrix(plane, world);
  }

  /** With ids of one organization's things. */
  request(route: Route, ids: Ids): Request {
    const { fixed, body, query = {}, isQueryNeeded } = entryOf(route.name);
    const asked = Object.entries(isQueryNeeded ? query : {}).map(([name, thing]) => [
      name,
      ids[thing],
    ]);
    const params = Object.keys(route.params?.shape ?? {});
    return {
      params: Object.fromEntries(params.map((name) => [name, ids[thingOf(route, name)]])),
      query: { ...fixed, ...Object.fromEntries(asked) },
      body: body?.((thing) => ids[thing]),
    };
  }

  async ask(
    route: Route,
    actor: string,
    { params = {}, query = {}, body }: Request,
  ): Promise<Asked> {
    const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "");
    const token = this.world.tokens.get(actor);
    const url = `${this.plane.url}/v1${path}?${new URLSearchParams(query)}`;
    const gone = new AbortController();
    const response = await fetch(url, {
      method: route.method,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body ? { "content-type": "application/json" } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: gone.signal,
    });
    const isOpen = response.ok && route.stream;
    const text = isOpen ? "" : await response.text();
    if (isOpen) gone.abort();
    return { status: response.status, text };
  }
}

/** Whatever gets as far as its commit was allowed; it is undone there. */
function stopCommits(failpoints: Failpoints): void {
  const hit = failpoints.hit.bind(failpoints);
  failpoints.hit = async (name) => {
    if (name.endsWith(".before_commit")) throw new Error("allowed, and stopped at its commit");
    return hit(name);
  };
}

/** Without what differs between any two requests, and without the ids that were asked for. */
function sameness({ status, text }: Asked, ids: Ids): string {
  let plain = text.replace(/"requestId":"[^"]*"/g, "");
  for (const id of Object.values(ids)) if (id.length > 3) plain = plain.replaceAll(id, "ID");
  return `${status} ${plain}`;
}

/** A digest of every row that a request could have changed. */
async function digestOf(db: Db): Promise<Record<string, string>> {
  // Who is refused leaves entries in the trail; a token says when it was used.
  const { rows: tables } = await sql<{ name: string }>`
    select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
      and relname not in ('audit_entries', 'gateways', 'leases') order by 1`.execute(db.query);
  const digests: Record<string, string> = {};
  for (const { name } of tables) {
    const { rows } = await sql<{ digest: string }>`
      select md5(coalesce(string_agg(r, '' order by r), '')) as digest from (
        select (to_jsonb(t) - 'last_used_at')::text as r from ${sql.table(name)} t) rows`.execute(
      db.query,
    );
    digests[name] = rows[0]?.digest ?? "";
  }
  return digests;
}

function assertForbidden({ status, text }: Asked, needs: readonly string[]): void {
  assert.equal(status, 403, `not refused: ${status} ${text}`);
  const { code, detail } = JSON.parse(text) as { code: string; detail: string };
  assert.equal(code, "forbidden");
  assert.ok(
    needs.some((one) => detail.includes(one)),
    `it does not name ${needs.join(" or ")}: ${detail}`,
  );
}

function assertAllowed({ status, text }: Asked): void {
  assert.ok(![400, 401, 403, 404, 422, 429].includes(status), `not allowed: ${status} ${text}`);
  // A commit that was stopped; anything else is a mistake.
  if (status >= 500) assert.equal(JSON.parse(text).code, "internal", text);
}

test("every operation has an entry, and every reference that a request can hold is in it", () => {
  for (const route of routes) {
    const entry = entryOf(route.name);
    for (const actor of entry.may) assert.ok(ACTORS.includes(actor), `${route.name}: ${actor}`);
    if (entry.elsewhere) continue;
    const known = new Set([
      ...[...Object.keys(entry.query ?? {}), ...Object.keys(entry.refs ?? {})],
    ]);
    for (const found of [...referencesOf(route.query), ...referencesOf(route.body)])
      assert.ok(known.has(found), `${route.name}: ${found} refers to something: add it`);
  }
  for (const name of Object.keys(RIGHTS))
    assert.ok(
      routes.some((route) => route.name === name),
      `${name} is no operation any more`,
    );
});

interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

/** Paths of the fields whose pattern or description says that they name something that there is. */
function referencesOf(schema: z.ZodType | undefined): string[] {
  if (!schema) return [];
  const root = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
  const walk = (node: JsonSchema, path: string): string[] => {
    const { $ref, properties, items, anyOf = [], allOf = [] } = node;
    const target = $ref ? root.$defs?.[$ref.replace("#/$defs/", "")] : undefined;
    const text = JSON.stringify({ ...node, properties: undefined, $defs: undefined });
    const isReference = !properties && !items && /\b(?:Id|An id|id or the name)\b/.test(text);
    return [
      ...(isReference && path ? [path] : []),
      ...Object.entries(properties ?? {}).flatMap(([name, one]) =>
        walk(one, path ? `${path}.${name}` : name),
      ),
      ...[items, target, ...anyOf, ...allOf].flatMap((one) => (one ? walk(one, path) : [])),
    ];
  };
  return [...new Set(walk(root, ""))];
}

for (const isWalled of [true, false])
  test(`each operation × each actor ${isWalled ? "" : "without row security"}: done, refused by the name of what is missing, or not there`, async (t) => {
    const matrix = await Matrix.make(t, isWalled);
    const before = await digestOf(matrix.plane.db);
    const wrong: string[] = [];
    const calledOf = await countCalls();
    for (const route of inMatrix)
      for (const actor of ACTORS) {
        try {
          await judge(matrix, route, actor);
        } catch (error) {
          wrong.push(`${actor} ${route.name}: ${(error as Error).message.slice(0, 300)}`);
        }
      }
    assert.deepEqual(wrong, []);
    assert.deepEqual(await digestOf(matrix.plane.db), before, "something was changed");
    const called = await calledOf();
    const missed = functionsOfSubjects().filter((one) => !called.has(one) && !(one in ELSEWHERE));
    assert.deepEqual(missed, [], "no operation calls these: say in ELSEWHERE who tries them");
    for (const [one, file] of Object.entries(ELSEWHERE)) {
      assert.ok(!called.has(one), `${one} is called here`);
      assert.ok(existsSync(file), `${one}: there is no ${file}`);
    }
  });

/** Functions of the store that take a subject and are behind no operation of the matrix, with where they are tried. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "access.ts addToken": "src/api/credentials.test.ts",
  "boxes.ts createBox": "src/store/boxes.test.ts",
  "events.ts listEvents": "src/api/watch.test.ts",
  "idempotency.ts readAnswer": "src/store/boxes.test.ts",
  "orgs.ts renameOrg": "src/store/orgs.test.ts",
  "preview-visits.ts refuseVisit": "src/api/preview-authorize.test.ts",
  "quota-refusal.ts quotaRefusal": "src/store/quotas.test.ts",
  "tokens.ts createWebSession": "src/api/keys.test.ts",
  "tokens.ts identifyAgain": "src/api/watch.test.ts",
};

async function judge(matrix: Matrix, route: Route, actor: string): Promise<void> {
  const { alpha, beta, nobody } = matrix.world;
  const entry = entryOf(route.name);
  const hasIds = idParams(route).length > 0;
  const asked = await matrix.ask(route, actor, matrix.request(route, alpha));
  const isAsNobodys = async (one: Asked, ids: Ids, what: string) => {
    const absent = await matrix.ask(route, actor, matrix.request(route, nobody));
    assert.equal(one.status, 404, `${what}: ${one.status} ${one.text}`);
    assert.equal(sameness(one, ids), sameness(absent, nobody), what);
  };
  if (actor === ANONYMOUS) return assert.equal(asked.status, 401);
  if (FOREIGN.includes(actor as never) && !entry.isOfInstallation) {
    if (hasIds) return isAsNobodys(asked, alpha, "alpha's");
    // Without an id in its path it is about their own organization. (What they ask for stands in their audit trail.)
    const own = await matrix.ask(route, actor, matrix.request(route, beta));
    if (route.name.startsWith("audit.")) return;
    for (const id of [alpha.box, alpha.org, alpha.member, alpha.team])
      assert.ok(!own.text.includes(id), `it shows ${id}`);
    return;
  }
  if (entry.may.includes(actor)) {
    assertAllowed(asked);
    if (!hasIds || entry.isOfInstallation) return;
    const others = await matrix.ask(route, actor, matrix.request(route, beta));
    return isAsNobodys(others, beta, "beta's");
  }
  if (actor === SCOPED) return assertForbidden(asked, [route.permission, ...(entry.needs ?? [])]);
  if (entry.sees.includes(actor)) return assertForbidden(asked, entry.needs ?? [route.permission]);
  return isAsNobodys(asked, alpha, "not to be seen");
}

test("each id in a path, alone of another organization, is not there", async (t) => {
  const matrix = await Matrix.make(t, false);
  const { alpha, beta, nobody } = matrix.world;
  for (const route of inMatrix.filter((one) => idParams(one).length > 1)) {
    const actor = entryOf(route.name).may[0] as string;
    for (const name of idParams(route)) {
      const thing = thingOf(route, name);
      const request = matrix.request(route, alpha);
      const mixed = (ids: Ids) =>
        matrix.ask(route, actor, { ...request, params: { ...request.params, [name]: ids[thing] } });
      const [others, absent] = [await mixed(beta), await mixed(nobody)];
      assert.equal(others.status, 404, `${route.name} ${name}: ${others.text}`);
      assert.equal(sameness(others, beta), sameness(absent, nobody), `${route.name} ${name}`);
    }
  }
});

test("each reference in a query or body to another organization's is as good as to nothing", async (t) => {
  const matrix = await Matrix.make(t, false);
  const { alpha, beta, nobody } = matrix.world;
  const before = await digestOf(matrix.plane.db);
  for (const route of inMatrix) {
    const entry = entryOf(route.name);
    if (entry.isOfInstallation) continue;
    const actor = entry.may[0] as string;
    for (const [name, thing] of Object.entries(entry.query ?? {})) {
      const asked = (ids: Ids) => {
        const request = matrix.request(route, alpha);
        return matrix.ask(route, actor, {
          ...request,
          query: { ...request.query, [name]: ids[thing] },
        });
      };
      assertAllowed(await asked(alpha));
      const [others, absent] = [await asked(beta), await asked(nobody)];
      assert.equal(sameness(others, beta), sameness(absent, nobody), `${route.name} ?${name}`);
    }
    for (const [name, thing] of Object.entries(entry.refs ?? {})) {
      const asked = (ids: Ids) => {
        const request = matrix.request(route, alpha);
        const body = withReference(request.body ?? {}, name, ids[thing]);
        return matrix.ask(route, actor, { ...request, body });
      };
      const [others, absent] = [await asked(beta), await asked(nobody)];
      assert.equal(others.status, 404, `${route.name} ${name}: ${others.text}`);
      assert.equal(sameness(others, beta), sameness(absent, nobody), `${route.name} ${name}`);
    }
  }
  assert.deepEqual(await digestOf(matrix.plane.db), before, "something was changed");
});

/** `groups.team`: of the first of them. Of two that exclude each other, only the one. */
function withReference(body: Record<string, unknown>, name: string, id: string) {
  const [first = "", second] = name.split(".");
  if (second) {
    const [one] = body[first] as Record<string, unknown>[];
    return { ...body, [first]: [{ ...one, [second]: id }] };
  }
  if (Array.isArray(body[first])) return { ...body, [first]: [id] };
  const { user, ...rest } = body;
  return first === "team" && user !== undefined ? { ...rest, team: id } : { ...body, [first]: id };
}
