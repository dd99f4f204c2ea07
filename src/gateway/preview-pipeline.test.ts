// Requests that come one behind the other without waiting, from somebody who need not show anything.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { until } from "#test/harness/doors.ts";
import { openPreviews, type PreviewRig, RawClient } from "#test/harness/previews.ts";

/** For so long nothing more is taken: longer only costs time. */
const STOPPED_MS = 3000;

let rig: PreviewRig;

before(async () => {
  // Whoever takes no answer for so long is sent away; here that is the test, on a slow machine.
  rig = await openPreviews({ limits: { requestTimeoutMs: 600_000 } });
});
after(() => rig.end());

/** Which the gateway answers itself. */
const unknown = () => `GET / HTTP/1.1\r\nHost:${rig.host(80, "aaaaaaaa")}\r\n\r\n`;

test("thousands of requests in one piece are answered, each after the one before", async () => {
  const count = 4000;
  const client = new RawClient(rig.port);
  client.say(unknown().repeat(count));
  client.say(unknown().replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  const heard = await client.closes();
  assert.equal(heard.match(/HTTP\/1\.1 404/g)?.length, count + 1);
});

test("who asks and asks and reads no answer is not listened to until the answers are taken", async () => {
  const socket = connect(rig.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.pause();
  const some = unknown().repeat(1000);
  let asked = 0;
  for (let isTaken = true; isTaken; asked += 1000) {
    assert.ok(asked * unknown().length < 64 * 1024 * 1024, "all of it is taken");
    const written = new Promise<boolean>((done) => socket.write(some, () => done(true)));
    isTaken = await Promise.race([written, setTimeout(STOPPED_MS, false, { ref: false })]);
  }
  let answered = 0;
  let held = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    const parts = (held + text).split("HTTP/1.1 404");
    answered += parts.length - 1;
    held = parts.at(-1)?.slice(-20) ?? "";
  });
  socket.resume();
  await until(() => answered === asked, "everything is answered");
  socket.destroy();
});
