// Requests that follow one another on a connection: many at once, without a body, onto an app that goes away.

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

test("a POST of nothing leaves its connection as it is", async () => {
  await rig.http((request, response) => void request.resume().on("end", () => response.end("ok")));
  const client = new RawClient(rig.port);
  const post = `POST / HTTP/1.1\r\nHost: ${rig.host()}\r\nCookie: ${await rig.cookie()}\r\nContent-Length: 0\r\n\r\n`;
  for (let n = 1; n <= 3; n += 1) {
    client.say(post);
    await until(() => client.heard.split("200 OK").length > n || client.isClosed, `answer ${n}`);
    assert.equal(client.isClosed, false, `after ${n}: ${client.heard}`);
  }
  client.socket.destroy();
});

test("a request that may have been obeyed is not made again", async () => {
  const heard: string[] = [];
  await rig.tcp((socket) => {
    let isFirst = true;
    socket.on("data", (bytes) => {
      heard.push(String(bytes).split(" ")[0] ?? "");
      // It does what it is asked, and is gone before it can say so.
      if (!isFirst) return socket.destroy();
      isFirst = false;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const client = new RawClient(rig.port);
  const lines = `Host: ${rig.host()}\r\nCookie: ${await rig.cookie()}\r\n\r\n`;
  await client.say(`GET / HTTP/1.1\r\n${lines}`).hears("ok");
  client.say(`POST /orders HTTP/1.1\r\n${lines}`);
  await until(() => client.heard.split("HTTP/1.1 ").length > 2, "an answer");
  assert.deepEqual(heard, ["GET", "POST"], client.heard);
  client.end();
});
