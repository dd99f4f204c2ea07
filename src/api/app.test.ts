// The front door: who gets in, what is refused before a handler runs, and that every refusal is a problem.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FastifyInstance, InjectOptions } from "fastify";
import { ERRORS, Problem } from "#contract/errors.ts";
import { ADMIN, frontDoor } from "#test/harness/front-door.ts";

const admin = { authorization: "Bearer admin" };

async function problemOf(app: FastifyInstance, request: InjectOptions) {
  const response = await app.inject(request);
  const body = response.json();
  assert.match(String(response.headers["content-type"]), /^application\/problem\+json/);
  assert.equal(body.requestId, response.headers["x-request-id"]);
  assert.equal(response.statusCode, ERRORS[body.code as keyof typeof ERRORS].status);
  assert.equal(body.status, response.statusCode);
  assert.equal(body.retryable, ERRORS[body.code as keyof typeof ERRORS].retryable);
  assert.ok(body.detail.includes(ERRORS[body.code as keyof typeof ERRORS].next));
  return { ...body, headers: response.headers };
}

test("without a token, with a wrong one, or without the permission nothing is done", async () => {
  const app = await frontDoor({});
  for (const authorization of [undefined, "", "Bearer", "Bearer wrong", "Basic admin", "admin"]) {
    const headers = authorization === undefined ? {} : { authorization };
    const problem = await problemOf(app, { url: "/v1/boxes", headers });
    assert.equal(problem.code, "unauthenticated", authorization);
    assert.equal(problem.headers["www-authenticate"], "Bearer");
  }
  const forbidden = await problemOf(app, {
    method: "PATCH",
    url: "/v1/nodes/x",
    headers: { authorization: "Bearer member" },
    payload: { schedulable: true },
  });
  assert.equal(forbidden.code, "forbidden");
  assert.match(forbidden.detail, /node\.manage/);
  await app.close();
});

test("who may not enter is told so before the body is read", async () => {
  const app = await frontDoor({});
  const problem = await problemOf(app, { method: "POST", url: "/v1/boxes", payload: "{{{" });
  assert.equal(problem.code, "unauthenticated");
  await app.close();
});

test("a wrong field is named with its path, an unknown one with what was meant", async () => {
  const app = await frontDoor({});
  const create = async (url: string, payload: object) =>
    (await problemOf(app, { method: "POST", url, headers: admin, payload })).errors;
  assert.deepEqual(await create("/v1/templates", { name: "web", size: { cpu: 2 }, packges: [] }), [
    { path: "body.size.cpu", message: "unknown field: did you mean cpus?" },
    { path: "body.packges", message: "unknown field: did you mean packages?" },
  ]);
  const [wrong] = await create("/v1/templates", { name: "web", ports: [{ port: 0 }] });
  assert.equal(wrong.path, "body.ports.0.port");
  const [missing] = await create("/v1/boxes", {});
  assert.equal(missing.path, "body.template");
  const query = await problemOf(app, { url: "/v1/boxes?limit=0&colour=red", headers: admin });
  assert.deepEqual(query.errors.map((e: { path: string }) => e.path).sort(), [
    "query.colour",
    "query.limit",
  ]);
  const path = await problemOf(app, { url: "/v1/boxes/a%00b", headers: admin });
  assert.equal(path.errors[0].path, "path.box");
  const key = await problemOf(app, {
    method: "POST",
    url: "/v1/boxes/web/pause",
    headers: { ...admin, "idempotency-key": "with space" },
  });
  assert.equal(key.errors[0].path, "header.idempotency-key");
  const match = await problemOf(app, {
    method: "POST",
    url: "/v1/boxes/web/pause",
    headers: { ...admin, "if-match": "7" },
  });
  assert.equal(match.errors[0].path, "header.if-match");
  await app.close();
});

test("bodies that cannot be read are refused by what is wrong with them", async () => {
  const app = await frontDoor({});
  const post = async (payload: string, type = "application/json") =>
    (
      await problemOf(app, {
        method: "POST",
        url: "/v1/boxes",
        headers: { ...admin, "content-type": type },
        payload,
      })
    ).code;
  assert.equal(await post("{"), "invalid_json");
  assert.equal(await post('{"__proto__": {"isAdmin": true}}'), "invalid_json");
  assert.equal(await post('{"constructor": {"prototype": {}}}'), "invalid_json");
  assert.equal(await post("[1]"), "invalid_request");
  assert.equal(await post("null"), "invalid_request");
  assert.equal(await post("template: x", "application/yaml"), "unsupported_media_type");
  assert.equal(await post(`"${"x".repeat(1024 * 1024)}"`), "body_too_large");
  const stray = await problemOf(app, {
    method: "POST",
    url: "/v1/boxes/web/pause",
    headers: admin,
    payload: { force: true },
  });
  assert.equal(stray.code, "invalid_request");
  await app.close();
});

test("what is not there is a problem too", async () => {
  const app = await frontDoor({});
  for (const url of ["/", "/v1", "/v1/nothing", "/v1/boxes/", "/v1/%ff"])
    assert.match(
      (await problemOf(app, { url, headers: admin })).code,
      /^(route_not_found|invalid_request)$/,
    );
  const method = await problemOf(app, { method: "PUT", url: "/v1/boxes", headers: admin });
  assert.equal(method.code, "route_not_found");
  await app.close();
});

test("a handler gets the subject, the parsed request, If-Match and the key", async () => {
  let seen: Record<string, unknown> = {};
  const app = await frontDoor({
    "boxes.pause": (call: never) => {
      seen = call;
      throw new Problem("not_now", "The box is stopped.");
    },
  });
  const problem = await problemOf(app, {
    method: "POST",
    url: "/v1/boxes/web/pause",
    headers: { ...admin, "if-match": '"7"', "idempotency-key": "k1" },
  });
  assert.equal(problem.code, "not_now");
  assert.equal(problem.detail, `The box is stopped. ${ERRORS.not_now.next}`);
  assert.deepEqual(seen.subject, ADMIN);
  assert.deepEqual(seen.params, { box: "web" });
  assert.equal(seen.ifMatch, 7);
  assert.equal((seen.mutation as { key: string }).key, "k1");
  await app.close();
});

test("the hash of a request does not depend on the order of its fields, but on all of them", async () => {
  const hashes: string[] = [];
  const app = await frontDoor({
    "boxes.create": (call: never) => {
      hashes.push((call as { mutation: { requestHash: string } }).mutation.requestHash);
      throw new Problem("not_ready", "x");
    },
  });
  for (const payload of [
    { template: "a", name: "x", env: { A: "1", B: "2" } },
    { env: { B: "2", A: "1" }, name: "x", template: "a" },
    { template: "a", name: "x", env: { A: "1", B: "3" } },
    { template: "a", name: "y", env: { A: "1", B: "2" } },
  ])
    await app.inject({
      method: "POST",
      url: "/v1/boxes",
      headers: { ...admin, "idempotency-key": "k" },
      payload,
    });
  assert.equal(hashes[0], hashes[1]);
  assert.equal(new Set(hashes).size, 3);
  await app.close();
});

test("a fault of ours tells nothing but the request id; a silent database is 503 with Retry-After", async () => {
  const logged: object[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (f: object) => logged.push(f) } as never;
  const app = await frontDoor(
    {
      "boxes.get": () => {
        throw new Error("secret of the inside");
      },
      "boxes.list": () => {
        throw Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
      },
      // An answer that is not what the contract says must not get out.
      "system.get": async () => ({ version: 7, secret: "x" }),
    },
    { log },
  );
  const fault = await problemOf(app, { url: "/v1/boxes/web", headers: admin });
  assert.equal(fault.code, "internal");
  assert.ok(!JSON.stringify(fault).includes("secret of the inside"));
  assert.equal(logged.length, 1);
  const down = await problemOf(app, { url: "/v1/boxes", headers: admin });
  assert.equal(down.code, "unavailable");
  assert.equal(down.headers["retry-after"], "1");
  const shape = await problemOf(app, { url: "/v1/system", headers: admin });
  assert.equal(shape.code, "internal");
  await app.close();
});

test("operators see health without a token, and metrics count what was answered", async () => {
  let isUp = true;
  const app = await frontDoor(
    {},
    {
      ready: async () => {
        if (!isUp) throw Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
      },
    },
  );
  assert.equal((await app.inject("/healthz")).statusCode, 200);
  assert.equal((await app.inject("/readyz")).statusCode, 200);
  isUp = false;
  assert.equal((await problemOf(app, { url: "/readyz" })).code, "unavailable");
  assert.equal((await app.inject("/healthz")).statusCode, 200);
  await app.inject("/v1/boxes");
  const metrics = (await app.inject("/metrics")).body;
  assert.match(metrics, /^berth_requests_total\{operation="boxes\.list",status="401"\} 1$/m);
  assert.match(metrics, /^berth_request_seconds_count\{operation="boxes\.list"\} 1$/m);
  const document = (await app.inject("/v1/openapi.json")).json();
  assert.equal(document.openapi, "3.1.0");
  await app.close();
});
