// What the client repeats and what it does not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "./api-error.ts";
import { createClient } from "./client.ts";

interface Script {
  readonly requests: Request[];
  readonly pausesMs: number[];
  readonly client: ReturnType<typeof createClient>;
}

/** A client whose server plays the given answers, one a request; the last one for ever. */
function scripted(answers: readonly (() => Response)[]): Script {
  const requests: Request[] = [];
  const pausesMs: number[] = [];
  const client = createClient({
    url: "http://berth.test",
    token: "berth_t",
    retries: 3,
    sleep: async (ms) => void pausesMs.push(ms),
    fetch: async (request) => {
      requests.push(request);
      const answer = answers[Math.min(requests.length, answers.length) - 1];
      return answer?.() as Response;
    },
  });
  return { requests, pausesMs, client };
}

const ok = (body: unknown) => () => Response.json(body);
const problem =
  (status: number, code: string, retryable: boolean, headers: Record<string, string> = {}) =>
  () =>
    Response.json(
      {
        type: "",
        title: "",
        status,
        code,
        detail: `It is ${code}.`,
        retryable,
        requestId: "req_1",
      },
      { status, headers },
    );
const refused = () => {
  throw new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } });
};

test("a mutation is repeated under one key, so that it has its effect once", async () => {
  const { client, requests } = scripted([
    refused,
    problem(503, "unavailable", true),
    ok({ box: 1 }),
  ]);
  await client.boxes.create({ template: "default" });
  const keys = requests.map((request) => request.headers.get("idempotency-key"));
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  assert.match(keys[0] ?? "", /^[0-9a-f-]{36}$/);
  const bodies = await Promise.all(requests.slice(0, 2).map(async (r) => r.bodyUsed || r.text()));
  assert.equal(bodies.length, 2);
});

test("a key given by the caller is the one that is sent", async () => {
  const { client, requests } = scripted([ok({ box: 1 })]);
  await client.boxes.pause("web", { idempotencyKey: "mine", ifGeneration: 7 });
  assert.equal(requests[0]?.headers.get("idempotency-key"), "mine");
  assert.equal(requests[0]?.headers.get("if-match"), '"7"');
  assert.equal(requests[0]?.headers.get("authorization"), "Bearer berth_t");
});

test("a mutation that takes no key is sent once", async () => {
  const { client, requests } = scripted([problem(503, "unavailable", true)]);
  await assert.rejects(client.nodes.createJoinToken(), { code: "unavailable" });
  assert.equal(requests.length, 1);
});

test("a refusal is not repeated, and says what it is", async () => {
  const { client, requests } = scripted([problem(404, "not_found", false)]);
  const error = await client.boxes.get("web").catch((e: unknown) => e);
  assert.ok(error instanceof ApiError);
  assert.deepEqual(
    [error.code, error.status, error.retryable, error.requestId, error.detail],
    ["not_found", 404, false, "req_1", "It is not_found."],
  );
  assert.equal(requests.length, 1);
});

test("a conflict that may pass is the caller's to repeat", async () => {
  const { client, requests } = scripted([problem(409, "not_ready", true)]);
  await assert.rejects(client.boxes.create({ template: "t" }), {
    code: "not_ready",
    retryable: true,
  });
  assert.equal(requests.length, 1);
});

test("tries end, pauses grow, and Retry-After is kept", async () => {
  const { client, requests, pausesMs } = scripted([
    refused,
    problem(503, "unavailable", true, { "retry-after": "2" }),
    refused,
  ]);
  await assert.rejects(client.boxes.list(), (error: ApiError) => {
    assert.equal(error.code, "unreachable");
    assert.match(error.detail, /ECONNREFUSED/);
    return true;
  });
  assert.equal(requests.length, 4);
  assert.deepEqual(pausesMs, [100, 2000, 400]);
});

test("what was refused for its rate is sent again when the server says, whatever it is", async () => {
  const limited = problem(429, "rate_limited", true, { "retry-after": "42" });
  const { client, requests, pausesMs } = scripted([limited, ok({ token: "t" })]);
  await client.nodes.createJoinToken();
  assert.equal(requests.length, 2);
  assert.deepEqual(pausesMs, [42_000]);
});

test("nobody waits for longer than a minute to be let in again", async () => {
  const { client, requests, pausesMs } = scripted([
    problem(429, "rate_limited", true, { "retry-after": "61" }),
  ]);
  await assert.rejects(client.boxes.list(), { code: "rate_limited" });
  assert.equal(requests.length, 1);
  assert.deepEqual(pausesMs, []);
});

test("an answer that is not Berth's is told apart", async () => {
  const { client } = scripted([() => new Response("<html>", { status: 404 })]);
  await assert.rejects(client.system.get(), { code: "malformed", status: 404, retryable: false });
});

test("an aborted call ends with the signal's reason", async () => {
  const stop = new AbortController();
  const client = createClient({
    url: "http://berth.test",
    token: "t",
    fetch: async (request) => {
      stop.abort(new Error("enough"));
      request.signal.throwIfAborted();
      return new Response();
    },
  });
  await assert.rejects(client.boxes.get("web", { signal: stop.signal }), { message: "enough" });
});
