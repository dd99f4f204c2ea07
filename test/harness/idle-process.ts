// Parts of the bench of idle streams, each a process of its own: `node idle-process.ts ROLE CONFIG`.
//   agents   so many nodes, each with a box whose programs say nothing
//   plain    a WebSocket server that does nothing, to compare with
//   clients  so many sockets that ask for a stream and say nothing more; says `OPENED REFUSED` every second

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { BoxId } from "#domain/ids.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { DoorDriver } from "./doors.ts";

const [, , role, path = ""] = process.argv;
const config = JSON.parse(await readFile(path, "utf8"));
const SECOND_MS = 1000;

if (role === "agents") {
  for (const { boxId, tls } of config.nodes) {
    const driver = new DoorDriver();
    driver.boxes.set(boxId as BoxId, { epoch: 1, state: "ready" });
    driver.connect = async () =>
      new Duplex({ read: () => {}, write: (_bytes, _how, done) => done() });
    const links = new GatewayLinks({ driver, tls, clock: systemClock, log: silentLog });
    links.setGateways([config.gatewayUrl]);
  }
  console.log("ready");
}

if (role === "plain") {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
  });
  const server = createServer();
  const clients = new Set();
  server.on("upgrade", (request, socket, head) =>
    webSockets.handleUpgrade(request, socket, head, (client) => {
      clients.add(client);
      client.on("message", () => {});
    }),
  );
  server.listen(config.port, "127.0.0.1", () => console.log("ready"));
}

if (role === "clients") {
  const opened = new Set();
  let refused = 0;
  let next = 0;
  const dial = () => {
    if (next >= config.count) return;
    const n = next;
    next += 1;
    const { path: streamPath, ticket } = config.ways[n % config.ways.length];
    // Each source address has so many ports; loopback has many addresses.
    const localAddress = `127.0.1.${1 + (n % 200)}`;
    const socket = connect({ port: config.port, host: "127.0.0.1", localAddress });
    socket.on("error", () => {});
    socket.write(
      `GET ${streamPath} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n" +
        `Authorization: Bearer ${ticket}\r\n\r\n`,
    );
    socket.once("data", (bytes) => {
      if (String(bytes).startsWith("HTTP/1.1 101")) opened.add(socket);
      else refused += 1;
      dial();
    });
    socket.on("close", () => opened.delete(socket));
  };
  for (let n = 0; n < 50; n += 1) dial();
  setInterval(() => console.log(`${opened.size} ${refused}`), SECOND_MS);
}
