// What is compressed, and what must not be: whatever has secrets in it, and whatever comes bit by bit.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fastify from "fastify";
import { frontDoor } from "#test/harness/front-door.ts";
import { compressAnswers, takesGzip } from "./compress.ts";

const events = Array.from({ length: 200 }, (_, index) => ({
  ...{ cursor: String(index), kind: "box.phase", message: `box-${index} is running` },
  ...{ at: "2026-01-01T00:00:00.000Z", boxId: null, data: {} },
  resource: { type: "box", id: `box_${index}` },
}));
const AS_ADMIN = { authorization: "Bearer admin" };
const TAKING = { ...AS_ADMIN, "accept-encoding": "br;q=1.0, gzip;q=0.8, *;q=0.1" };

test("a long list is compressed for whoever takes it, and is the same list", async (t) => {
  const app = await frontDoor({ "events.list": async () => ({ items: events, nextCursor: null }) });
  t.after(() => app.close());
  const plain = await app.inject({ url: "/v1/events", headers: AS_ADMIN });
  assert.equal(plain.statusCode, 200, plain.body);
  assert.equal(plain.headers["content-encoding"], undefined);
  assert.equal(plain.headers.vary, "accept-encoding");
  const short = await app.inject({ url: "/v1/events", headers: TAKING });
  assert.equal(short.headers["content-encoding"], "gzip");
  assert.equal(short.headers.vary, "accept-encoding");
  assert.equal(Number(short.headers["content-length"]), short.rawPayload.length);
  assert.equal(gunzipSync(short.rawPayload).toString(), plain.body);
  assert.ok(short.rawPayload.length * 8 < plain.rawPayload.length);
});

test("a secret that was made, what has a version, a stream and a short answer go out as they are", async (t) => {
  const app = fastify();
  t.after(() => app.close());
  compressAnswers(app);
  const long = { text: "x".repeat(10_000) };
  app.get("/read", async () => long);
  app.post("/made", async () => long);
  app.get("/version", async (_request, reply) => reply.header("etag", '"7"').send(long));
  app.get("/stream", async (_request, reply) => reply.send(Readable.from([long.text])));
  app.get("/short", async () => ({ text: "x" }));
  const encodingOf = async (method: "GET" | "POST", url: string) =>
    (await app.inject({ method, url, headers: TAKING })).headers["content-encoding"];
  assert.equal(await encodingOf("GET", "/read"), "gzip");
  assert.equal(await encodingOf("POST", "/made"), undefined);
  for (const url of ["/version", "/stream", "/short"])
    assert.equal(await encodingOf("GET", url), undefined, url);
});

test("who takes gzip", () => {
  for (const yes of ["gzip", "gzip, deflate, br", "br;q=1, GZIP;q=0.5", " gzip ; q=1.0"])
    assert.ok(takesGzip(yes), yes);
  for (const no of [undefined, "", "br", "identity", "gzip;q=0", "gzip; q=0.0, br", "xgzip", "*"])
    assert.ok(!takesGzip(no), no);
});
