import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { EXIT } from "./exit.ts";

test("a command that was refused for its rate says how long it waits, and goes on", async (t) => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    const isLimited = asked === 1;
    const problem = {
      ...{ type: "", title: "", status: 429, code: "rate_limited", detail: "Too many." },
      ...{ retryable: true, requestId: "r" },
    };
    response.writeHead(isLimited ? 429 : 200, {
      "content-type": "application/json",
      ...(isLimited ? { "retry-after": "42" } : {}),
    });
    response.end(JSON.stringify(isLimited ? problem : { items: [], nextCursor: null }));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => void server.close());
  const pausesMs: number[] = [];
  const clock = { ...systemClock, sleep: async (ms: number) => void pausesMs.push(ms) };
  const { port } = server.address() as AddressInfo;
  const env = { BERTH_URL: `http://127.0.0.1:${port}`, BERTH_TOKEN: "t" };
  const terminal = recordedTerminal({ env, clock });
  const code = await runBerth(terminal, ["list"]);
  assert.equal(code, EXIT.ok, terminal.written.err);
  assert.equal(asked, 2);
  assert.ok(pausesMs.includes(42_000));
  assert.match(terminal.written.err, /trying again in 42 s/);
});
