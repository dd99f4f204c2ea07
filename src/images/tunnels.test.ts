// Raw connections through the guest's exec server, as the C program makes them, on this machine: dial, listen and take.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { ExecClient, type ExecHost, startExecHost } from "#test/harness/exec-host.ts";
import { freePort } from "#test/harness/free-ports.ts";
import type { ExecClientFrame } from "#wire/exec-frames.ts";

let host: ExecHost;
let echo: Server;
before(async () => {
  host = await startExecHost();
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await listening(echo, "127.0.0.1");
});
after(async () => {
  echo.close();
  await host.stop();
});

async function listening(server: Server, address: string): Promise<void> {
  await new Promise<void>((done) => server.listen(0, address, done));
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function open(...frames: ExecClientFrame[]): ExecClient {
  const client = new ExecClient(host.port);
  client.send(...frames);
  return client;
}

/** Sends through a stream that echoes, with an end, and gives what came back. */
async function echoed(socket: Socket, data: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.write(data);
  socket.end();
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function dialed(tcp: string): Promise<ExecClient> {
  const client = open({ kind: "dial", tcp });
  client.becomesRawAfter("dialed");
  await client.frame("dialed");
  return client;
}

test("dial reaches what listens on loopback, with both ends' own end", async () => {
  const data = randomBytes(3_000_000);
  for (const tcp of [`localhost:${portOf(echo)}`, `127.0.0.1:${portOf(echo)}`]) {
    const client = await dialed(tcp);
    client.socket.write(data);
    client.socket.end();
    await client.closed();
    assert.ok(client.raw.equals(data), `${client.raw.length} bytes of ${data.length}`);
  }
});

test("dial reaches what listens on IPv6 loopback only", async () => {
  const six = createServer((socket) => socket.end("six"));
  await listening(six, "::1");
  const client = await dialed(`localhost:${portOf(six)}`);
  await client.closed();
  assert.equal(client.raw.toString(), "six");
  six.close();
});

test("dial says when nothing listens, or the address is none", async () => {
  const port = await freePort();
  for (const tcp of [`localhost:${port}`, "nowhere", "localhost:0", "example.org:80", "::1:80"]) {
    const { code } = await open({ kind: "dial", tcp }).frame("error");
    assert.equal(code, "cannot_dial", tcp);
  }
});

test("listen gives each connection to whoever takes it, once", async () => {
  const listener = open({ kind: "listen", tcp: "127.0.0.1:0" });
  const { address } = await listener.frame("listening");
  const port = Number(address.split(":")[1]);
  const inside = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const { connection, peer } = await listener.frame("accepted");
  assert.match(peer, /^127\.0\.0\.1:\d+$/);
  const outside = open({ kind: "take", connection });
  outside.isRaw = true;
  outside.socket.write("to the inside");
  inside.once("data", (chunk: Buffer) => inside.write(`got ${chunk}`));
  inside.on("end", () => inside.end());
  await outside.until(() => outside.raw.length > 0);
  for (const id of [connection, "0123456789abcdef-1", "../x-1", "no"]) {
    const again = open({ kind: "take", connection: id });
    await again.closed();
    assert.deepEqual(again.frames, []);
  }
  outside.socket.end();
  await outside.closed();
  assert.equal(outside.raw.toString(), "got to the inside");
  const data = randomBytes(2_000_000);
  const bulk = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const second = await listener.until(() =>
    listener.frames.findLast((f) => f.kind === "accepted" && f.connection !== connection),
  );
  assert.ok(second.kind === "accepted");
  const taker = open({ kind: "take", connection: second.connection });
  taker.isRaw = true;
  taker.socket.on("data", (chunk: Buffer) => taker.socket.write(chunk));
  taker.socket.on("end", () => taker.socket.end());
  assert.ok((await echoed(bulk, data)).equals(data));
  // It listens for as long as its connection lives.
  listener.close();
  await refused(() => connect({ port, host: "127.0.0.1" }));
  assert.deepEqual(await leftDoors(), []);
});

test("listen on a path makes a socket of the user's alone, and removes it", async () => {
  const path = join(host.directory, "agent.sock");
  const listener = open({ kind: "listen", unix: path });
  assert.equal((await listener.frame("listening")).address, path);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const inside = connect(path);
  const { connection } = await listener.frame("accepted");
  const outside = open({ kind: "take", connection });
  outside.isRaw = true;
  inside.write("hello");
  await outside.until(() => outside.raw.toString() === "hello");
  const second = open({ kind: "listen", unix: path });
  assert.equal((await second.frame("error")).code, "cannot_listen");
  inside.destroy();
  await outside.closed();
  listener.close();
  while (existsSync(path)) await systemClock.sleep(20);
  for (const tcp of ["127.0.0.1:99999", "example.org:1", ""]) {
    const bad = open({ kind: "listen", tcp });
    assert.equal((await bad.frame("error")).code, "bad_request", tcp);
  }
});

test("a new identity ends listeners and raw connections", async () => {
  const listener = open({ kind: "listen", tcp: "127.0.0.1:0" });
  await listener.frame("listening");
  const raw = await dialed(`localhost:${portOf(echo)}`);
  await host.renew("another token, long enough");
  await Promise.all([listener.closed(), raw.closed()]);
  await host.renew("0123456789abcdef");
});

test("what listens is found, by port, with its program and reach", async () => {
  const any = createServer();
  await listening(any, "0.0.0.0");
  const six = createServer();
  await listening(six, "::1");
  const found = await host.ports();
  const line = (server: Server) => found.find((one) => one.startsWith(`${portOf(server)} `));
  assert.match(line(any) ?? "", /^\d+ any (node|MainThread)$/);
  assert.match(line(six) ?? "", /^\d+ loopback (node|MainThread)$/);
  assert.match(line(echo) ?? "", /^\d+ loopback (node|MainThread)$/);
  const port = portOf(any);
  any.close();
  assert.ok(!(await host.ports()).some((one) => one.startsWith(`${port} `)));
  six.close();
});

async function refused(attempt: () => Socket): Promise<void> {
  for (;;) {
    const isRefused = await new Promise<boolean>((done) => {
      const socket = attempt();
      socket.on("error", () => done(true));
      socket.on("connect", () => {
        socket.destroy();
        done(false);
      });
    });
    if (isRefused) return;
    await systemClock.sleep(20);
  }
}

async function leftDoors(): Promise<string[]> {
  for (let tries = 0; ; tries += 1) {
    const doors = await readdir(join(host.directory, "listeners"));
    if (doors.length === 0 || tries > 5000) return doors;
    await systemClock.sleep(20);
  }
}
