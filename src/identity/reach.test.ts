// What an organization chooses as its provider does not make this server look around in its own network.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { test } from "node:test";
import { reachOf } from "./reach.ts";

test("an organization's own provider is reached at public addresses only, by whatever name", async (t) => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  server.on("connection", () => {
    asked += 1;
  });
  const { port } = server.address() as AddressInfo;
  const reach = reachOf(false);
  for (const host of [
    // The last by what its name server says.
    ...["127.0.0.1", "localhost", hostname(), "[::1]", "[::ffff:127.0.0.1]", "2130706433"],
    ...["0x7f.1", "169.254.169.254", "10.0.0.1", "0.0.0.0"],
  ]) {
    await assert.rejects(reach(`https://${host}:${port}/`, {}), /not a public address/, host);
    await assert.rejects(reach(`http://${host}:${port}/`, {}), /is not https/, host);
  }
  assert.equal(asked, 0);
  // Operators may, on this machine also without TLS; elsewhere not.
  const answer = await reachOf(true)(`http://127.0.0.1:${port}/`, {});
  assert.deepEqual(await answer.json(), {});
  await assert.rejects(reachOf(true)(`http://10.0.0.1:${port}/`, {}), /is not https/);
});

test("redirects are not followed, and answers have an end", async (t) => {
  const server = createServer((request, response) => {
    if (request.url === "/away") response.writeHead(302, { location: "/secret" }).end();
    else {
      response.writeHead(200, { "content-type": "application/json" });
      response.end("x".repeat(2 * 1024 * 1024));
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const reach = reachOf(true);
  assert.equal((await reach(`http://127.0.0.1:${port}/away`, {})).status, 302);
  await assert.rejects(async () => (await reach(`http://127.0.0.1:${port}/big`, {})).text());
});
