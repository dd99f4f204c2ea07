// Without a database the API says so, as a failure that passes, and does not hang.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { isUnavailable, openDatabase } from "#store/db.ts";
import { identifyToken } from "#store/tokens.ts";
import { frontDoor } from "#test/harness/front-door.ts";

test("Postgres down: 503, retryable, with Retry-After; the process itself is healthy", async (t) => {
  const db = openDatabase({
    url: "postgresql://postgres@/postgres?host=%2Fnonexistent",
    failpoints: new Failpoints(),
    log: silentLog,
  });
  t.after(() => db.close());
  const app = await frontDoor(
    {},
    {
      isUnavailable,
      authenticate: ({ secret }) => identifyToken(db, secret),
      ready: async () => void (await identifyToken(db, "x")),
    },
  );
  for (const url of ["/v1/boxes", "/v1/boxes/web", "/readyz"]) {
    const response = await app.inject({ url, headers: { authorization: "Bearer any" } });
    assert.equal(response.statusCode, 503);
    assert.equal(response.headers["retry-after"], "1");
    const problem = response.json();
    assert.deepEqual([problem.code, problem.retryable], ["unavailable", true]);
  }
  assert.equal((await app.inject("/healthz")).statusCode, 200);
  await app.close();
});
