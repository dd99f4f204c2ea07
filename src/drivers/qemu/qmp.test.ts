import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { connectQmp, type Qmp, type QmpCommand, QmpError } from "./qmp.ts";

interface Request {
  readonly execute: string;
  readonly id: number;
}

/** A QMP peer that negotiates and then answers as the test says. */
async function withPeer(
  t: TestContext,
  answer: (request: Request, socket: Socket) => void,
): Promise<Qmp> {
  const directory = await mkdtemp(join(tmpdir(), "qmp-"));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.write('{"QMP": {"version": {}, "capabilities": []}}\r\n');
    socket.on("data", (chunk: Buffer) => {
      for (const line of chunk.toString().trim().split("\n")) {
        const request = JSON.parse(line) as Request;
        if (request.execute === "qmp_capabilities") {
          socket.write(`{"return": {}, "id": ${request.id}}\r\n`);
        } else answer(request, socket);
      }
    });
  });
  const path = join(directory, "qmp.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  });
  return await connectQmp(path, systemClock, 60_000);
}

function isQmpError(code: QmpError["code"]): (error: unknown) => boolean {
  return (error) => error instanceof QmpError && error.code === code;
}

test("answers find their waiters in any order, events between them", async (t) => {
  const held: Request[] = [];
  const qmp = await withPeer(t, (request, socket) => {
    held.push(request);
    if (held.length < 3) return;
    for (const { id } of held.reverse()) {
      socket.write(`{"event": "STOP", "data": {"n": ${id}}}\r\n{"return": ${id}, "id": ${id}}\r\n`);
    }
  });
  const events: unknown[] = [];
  qmp.onEvent((event) => events.push(event.data.n));
  const answers = await Promise.all([
    qmp.execute("stop"),
    qmp.execute("cont"),
    qmp.execute("quit"),
  ]);
  assert.deepEqual(answers, [2, 3, 4]);
  assert.deepEqual(events, [4, 3, 2]);
  qmp.close();
});

test("a refused command carries the reason, and the connection goes on", async (t) => {
  const qmp = await withPeer(t, ({ id, execute }, socket) => {
    if (execute === "stop") {
      socket.write(`{"error": {"class": "GenericError", "desc": "not now"}, "id": ${id}}\n`);
    } else socket.write(`{"return": 7, "id": ${id}}\n`);
  });
  await assert.rejects(qmp.execute("stop"), /stop: not now/);
  assert.equal(await qmp.execute("cont"), 7);
  qmp.close();
});

test("a command without an answer times out; its late answer goes to nobody", async (t) => {
  let late: Request | null = null;
  const qmp = await withPeer(t, (request, socket) => {
    if (request.execute === "stop") late = request;
    else
      socket.write(`{"return": "late", "id": ${late?.id}}\n{"return": 1, "id": ${request.id}}\n`);
  });
  await assert.rejects(qmp.execute("stop", {}, 1), isQmpError("timeout"));
  assert.equal(await qmp.execute("cont"), 1);
  qmp.close();
});

test("every waiter hears of the end of the connection", async (t) => {
  const qmp = await withPeer(t, (request, socket) => {
    if (request.execute === "cont") socket.destroy();
  });
  const stop = qmp.execute("stop");
  const cont = qmp.execute("cont");
  await assert.rejects(stop, isQmpError("closed"));
  await assert.rejects(cont, isQmpError("closed"));
  await qmp.closed;
  await assert.rejects(qmp.execute("stop"), isQmpError("closed"));
});

test("nonsense from the peer ends the connection", async (t) => {
  const qmp = await withPeer(t, (_request, socket) => socket.write("]]]\n"));
  await assert.rejects(qmp.execute("stop"), isQmpError("protocol"));
  assert.equal(qmp.isOpen, false);
});

test("a command that is not listed is not sent, whatever the types say", async (t) => {
  const seen: string[] = [];
  const qmp = await withPeer(t, (request) => seen.push(request.execute));
  await assert.rejects(qmp.execute("human-monitor-command" as QmpCommand), /not allowed/);
  assert.deepEqual(seen, []);
  qmp.close();
});

test("nobody listening is a clear error", async () => {
  await assert.rejects(connectQmp("/nonexistent/qmp.sock", systemClock), isQmpError("closed"));
});
