// The ways into a real VM below the gateway: sessions, listening ports, loopback ports, SSH keys. One boot.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { BoxRun, BoxSource } from "#domain/box.ts";
import { type BoxId, makeId, type SnapshotId, type TemplateVersionId } from "#domain/ids.ts";
import { systemClock } from "#lib/clock.ts";
import { run } from "#lib/run.ts";
import { attachTo, SessionView } from "../conformance-sessions.ts";
import type { QemuDriver } from "./driver.ts";
import { openVmTestHost, TEST_SPEC, type VmTestHost } from "./vm-test-host.ts";

const fill = (bytes: Uint8Array) => void bytes.set(randomBytes(bytes.length));
const boxId = makeId<BoxId>("box", fill);
const PATIENCE_MS = 5 * 60_000;
let host: VmTestHost;
let driver: QemuDriver;
let directory: string;
let epoch = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "berth-doors-"));
  host = await openVmTestHost();
  driver = await host.open();
  await start({ kind: "image", imageDigest: host.imageDigest });
});

after(async () => {
  SessionView.closeAll();
  await driver?.destroy(boxId);
  for (const { snapshotId } of (await driver?.listSnapshots()) ?? [])
    await driver.removeSnapshot(snapshotId);
  await driver?.close();
  await host?.close();
  await rm(directory, { recursive: true, force: true });
});

async function start(source: BoxSource): Promise<void> {
  epoch += 1;
  const identity = {
    ...{ boxId, hostName: "doors", machineId: randomBytes(16).toString("hex"), env: {} },
    ...{ sshUserCa: "ssh-ed25519 AAAA none", sshPrincipals: [boxId] },
  };
  const wanted: BoxRun = {
    ...{ boxId, epoch, bootSerial: 0, spec: TEST_SPEC, imageDigest: host.imageDigest, source },
    ...{ identity, templateVersionId: makeId<TemplateVersionId>("tv", fill) },
  };
  await driver.start(wanted, { signHostKey: async (key) => key });
}

async function pauseAndResume(): Promise<void> {
  const snapshotId = makeId<SnapshotId>("snap", fill);
  await driver.snapshot(boxId, epoch, { snapshotId, kind: "pause", withMemory: true });
  await start({ kind: "snapshot", snapshotId, withMemory: true });
}

async function program(session: string, argv: string[], more: object = {}): Promise<SessionView> {
  const view = new SessionView(await driver.connect(boxId, epoch, 1));
  view.send({ kind: "start", argv, user: "dev", session, ...more });
  await view.frame("attached");
  return view;
}

async function until<T>(what: string, look: () => Promise<T | null | undefined | false>) {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(performance.now() < endMs, `never: ${what}`);
    await systemClock.sleep(200);
  }
}

test("numbered lines come once each, over a pause and a resume", async () => {
  const argv = ["sh", "-c", "n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done"];
  const first = await program("numbers", argv);
  await first.shows("\n30\n");
  await pauseAndResume();
  first.close();
  const seen = first.output;
  const second = new SessionView(await driver.openSession(boxId, epoch, "numbers", "read"));
  const from = Buffer.byteLength(seen);
  second.send({ kind: "attach", session: "numbers", from, mode: "read" });
  const attached = await second.frame("attached");
  assert.ok(attached.kind === "attached" && attached.from === from);
  const last = seen.trim().split("\n").length + 40;
  await second.shows(`\n${last}\n`);
  second.close();
  const numbers = (seen + second.output).split("\n").slice(0, last).map(Number);
  assert.deepEqual(
    numbers,
    Array.from({ length: last }, (_, n) => n + 1),
  );
});

test("what listens is found, and reached on loopback too", async () => {
  const web =
    "import http.server as s; s.test(s.SimpleHTTPRequestHandler, port=8123, bind='127.0.0.1')";
  await program("web", ["python3", "-c", web]);
  const ports = await until("port 8123", async () => {
    const found = await driver.listeningPorts(boxId, epoch);
    return found.some(({ port }) => port === 8123) && found;
  });
  assert.deepEqual(
    ports.find(({ port }) => port === 8123),
    { port: 8123, isLoopback: true, program: "python3" },
  );
  assert.deepEqual(
    ports.find(({ port }) => port === 22),
    { port: 22, isLoopback: false, program: "sshd" },
  );
  assert.ok(!ports.some(({ port }) => port === 1));
  const stream = await driver.connect(boxId, epoch, 8123);
  stream.write("GET / HTTP/1.0\r\n\r\n");
  let answer = "";
  for await (const chunk of stream) answer += chunk;
  assert.match(answer, /^HTTP\/1.0 200 OK.*<\/html>/s);
  await assert.rejects(driver.connect(boxId, epoch, 9), (error: Error & { code: string }) => {
    assert.equal(error.code, "guest_unreachable");
    assert.match(error.message, /port 9 of the box: Connection refused/);
    return true;
  });
});

test("a registered SSH key enters until it is taken away, and in no later epoch", async () => {
  const key = join(directory, "key");
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  const line = (await readFile(`${key}.pub`, "utf8")).trim();
  const relay = await listen();
  const login = () => ssh(relay, key);
  try {
    assert.match(await login(), /Permission denied/);
    await driver.authorizeKeys(boxId, epoch, [line]);
    assert.equal(await login(), "dev in doors\n");
    await driver.authorizeKeys(boxId, epoch, []);
    assert.match(await login(), /Permission denied/);
    await driver.authorizeKeys(boxId, epoch, [line]);
    // The box that goes on after a checkpoint is the same; a later epoch is another, until it is told.
    const checkpoint = makeId<SnapshotId>("snap", fill);
    const request = { snapshotId: checkpoint, kind: "checkpoint", withMemory: true } as const;
    await driver.snapshot(boxId, epoch, request);
    assert.equal(await login(), "dev in doors\n");
    await pauseAndResume();
    assert.match(await login(), /Permission denied/);
  } finally {
    relay.close();
  }
});

/** A port of this machine that is the box's port 22. A box that is put to rest says no more, not even that it ends. */
async function listen(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    driver.connect(boxId, epoch, 22).then(
      (stream) => {
        stream.on("error", () => {});
        socket.once("close", () => stream.destroy());
        socket.pipe(stream).pipe(socket);
      },
      () => socket.destroy(),
    );
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

/** What the box, or else ssh, said. */
async function ssh(relay: Server, key: string): Promise<string> {
  const { port } = relay.address() as AddressInfo;
  const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"];
  const flags = [...options, "IdentitiesOnly=yes", "LogLevel=ERROR"].flatMap((one) => ["-o", one]);
  const to = ["-p", String(port), "-i", key, "-F", "none", "dev@127.0.0.1"];
  const command = ["ssh", ...flags, ...to, "echo $USER in $(hostname)"];
  const said = await run(command, { timeoutMs: PATIENCE_MS }).then(
    ({ stdout }) => stdout,
    (error: Error) => error.message,
  );
  return said;
}

test("half a million lines come whole, and their end is shown to who attaches later", async () => {
  const count = 500_000;
  const bulk = await program("bulk", ["seq", "1", String(count)]);
  const end = await bulk.frame("exit");
  assert.ok(end.kind === "exit" && end.exitCode === 0);
  const lines = Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");
  assert.ok(bulk.output === lines, `${bulk.output.length} of ${lines.length} characters`);
  const later = await attachTo(driver, { boxId, epoch }, "bulk", "read");
  await later.frame("exit");
  assert.ok(lines.endsWith(later.output) && later.output.length > 0);
});
