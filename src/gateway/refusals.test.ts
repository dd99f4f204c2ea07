// Who and what is kept out of both doors, each beside the same thing done right.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, createServer } from "node:net";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { openStream } from "#sdk/stream.ts";
import {
  BOX,
  DoorDriver,
  type Doors,
  GATEWAY_URL,
  makeAuthority,
  nodeTls,
  openDoors,
  serverTls,
  until,
} from "#test/harness/doors.ts";
import { createGateway } from "./gateway.ts";

let doors: Doors;
const silent = createServer((socket) => socket.on("error", () => {}));
/** Longer than a busy machine needs for a handshake. */
const SLOW_MS = 2_500;

before(async () => {
  doors = await openDoors({
    limits: {
      requestTimeoutMs: SLOW_MS,
      handshakeTimeoutMs: SLOW_MS,
      streamsPerUser: 2,
      streams: 3,
    },
  });
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  doors.driver.ports.set(80, (silent.address() as { port: number }).port);
});
after(async () => {
  await doors.close();
  silent.close();
});

/** Resolves when the gateway has closed the connection. */
function closedByDoor(files: object): Promise<void> {
  return new Promise((done) => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: doors.gateway.nodePort,
      ALPNProtocols: ["h2"],
      rejectUnauthorized: false,
      ...files,
    });
    socket.on("error", () => {});
    socket.on("close", () => done());
    socket.resume();
  });
}

/** Dials as an agent would; true when the gateway reads its announcements. */
async function isWelcome(tls: Awaited<ReturnType<typeof nodeTls>>, trusted = tls.caPem) {
  const links = new GatewayLinks({
    driver: new DoorDriver(),
    tls: { ...tls, caPem: trusted },
    clock: systemClock,
    log: { ...silentLog, warn: () => (attempts += 1), child: () => silentLog },
    times: { backoffMinMs: 1, backoffMaxMs: 1 },
  });
  let attempts = 0;
  links.setGateways([`https://127.0.0.1:${doors.gateway.nodePort}`]);
  try {
    await until(() => attempts > 2 || links.connected.length > 0, "welcome or refused");
    return links.connected.length > 0;
  } finally {
    await links.close();
  }
}

test("the node door lets only a node of our authority in", async () => {
  const stranger = await makeAuthority();
  const ours = doors.authority.certificatePem;
  assert.equal(await isWelcome(await nodeTls(stranger), ours), false, "another authority");
  assert.equal(await isWelcome(await serverTls(doors.authority, "gateway")), false, "a gateway");
  assert.equal(await isWelcome(await nodeTls(doors.authority)), true, "a node");
  const { certificatePem: cert, privateKeyPem: key } = await nodeTls(doors.authority);
  await Promise.all([
    closedByDoor({}), // No certificate at all.
    // Whoever does not speak the link's protocol is not heard either.
    closedByDoor({ cert, key, ALPNProtocols: ["http/1.1"] }),
    // Nor who completes the handshake and then says nothing.
    closedByDoor({ cert, key }),
  ]);
  await until(() => doors.gateway.status().nodes === 1, "only the agent is connected");
});

test("an agent talks only to a gateway of its own authority", async () => {
  const stranger = await makeAuthority();
  const files = await nodeTls(doors.authority);
  assert.equal(await isWelcome(files, stranger.certificatePem), false, "another authority");
  // A server of our own that is not a gateway: its role says so.
  const gateway = await createGateway({
    nodeDoor: { host: "127.0.0.1", port: 0, tls: await serverTls(doors.authority, "server") },
    clientDoor: { host: "127.0.0.1", port: 0, url: GATEWAY_URL },
    known: doors.known,
    askWake: async () => "resuming",
    clock: systemClock,
    log: silentLog,
  });
  let reason = "";
  const links = new GatewayLinks({
    driver: new DoorDriver(),
    tls: files,
    clock: systemClock,
    log: {
      ...silentLog,
      warn: (fields) => {
        reason = (fields as { reason: string }).reason;
      },
    },
    times: { backoffMinMs: 1 },
  });
  try {
    links.setGateways([`https://127.0.0.1:${gateway.nodePort}`]);
    await until(() => reason !== "", "refused");
    assert.match(reason, /another role/);
    assert.deepEqual(links.connected, []);
  } finally {
    await links.close();
    await gateway.close();
  }
});

/** Sends bytes as they are; resolves with everything that came when the door closed. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((done) => {
    const socket = connectTcp(port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => done(text));
    socket.write(bytes);
  });
}

const KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n";
const UPGRADE = `Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${KEY}`;

test("slow and silent clients are closed, and do not keep others out", async () => {
  const { clientPort, nodePort } = doors.gateway;
  const slow = [
    raw(clientPort, ""),
    raw(clientPort, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n"),
    raw(clientPort, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"),
    raw(nodePort, ""),
    raw(nodePort, "\x16\x03\x01"),
  ];
  const healthy = await raw(
    clientPort,
    "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  );
  assert.match(healthy, /^HTTP\/1.1 200 OK/);
  await Promise.all(slow); // Resolves only because the gateway closes them.
});

test("what is not a stream gets an answer that says so", async () => {
  const ticket = await doors.mint();
  const upgrade = (path: string, headers = `${UPGRADE}Authorization: Bearer ${ticket}\r\n`) =>
    raw(doors.gateway.clientPort, `GET ${path} HTTP/1.1\r\n${headers}\r\n`);
  const stream = `/v1/stream?box=${BOX}`;
  const cases: [string, Promise<string>, number, string][] = [
    ["no door", upgrade(stream), 400, "invalid_request"],
    ["two doors", upgrade(`${stream}&port=1&console=1`), 400, "invalid_request"],
    ["port 0", upgrade(`${stream}&port=0`), 400, "invalid_request"],
    ["port 65536", upgrade(`${stream}&port=65536`), 400, "invalid_request"],
    ["a word for a port", upgrade(`${stream}&port=ssh`), 400, "invalid_request"],
    ["something more", upgrade(`${stream}&port=1&x=1`), 400, "invalid_request"],
    ["another path", upgrade(`/v2/stream?box=${BOX}&port=1`), 404, "route_not_found"],
    ["no key", upgrade(`${stream}&port=1`, UPGRADE.replace(KEY, "")), 400, "invalid_request"],
    ["no ticket", upgrade(`${stream}&port=1`, UPGRADE), 401, "ticket_invalid"],
    [
      "a browser",
      upgrade(
        `${stream}&port=80`,
        `${UPGRADE}Origin: http://x\r\nAuthorization: Bearer ${ticket}\r\n`,
      ),
      403,
      "forbidden",
    ],
    ["no upgrade", upgrade(`${stream}&port=1`, "Host: x\r\n"), 400, "invalid_request"],
    ["the API", upgrade("/v1/boxes", "Host: x\r\n"), 404, "route_not_found"],
  ];
  for (const [what, answer, status, code] of cases) {
    const [head = "", body = ""] = (await answer).split("\r\n\r\n");
    assert.match(head, new RegExp(`^HTTP/1.1 ${status} `), what);
    assert.match(head, /content-type: application\/problem\+json/i, what);
    assert.equal(JSON.parse(body).code, code, what);
  }
  const { clientPort } = doors.gateway;
  const accepted = connectTcp(clientPort, "127.0.0.1");
  accepted.write(
    `GET ${stream}&port=80 HTTP/1.1\r\n${UPGRADE}Authorization: Bearer ${ticket}\r\n\r\n`,
  );
  const first = await new Promise<string>((done) => accepted.once("data", (d) => done(`${d}`)));
  assert.match(first, /^HTTP\/1.1 101 /);
  accepted.destroy();
  await until(() => doors.gateway.status().streams === 0, "closed");
});

test("streams are limited for each user and in all, and a closed one makes room", async () => {
  const enter = async (userId: string, port = 80) => {
    const stream = await openStream({
      gatewayUrl: doors.gatewayUrl,
      ticket: await doors.mint({ userId }),
      boxId: BOX,
      door: { port },
    });
    stream.on("error", () => {}); // When the gateway stops.
    return stream;
  };
  // A refused stream holds no place.
  for (let n = 0; n < 5; n += 1) await assert.rejects(enter("usr_a", 9), { code: "port_closed" });
  const [a1] = [await enter("usr_a"), await enter("usr_a")];
  const full = { code: "too_many_streams", status: 429, retryable: true };
  await assert.rejects(enter("usr_a"), full);
  const b = await enter("usr_b");
  await assert.rejects(enter("usr_c"), full);
  for (const stream of [a1, b]) stream?.destroy();
  await until(() => doors.gateway.status().streams === 1, "two are closed");
  const [a3, c] = [await enter("usr_a"), await enter("usr_c")];
  for (const stream of [a3, c]) stream.destroy();
});

test("a node with as many streams of a gateway as it takes says so", async () => {
  const mine = await openDoors();
  try {
    mine.driver.ports.set(80, (silent.address() as { port: number }).port);
    await mine.links.close();
    await until(() => mine.gateway.status().nodes === 0, "the link is closed");
    // One is for the announcements.
    mine.newLinks({ maxStreams: 2 });
    await until(() => mine.gateway.status().boxes === 1, "announced");
    const { gatewayUrl } = mine;
    const open = async () =>
      openStream({ gatewayUrl, ticket: await mine.mint(), boxId: BOX, door: { port: 80 } });
    const first = await open();
    await assert.rejects(open(), { code: "too_many_streams", status: 429, retryable: true });
    first.destroy();
    await until(async () => {
      const again = await open().catch(() => null);
      again?.destroy();
      return again !== null;
    }, "there is room again");
  } finally {
    await mine.close();
  }
});
