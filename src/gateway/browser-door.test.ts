// The way in for the dashboard's page, and every way that another page might try.

import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import {
  BOX,
  DASHBOARD,
  type Doors,
  GATEWAY_URL,
  NO_CHANGE,
  openDoors,
  until,
} from "#test/harness/doors.ts";

const ECHO = 7;
let doors: Doors;
const echo = createServer((socket: Socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
});

let openedMs = 0;
before(async () => {
  openedMs = Date.now();
  doors = await openDoors();
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  doors.driver.ports.set(ECHO, (echo.address() as { port: number }).port);
  doors.driver.ports.set(1, (echo.address() as { port: number }).port);
});
after(async () => {
  await doors.close();
  echo.close();
});

interface Dial {
  readonly origin?: string;
  readonly protocols?: string[];
  readonly headers?: Record<string, string>;
  readonly query?: string;
  readonly at?: Doors;
}

/** A page's socket: what was said to it, and how it ended. */
class Page {
  readonly said: (string | Buffer)[] = [];
  readonly ended: Promise<string>;
  readonly socket: WebSocket;
  /** The status when it is not upgraded, else 101. */
  readonly status: Promise<number>;

  constructor({
    origin = DASHBOARD,
    protocols = ["berth.v1"],
    headers = {},
    query = "",
    at = doors,
  }: Dial = {}) {
    const url = `${at.gatewayUrl.replace("http", "ws")}/v1/stream${query}`;
    const from = origin === "" ? {} : { origin };
    this.socket = new WebSocket(url, protocols, { headers: { ...from, ...headers } });
    this.socket.on("error", () => {});
    this.status = new Promise((done) => {
      this.socket.on("open", () => done(101));
      this.socket.on("unexpected-response", (request, response) => {
        done(response.statusCode ?? 0);
        request.destroy();
      });
    });
    this.socket.on("message", (bytes: Buffer, isBinary) =>
      this.said.push(isBinary ? bytes : bytes.toString()),
    );
    this.ended = new Promise((done) => {
      this.socket.on("close", (code, reason) => done(`${code} ${reason}`));
    });
  }
}

const fromPage = (change = {}) =>
  doors.mint({ origin: DASHBOARD, gatewayUrl: GATEWAY_URL, ...change });

/** Opens a socket and shows a ticket; resolves with the page when it is in, else with how it ended. */
async function enter(first: object | string | Buffer, dial: Dial = {}): Promise<Page | string> {
  const page = new Page(dial);
  assert.equal(await page.status, 101);
  const text = typeof first === "string" || Buffer.isBuffer(first) ? first : JSON.stringify(first);
  page.socket.send(text);
  let end: string | null = null;
  page.ended.then((how) => {
    end = how;
  });
  await until(() => end !== null || page.said.length > 0, "in, or not");
  return end ?? page;
}

test("the dashboard's page shows its ticket first, is told that it is in, and bytes flow", async () => {
  const page = await enter({ ticket: await fromPage(), box: BOX, port: ECHO });
  assert.ok(page instanceof Page, String(page));
  assert.deepEqual(page.said, ['{"opened":true}']);
  assert.equal(page.socket.protocol, "berth.v1");
  page.socket.send(Buffer.from("hello"));
  await until(() => page.said.length === 2, "the echo");
  assert.equal(String(page.said[1]), "hello");
  page.socket.terminate();
  await until(() => doors.gateway.status().streams === 0, "closed");
});

test("an exec session and the console are entered the same way", async () => {
  doors.driver.consoleText = "login: ";
  const session = { id: "s-1", mode: "read" as const };
  const ticket = { kinds: ["session"] as const, session };
  const inside = await enter({
    ticket: await fromPage(ticket),
    ...{ box: BOX, session: "s-1", mode: "read" },
  });
  assert.ok(inside instanceof Page, String(inside));
  assert.deepEqual(doors.driver.sessionDoors, ["s-1 read"]);
  inside.socket.terminate();
  const more = await enter({
    ticket: await fromPage(ticket),
    ...{ box: BOX, session: "s-1", mode: "write" },
  });
  assert.match(String(more), /^4403 forbidden: /);
  const text = await enter({ ticket: await fromPage(), box: BOX, console: "1" });
  assert.ok(text instanceof Page, String(text));
  await until(() => text.said.length >= 2, "the console");
  assert.equal(String(text.said[1]), "login: ");
  text.socket.terminate();
});

test("no page but the dashboard's is let in, whatever its origin looks like", async () => {
  const { host } = new URL(DASHBOARD);
  const others = {
    null: "null",
    "another site": "https://evil.example",
    sibling: `https://other.${host.split(".").slice(1).join(".")}`,
    subdomain: `https://3000-abc.${host}`,
    "the host as a prefix": `${DASHBOARD}.evil.example`,
    "the host as a suffix": `https://evil${host}`,
    "the origin as a path": `https://evil.example/${DASHBOARD}`,
    userinfo: `https://${host}@evil.example`,
    "userinfo before it": `https://evil.example@${host}`,
    "another port": `${DASHBOARD}:8443`,
    "its port written out": `${DASHBOARD}:443`,
    http: DASHBOARD.replace("https", "http"),
    "upper case": DASHBOARD.toUpperCase(),
    "a slash": `${DASHBOARD}/`,
    "a dot": `${DASHBOARD}.`,
    "two origins": `${DASHBOARD}, https://evil.example`,
    "the gateway's own": doors.gatewayUrl,
  };
  for (const [what, origin] of Object.entries(others)) {
    const bearer = `Bearer ${await fromPage()}`;
    assert.equal(await new Page({ origin }).status, 403, what);
    // Neither with all that else opens a stream.
    const headers = { authorization: bearer, cookie: "__Host-berth=session" };
    const query = `?box=${BOX}&port=${ECHO}`;
    assert.equal(await new Page({ origin, headers, query }).status, 403, `${what}, with a ticket`);
  }
  await until(() => doors.gateway.status().streams === 0, "nothing is open");
});

test("without an origin there is no way in for a page: no cookie counts, and no page's ticket", async () => {
  const query = `?box=${BOX}&port=${ECHO}`;
  const cookie = "__Host-berth=session; ticket=x";
  assert.equal(await new Page({ origin: "", query, headers: { cookie } }).status, 401);
  const authorization = `Bearer ${await fromPage()}`;
  assert.equal(await new Page({ origin: "", query, headers: { authorization } }).status, 403);
  const good = { authorization: `Bearer ${await doors.mint()}` };
  const page = new Page({ origin: "", query, headers: good });
  assert.equal(await page.status, 101, "a program's ticket without an origin is as before");
  page.socket.terminate();
});

test("a cookie does not open a stream for the dashboard's page either", async () => {
  const headers = { cookie: `__Host-berth=session; ticket=${await fromPage()}` };
  assert.match(String(await enter({ box: BOX, port: ECHO }, { headers })), /^4401 ticket_invalid/);
});

test("the ticket is not taken from the address, a header or a sub-protocol", async () => {
  const ticket = await fromPage();
  assert.equal(await new Page({ query: `?ticket=${ticket}` }).status, 400);
  assert.equal(await new Page({ query: `?box=${BOX}&port=${ECHO}` }).status, 400);
  const authorization = `Bearer ${ticket}`;
  assert.equal(await new Page({ headers: { authorization } }).status, 400);
  assert.equal(await new Page({ protocols: [ticket] }).status, 400);
  assert.equal(await new Page({ protocols: [] }).status, 400, "no sub-protocol");
  assert.equal(await new Page({ protocols: ["berth.v2"] }).status, 400, "another sub-protocol");
  const page = await enter({ ticket, box: BOX, port: ECHO });
  assert.ok(page instanceof Page, "it was good all the time");
  page.socket.terminate();
});

test("a ticket is taken once", async () => {
  const first = { ticket: await fromPage(), box: BOX, port: ECHO };
  const page = await enter(first);
  assert.ok(page instanceof Page, String(page));
  assert.match(String(await enter(first)), /^4401 ticket_invalid: .*used before/);
  page.socket.terminate();
  assert.match(String(await enter(first)), /^4401 ticket_invalid: .*used before/);
});

test("a ticket that a gateway before this one may have taken is not taken", async () => {
  const aged = { origin: DASHBOARD, gatewayUrl: GATEWAY_URL };
  const ticket = await doors.mint(aged, openedMs - 1500);
  const used = /^4401 ticket_invalid: .*may have been/;
  assert.match(String(await enter({ ticket, box: BOX, port: ECHO })), used);
});

test("a ticket for another origin, none, box, port or time does not open", async () => {
  const cases: [string, string, RegExp][] = [
    ["another origin", await doors.mint({ origin: "https://evil.example" }), /^4403 forbidden/],
    [
      "another gateway's",
      await fromPage({ gatewayUrl: "https://b.example" }),
      /^4403 .*b\.example/,
    ],
    ["no gateway's", await fromPage({ gatewayUrl: null }), /^4403 forbidden/],
    ["a program's", await doors.mint(), /^4403 forbidden/],
    ["another box", await fromPage({ boxId: "box_kjhgfedcba9876543210" }), /^4403 forbidden/],
    ["another port", await fromPage({ ports: [22] }), /^4403 forbidden/],
    [
      "expired",
      await doors.mint({ origin: DASHBOARD, gatewayUrl: GATEWAY_URL }, Date.now() - 3_600_000),
      /^4401 ticket_exp/,
    ],
    ["nonsense", "x.y.z", /^4401 ticket_invalid/],
  ];
  for (const [what, ticket, end] of cases)
    assert.match(String(await enter({ ticket, box: BOX, port: ECHO })), end, what);
});

test("a first message that is none ends the socket, with the reason", async () => {
  const ticket = await fromPage();
  const cases: [string, object | string | Buffer, RegExp][] = [
    ["binary", Buffer.from(JSON.stringify({ ticket, box: BOX, port: ECHO })), /^4400 invalid_req/],
    ["no JSON", "hello", /^4400 invalid_request/],
    ["not an object", "1", /^4400 invalid_request/],
    ["no door", { ticket, box: BOX }, /^4400 invalid_request/],
    ["two doors", { ticket, box: BOX, port: 1, console: "1" }, /^4400 invalid_request/],
    ["something more", { ticket, box: BOX, port: 1, x: 1 }, /^4400 invalid_request/],
    ["a mode without a session", { ticket, box: BOX, port: 1, mode: "read" }, /^4400 invalid_req/],
    ["no session's name", { ticket, box: BOX, session: "../x", mode: "read" }, /^4400 invalid_req/],
    ["too long", { ticket, box: BOX, port: ECHO, x: "x".repeat(8192) }, /^4400 .*short text/],
    ["far too long", "x".repeat(128 * 1024), /^1009/],
  ];
  for (const [what, first, end] of cases) assert.match(String(await enter(first)), end, what);
  assert.match(String(await enter({ ticket, box: BOX, port: ECHO, y: 0 })), /^4400/);
});

test("a page that says nothing, or too much before it is in, is closed", async () => {
  const impatient = await openDoors({ limits: { requestTimeoutMs: 1000 } });
  const silent = new Page({ at: impatient });
  assert.match(await silent.ended, /^4401 ticket_invalid: no ticket came in time/);
  await impatient.close();
  const hasty = new Page();
  await hasty.status;
  hasty.socket.send(JSON.stringify({ ticket: await fromPage(), box: BOX, port: ECHO }));
  hasty.socket.send(Buffer.from("before it was in"));
  assert.match(await hasty.ended, /^1002 a message before the stream was open/);
  await until(() => doors.gateway.status().streams === 0, "nothing stays open");
});

test("a web session that is revoked ends its page's streams", async () => {
  const credentialId = "web_0123456789abcdefghjk";
  const page = await enter({ ticket: await fromPage({ credentialId }), box: BOX, port: ECHO });
  assert.ok(page instanceof Page, String(page));
  const revocations = [{ credentialId, untilMs: Date.now() + 600_000 }];
  doors.known.apply({ ...NO_CHANGE, revocations }, Date.now());
  assert.match(await page.ended, /^4403 revoked: /);
  const late = { ticket: await fromPage({ credentialId }), box: BOX, port: ECHO };
  assert.match(String(await enter(late)), /^4403 revoked: /);
});
