// Every operation of the contract has a permission, a method of the SDK, and a place in the generated
// files; and nothing has a place there that the contract does not know.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { z } from "zod";
import type { Route } from "#contract/route.ts";
import { ROUTES } from "#contract/routes.ts";
import { PERMISSIONS } from "#domain/permission.ts";
import { ROUTES as GENERATED } from "#gen/routes.ts";
import { createClient } from "#sdk/client.ts";

const routes: readonly Route[] = ROUTES;

test("no two operations share a name, or a method and path", () => {
  for (const key of [
    (r: Route) => r.name,
    (r: Route) => `${r.method} ${r.path.replaceAll(/\{\w+\}/g, "{}")}`,
  ])
    assert.equal(new Set(routes.map(key)).size, routes.length);
});

test("every operation names a permission, and every permission guards an operation", () => {
  for (const route of routes)
    assert.ok(PERMISSIONS.includes(route.permission), `${route.name}: ${route.permission}`);
  const used = new Set(routes.map((route) => route.permission));
  for (const permission of PERMISSIONS) assert.ok(used.has(permission), `${permission} is unused`);
});

test("reads are GET and take no body; mutations are not GET", () => {
  for (const route of routes) {
    if (route.method === "GET") assert.equal(route.body, undefined, route.name);
    if (route.status === 202)
      assert.equal(route.idempotencyKey, true, `${route.name} takes no Idempotency-Key`);
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    assert.deepEqual(Object.keys(route.params?.shape ?? {}).sort(), inPath.sort(), route.name);
  }
});

/** Their columns have 64 bits. */
const MAY_BE_LARGE = /^(?:quotas|audit)\./;

test("every whole number in a request says how large it may be", () => {
  const boundless: string[] = [];
  const walk = (name: string, node: Record<string, unknown>) => {
    if (node.type === "integer" && Number(node.maximum) > 1_000_000_000_000) boundless.push(name);
    for (const [key, value] of Object.entries(node))
      if (value && typeof value === "object")
        walk(`${name} ${key}`, value as Record<string, unknown>);
  };
  for (const { name, params, query, body } of routes)
    for (const schema of [params, query, body])
      if (schema)
        walk(name, z.toJSONSchema(schema, { io: "output", unrepresentable: "any" }) as never);
  assert.deepEqual(
    boundless.filter((name) => !MAY_BE_LARGE.test(name)),
    [],
  );
});

test("every operation has a method of the SDK with its name, and the SDK has no other", () => {
  const client = createClient({ url: "http://berth.test", token: "t" });
  const methods = Object.entries(client).flatMap(([resource, value]) =>
    typeof value === "function" ? [] : Object.keys(value).map((method) => `${resource}.${method}`),
  );
  /** Loops over an operation, made of others. */
  const derived = ["boxes.until"];
  assert.deepEqual(
    methods.filter((name) => !derived.includes(name)).sort(),
    routes.map((route) => route.name).sort(),
  );
});

test("each SDK method calls its own operation", async () => {
  const calls: string[] = [];
  const client = createClient({
    url: "http://berth.test",
    token: "t",
    retries: 0,
    fetch: async (request) => {
      calls.push(`${request.method} ${new URL(request.url).pathname}`);
      return Response.json({ code: "internal", detail: "stop", retryable: false }, { status: 500 });
    },
  });
  for (const route of routes) {
    const [resource = "", verb = ""] = route.name.split(".");
    const methods = client[resource as keyof typeof client] as unknown as Record<
      string,
      (...args: unknown[]) => Promise<unknown> & AsyncIterator<unknown>
    >;
    const names = Object.keys(route.params?.shape ?? {});
    const values = names.map((name) => (name === "version" ? 1 : `${name}-x`));
    const isFollowed = route.stream || route.lines;
    const result = methods[verb]?.(...values, ...(isFollowed ? [] : [{}]));
    await (isFollowed ? result?.next() : result)?.catch(() => {});
    const path = names.reduce(
      (p, name, i) => p.replace(`{${name}}`, String(values[i])),
      route.path,
    );
    assert.equal(calls.pop(), `${route.method} /v1${path}`, route.name);
  }
});

test("the generated list and the OpenAPI document hold exactly the operations of the contract", () => {
  assert.deepEqual(
    GENERATED.map((route) => route.name).sort(),
    routes.map((route) => route.name).sort(),
  );
  const document = JSON.parse(readFileSync("gen/openapi.json", "utf8")) as {
    openapi: string;
    paths: Record<string, Record<string, { operationId: string; security?: unknown }>>;
  };
  assert.equal(document.openapi, "3.1.0");
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, o]) => `${o.operationId} ${method.toUpperCase()} ${path}`,
    ),
  );
  assert.deepEqual(
    operations.sort(),
    routes.map((route) => `${route.name} ${route.method} /v1${route.path}`).sort(),
  );
});
