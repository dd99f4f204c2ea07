// Previews end to end, but for the browser: bytes of every kind through the gateway and an agent's link to apps of the
// test, boxes that rest, rights that end.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { systemClock } from "#lib/clock.ts";
import { BOX, until } from "#test/harness/doors.ts";
import {
  get,
  headerOf,
  NAVIGATION,
  openPreviews,
  PORT,
  type PreviewRig,
  RawClient,
  statusOf,
} from "#test/harness/previews.ts";

const MIB = 1024 * 1024;
let rig: PreviewRig;
let cookie: string;

before(async () => {
  rig = await openPreviews();
});
beforeEach(async () => {
  rig.set({ previewId: `preview_${randomBytes(4).toString("hex")}`, visibility: "private" });
  cookie = await rig.cookie();
});
after(() => rig.end());

function open(method: string, path = "/", headers: Record<string, string> = {}) {
  const sent = httpRequest({
    ...{ host: "127.0.0.1", port: rig.port, method, path, agent: false },
    headers: { host: rig.host(), cookie, ...headers },
  });
  const answered = new Promise<IncomingMessage>((done, fail) => {
    sent.on("response", done);
    sent.on("error", fail);
  });
  return { sent, answered };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = "";
  for await (const part of answer) text += part;
  return text;
}

test("requests on one connection, with and without bodies, use one connection to the app", async () => {
  const apps = new Set<Socket>();
  await rig.http((request, response) => {
    apps.add(request.socket);
    request.pipe(response);
  });
  const client = new RawClient(rig.port);
  const head = (method: string, lines: string) =>
    `${method} /x?y=1 HTTP/1.1\r\nHost: ${rig.host()}\r\nCookie: ${cookie}\r\n${lines}\r\n`;
  client.say(head("GET", "")).say(head("POST", "Content-Length: 5\r\n")).say("hello");
  client.say(`${head("PUT", "Transfer-Encoding: chunked\r\n")}3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n`);
  client.say(head("DELETE", "Connection: close\r\n"));
  const heard = await client.closes();
  assert.equal(heard.match(/HTTP\/1\.1 200 OK/g)?.length, 4, heard);
  assert.match(heard, /hello/);
  assert.match(heard, /abcdefg|abc\r\n4\r\ndefg/);
  assert.equal(apps.size, 1);
});

test("1 GiB up and 1 GiB down pass unchanged in bounded memory", { timeout: 300_000 }, async () => {
  const total = 1024 * MIB;
  const block = randomBytes(MIB);
  const expected = createHash("sha256");
  for (let sent = 0; sent < total; sent += MIB) expected.update(block);
  const wanted = expected.digest("hex");
  await rig.http(async (request, response) => {
    if (request.method === "PUT") {
      const hash = createHash("sha256");
      for await (const part of request) hash.update(part);
      response.end(hash.digest("hex"));
      return;
    }
    response.writeHead(200, { "content-length": total });
    for (let sent = 0; sent < total; sent += MIB)
      if (!response.write(block)) await new Promise((done) => response.once("drain", done));
    response.end();
  });
  const before = process.memoryUsage().rss;
  let highest = 0;
  const look = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage().rss);
  }, 20);
  try {
    const up = open("PUT", "/", { "content-length": String(total) });
    for (let sent = 0; sent < total; sent += MIB)
      if (!up.sent.write(block)) await new Promise((done) => up.sent.once("drain", done));
    up.sent.end();
    assert.equal(await textOf(await up.answered), wanted);
    const down = open("GET");
    down.sent.end();
    const hash = createHash("sha256");
    for await (const part of await down.answered) hash.update(part as Buffer);
    assert.equal(hash.digest("hex"), wanted);
  } finally {
    clearInterval(look);
  }
  // Sender, gateway, agent and app are all in this process.
  assert.ok(highest - before < 256 * MIB, `${Math.round((highest - before) / MIB)} MiB more`);
});

test("a browser that reads slowly holds the app back", async () => {
  let written = 0;
  await rig.http((_, response) => {
    const block = Buffer.alloc(MIB);
    const more = () => {
      while (written < 256 * MIB) {
        written += MIB;
        if (!response.write(block)) return void response.once("drain", more);
      }
      response.end();
    };
    more();
  });
  const { sent, answered } = open("GET");
  sent.end();
  const answer = await answered;
  answer.pause();
  let last = -1;
  await until(async () => {
    const isStill = last === written;
    last = written;
    await systemClock.sleep(300);
    return isStill;
  }, "the app is held back");
  assert.ok(written < 64 * MIB, `${written / MIB} MiB were taken from the app`);
  let read = 0;
  for await (const part of answer) read += (part as Buffer).length;
  assert.equal(read, 256 * MIB);
});

test("server-sent events arrive one by one", async () => {
  let stream: { write(text: string): void; end(): void } | null = null;
  await rig.http((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    stream = response;
  });
  const { sent, answered } = open("GET", "/events", { accept: "text/event-stream" });
  sent.end();
  const answer = await answered;
  let heard = "";
  answer.on("data", (part) => {
    heard += part;
  });
  for (const one of ["data: 1\n\n", "data: 2\n\n"]) {
    stream!.write(one);
    await until(() => heard.endsWith(one), `the event ${one}`);
  }
  stream!.end();
});

test("WebSockets carry text and bytes both ways, and close with their code", async () => {
  const server = await rig.http(() => {});
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("message", (bytes, isBinary) => socket.send(bytes, { binary: isBinary }));
    socket.on("close", (code) => codes.push(code));
  });
  const codes: number[] = [];
  const client = new WebSocket(`ws://127.0.0.1:${rig.port}/hmr`, "vite-hmr", {
    headers: { host: rig.host(), cookie, origin: rig.origin() },
  });
  const heard: Buffer[] = [];
  client.on("message", (bytes: Buffer) => heard.push(bytes));
  await new Promise((done, fail) => {
    client.on("open", done);
    client.on("error", fail);
  });
  const large = randomBytes(2 * MIB);
  client.send("hello");
  client.send(large);
  await until(() => heard.length === 2, "both come back");
  assert.equal(heard[0]?.toString(), "hello");
  assert.ok(heard[1]?.equals(large));
  client.close(4001);
  await until(() => codes.includes(4001), "the app hears the code");
});

test("an answer without a length is whole or visibly cut", async () => {
  let app: Socket | null = null;
  await rig.tcp((socket) => {
    app = socket;
    socket.once("data", () =>
      socket.write("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"),
    );
  });
  const whole = open("GET");
  whole.sent.end();
  const answer = await whole.answered;
  app!.end(" world");
  assert.equal(await textOf(answer), "hello world");
  const cut = open("GET");
  cut.sent.end();
  const half = await cut.answered;
  app!.resetAndDestroy();
  await assert.rejects(textOf(half), /aborted/);
});

test("an app that closes idle connections is asked again, on a new one", async () => {
  let count = 0;
  let last: Socket | null = null;
  await rig.tcp((socket) => {
    last = socket;
    socket.on("data", () => {
      count += 1;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${count}`);
    });
  });
  const client = new RawClient(rig.port);
  const head = `GET / HTTP/1.1\r\nHost: ${rig.host()}\r\nCookie: ${cookie}\r\n\r\n`;
  await client.say(head).hears(/\r\n\r\n1$/);
  last!.destroy();
  await client.say(head).hears(/\r\n\r\n2$/);
  client.end();
});

test("nothing listens: a page names the port; the app that talks no HTTP, another", async () => {
  rig.doors.driver.ports.delete(PORT);
  rig.listening = [22, 5173];
  const closed = await get(rig, "/", [...NAVIGATION, `Cookie: ${cookie}`]);
  assert.equal(statusOf(closed), 502);
  assert.match(closed, /Nothing listens at port 3000/);
  assert.match(closed, /something listens at 22, 5173/);
  assert.match(closed, /Refresh: 3/);
  await rig.tcp((socket) => socket.end("SSH-2.0-x\r\n\r\n"));
  const other = await get(rig, "/", [...NAVIGATION, `Cookie: ${cookie}`]);
  assert.equal(statusOf(other), 502);
  assert.match(other, /not HTTP/);
  await rig.tcp((socket) => socket.once("data", () => socket.destroy()));
  const silent = await get(rig, "/", [...NAVIGATION, `Cookie: ${cookie}`]);
  assert.match(silent, /closed the connection without an answer/);
});

test("labels: gone is 410, unknown is 404, another port of the same label is 404", async () => {
  await rig.http((_, response) => response.end("app"));
  const old = rig.host();
  assert.equal(statusOf(await get(rig, "/", [`Cookie: ${cookie}`])), 200);
  const at = (host: string) =>
    new RawClient(rig.port)
      .say(`GET / HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`)
      .closes();
  assert.equal(statusOf(await at(rig.host(3001))), 404);
  assert.equal(statusOf(await at(rig.host(PORT, "zzzzzzzzzzzzzzzz"))), 404);
  rig.set({ label: `q${randomBytes(8).toString("hex")}`, serial: 2 });
  assert.equal(statusOf(await at(old)), 410);
  rig.set({ serial: 1 });
});

test("hosts that are no previews reach the door beside, on the same listener", async () => {
  const health = await new RawClient(rig.port)
    .say("GET /healthz HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
    .closes();
  assert.match(health, /"boxes":1/);
  // In parts, and as a health check of the old kind.
  const client = new RawClient(rig.port).say("GET /healthz HTTP/1.0\r\n");
  await systemClock.sleep(20);
  assert.match(await client.say("\r\n").closes(), /"boxes":1/);
});

test("an open answer, a WebSocket and an unanswered request end when the right does", async (t) => {
  let neverAsked = 0;
  const server = await rig.http((request, response) => {
    if (request.url === "/never") neverAsked += 1;
    if (request.url !== "/events") return;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
  });
  new WebSocketServer({ server });
  const endings: Record<string, () => void> = {
    revoked: () => rig.revoke({ credentialId: "web_1", untilMs: Date.now() + 3_600_000 }),
    narrowed: () => rig.set({ serial: 9 }),
    closed: () => rig.close(rig.set().previewId),
  };
  for (const [name, end] of Object.entries(endings))
    await t.test(name, async () => {
      rig.set({ serial: 1, previewId: `preview_${name}` });
      cookie = await rig.cookie();
      const events = new RawClient(rig.port).say(head("GET", "/events"));
      const before = neverAsked;
      const unanswered = new RawClient(rig.port).say(head("GET", "/never"));
      const headers = { host: rig.host(), cookie, origin: rig.origin() };
      const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/ws`, { headers });
      const socketOver = new Promise((done) => socket.on("close", done));
      await new Promise((done) => socket.on("open", done));
      await events.hears("data: 1");
      await until(() => neverAsked > before, "the app has the request");
      const startedMs = performance.now();
      end();
      await Promise.all([events.closes(), unanswered.closes(), socketOver]);
      assert.ok(performance.now() - startedMs < 5000);
      rig.doors.known.apply({ kind: "beat" }, Date.now() + 7_200_000);
      rig.set({ serial: 1 });
    });
});

function head(method: string, path: string, lines: readonly string[] = []): string {
  const first = [`${method} ${path} HTTP/1.1`, `Host: ${rig.host()}`, `Cookie: ${cookie}`];
  return `${[...first, ...lines].join("\r\n")}\r\n\r\n`;
}

test("answers without a body: HEAD, 204, 304, and the connection goes on", async () => {
  await rig.http((request, response) => {
    if (request.method === "HEAD") response.setHeader("content-length", 1000).end();
    else response.writeHead(Number(request.url?.slice(1))).end();
  });
  const client = new RawClient(rig.port);
  client.say(head("HEAD", "/")).say(head("GET", "/204")).say(head("GET", "/304"));
  client.say(head("GET", "/200", ["Connection: close"]));
  const heard = await client.closes();
  assert.deepEqual(
    [...heard.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => code),
    ["200", "204", "304", "200"],
  );
  assert.match(heard, /Content-Length: 1000/i);
});

test("an app may ask for the body first, or answer without having taken it", async () => {
  await rig.http((request, response) => {
    if (request.url === "/refused") {
      response.writeHead(413, { connection: "close" }).end("too large");
      return;
    }
    request.pipe(response);
  });
  const asking = new RawClient(rig.port);
  asking.say(head("POST", "/", ["Expect: 100-continue", "Content-Length: 5", "Connection: close"]));
  await asking.hears("100 Continue");
  assert.match(await asking.say("hello").closes(), /200 OK.*hello/s);
  const large = new RawClient(rig.port).say(head("POST", "/refused", ["Content-Length: 99999999"]));
  large.say("x".repeat(100_000));
  assert.match(await large.closes(), /413 .*too large/s);
});

test("a browser that goes away takes its request with it", async () => {
  let isGone = false;
  await rig.http((_, response) => {
    response.write("begun");
    response.on("close", () => {
      isGone = true;
    });
  });
  const client = new RawClient(rig.port).say(head("GET", "/"));
  await client.hears("begun");
  client.end();
  await until(() => isGone, "the app hears of it");
  await until(() => rig.doors.gateway.status().streams === 0, "the stream is closed");
});

test("a request waits for a box at rest; 200 that wait are all served", async () => {
  await rig.http((request, response) => response.end(`served ${request.url}`));
  const { driver, links, gateway } = rig.doors;
  driver.boxes.clear();
  links.refresh();
  await until(() => gateway.status().boxes === 0, "the box rests");
  const waiting = Array.from({ length: 200 }, (_, at) => get(rig, `/${at}`, [`Cookie: ${cookie}`]));
  await systemClock.sleep(500);
  driver.boxes.set(BOX, { epoch: 2, state: "ready" });
  links.refresh();
  const answers = await Promise.all(waiting);
  for (const [at, answer] of answers.entries()) assert.ok(answer.endsWith(`served /${at}`), answer);
});

test("a WebSocket does not wake a box: the page that somebody left open tries for ever", async () => {
  const { driver, links, gateway } = rig.doors;
  driver.boxes.clear();
  links.refresh();
  await until(() => gateway.status().boxes === 0, "the box rests");
  const headers = { host: rig.host(), cookie };
  const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/hmr`, { headers });
  const status = await new Promise((done) => {
    socket.on("unexpected-response", (_request, response) => done(response.statusCode));
    socket.on("error", done);
  });
  assert.equal(status, 503);
  driver.boxes.set(BOX, { epoch: 3, state: "ready" });
  links.refresh();
  await until(() => gateway.status().boxes === 1, "the box runs");
});

test("a pass that is half over is renewed on the way", async () => {
  const renewing: string[] = [];
  const other = await openPreviews({
    renewPass: async (pass) => {
      renewing.push(pass);
      return other.signer.pass(
        { previewId: "preview_1", serial: 1, credentialId: "web_1", userId: "usr_2" },
        Date.now(),
      );
    },
  });
  try {
    await other.http((_, response) => response.end("app"));
    const pass = { previewId: "preview_1", serial: 1, credentialId: "web_1", userId: "usr_1" };
    const old = await other.signer.pass(pass, Date.now() - 40 * 60_000);
    const lines = [`Cookie: __Host-berth-preview=${old}`];
    assert.equal(statusOf(await get(other, "/", lines)), 200);
    let fresh: string[] = [];
    await until(async () => {
      fresh = headerOf(await get(other, "/", lines), "set-cookie");
      return fresh.length > 0;
    }, "a fresh pass");
    assert.match(
      fresh[0] ?? "",
      /^__Host-berth-preview=ey.*; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
    );
    assert.deepEqual(renewing, [old]);
  } finally {
    await other.end();
  }
});

test("slow heads are cut, and a browser still comes in at once", async () => {
  const slow = await openPreviews({ limits: { requestTimeoutMs: 3000 } });
  try {
    await slow.http((_, response) => response.end("app"));
    const clients = Array.from({ length: 300 }, () =>
      new RawClient(slow.port).say(`GET / HTTP/1.1\r\nHost: ${slow.host()}\r\nX: `),
    );
    const drip = setInterval(() => {
      for (const client of clients) if (!client.isClosed) client.say("a");
    }, 100);
    await until(() => clients.every((client) => !client.socket.connecting), "they are there");
    assert.equal(statusOf(await get(slow, "/", [`Cookie: ${await slow.cookie()}`])), 200);
    assert.ok(
      clients.some((client) => !client.isClosed),
      "before they are cut",
    );
    await Promise.all(clients.map((client) => client.closes()));
    clearInterval(drip);
  } finally {
    await slow.end();
  }
});
