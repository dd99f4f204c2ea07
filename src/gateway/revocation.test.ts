// What was taken back does not open a stream, and ends those that it opened.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { Duplex } from "node:stream";
import { after, before, test } from "node:test";
import { openStream, StreamBroken } from "#sdk/stream.ts";
import { BOX, type Doors, NO_CHANGE, openDoors, until } from "#test/harness/doors.ts";

const ECHO = 7;
const LIMIT_MS = 5000;
let doors: Doors;
const echo = createServer((socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
});

before(async () => {
  doors = await openDoors();
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  doors.driver.ports.set(ECHO, (echo.address() as { port: number }).port);
});
after(async () => {
  await doors.close();
  echo.close();
});

async function open(credentialId: string): Promise<Duplex> {
  const stream = await openStream({
    gatewayUrl: doors.gatewayUrl,
    ticket: await doors.mint({ credentialId }),
    boxId: BOX,
    door: { port: ECHO },
  });
  stream.on("error", () => {});
  return stream;
}

function revoke(credentialId: string): void {
  const revocations = [{ credentialId, untilMs: Date.now() + 600_000 }];
  doors.known.apply({ ...NO_CHANGE, revocations }, Date.now());
}

const brokenBy = (stream: Duplex) =>
  new Promise<StreamBroken>((done) => stream.once("error", (error) => done(error as StreamBroken)));

test("a token that is revoked ends its streams within 5 s, and no other's", async () => {
  const other = await open("token_other");
  const mine = await Promise.all([open("token_mine"), open("token_mine"), open("token_mine")]);
  const ends = mine.map(brokenBy);
  const sinceMs = performance.now();
  // Changes before it, as fast as they come, must not hide it.
  for (let n = 0; n < 100; n += 1) doors.known.apply(NO_CHANGE, Date.now());
  await new Promise((done) => setTimeout(done, 20));
  revoke("token_mine");
  for (const error of await Promise.all(ends)) {
    assert.ok(error instanceof StreamBroken);
    assert.equal(error.closeCode, 4403);
    assert.match(error.reason, /^revoked: /);
  }
  assert.ok(performance.now() - sinceMs < LIMIT_MS);
  await until(() => doors.gateway.status().streams === 1, "the box's sides are closed");
  const heard = new Promise((done) => other.once("data", done));
  other.write("still here");
  assert.equal(String(await heard), "still here");
  other.destroy();
});

test("a revoked token opens nothing, and the box is not asked", async () => {
  revoke("token_late");
  const before = doors.driver.opened.length;
  await assert.rejects(open("token_late"), { code: "revoked", status: 403, retryable: false });
  assert.equal(doors.driver.opened.length, before);
});

test("what is revoked while the box answers is not let in", async () => {
  // So that no review of earlier changes is still to come, which would end it as well.
  await new Promise((done) => setTimeout(done, 1500));
  const { connect } = doors.driver;
  doors.driver.connect = async (...args) => {
    revoke("token_race");
    return connect.apply(doors.driver, args);
  };
  try {
    const stream = await open("token_race");
    assert.equal((await brokenBy(stream)).closeCode, 4403);
  } finally {
    doors.driver.connect = connect;
  }
  await until(() => doors.gateway.status().streams === 0, "closed");
});
