import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { FeedBox } from "#contract/gateway-feed.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { emptyFeed, makeAuthority, NO_CHANGE, nodeTls, until } from "#test/harness/doors.ts";
import { type FeedServer, openFeedServer } from "#test/harness/feed-server.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { WarpClock } from "#test/harness/warp-clock.ts";
import type { CertificateAuthority } from "#trust/x509.ts";
import { type Feed, type FeedTimes, openFeed } from "./feed.ts";
import { PlaneCalls, PlaneRefusal } from "./plane-calls.ts";

const MINUTE_MS = 60_000;
const HELLO = { clientUrl: "http://g:1", nodeUrl: "https://g:2", sshAddress: null };
const BOX: FeedBox = {
  ...{ boxId: "box_1", name: "web", orgId: "org_a", ownerId: "usr_a", teamId: null, shares: [] },
  ...{ phase: "running", reason: null, epoch: 1, nodeId: "node_1" },
};
let authority: CertificateAuthority;
let directory = "";
const open: { close(): Promise<void> }[] = [];

before(async () => {
  authority = await makeAuthority();
  directory = await mkdtemp(join(tmpdir(), "berth-feed-"));
});
after(async () => {
  for (const one of open.reverse()) await one.close();
  await rm(directory, { recursive: true, force: true });
});

async function serve(port = 0): Promise<FeedServer> {
  const server = await openFeedServer(authority, emptyFeed("pem"), port);
  open.push(server);
  return server;
}

/** The gateway's certificate is a client's here, so a node's serves as well. */
async function callsTo(urls: string[], trusting = authority): Promise<PlaneCalls> {
  return new PlaneCalls({ urls, tls: await nodeTls(trusting), clock: systemClock });
}

async function openAt(
  urls: string[],
  name: string,
  times: Partial<FeedTimes> = {},
  clock: Clock = systemClock,
): Promise<Feed> {
  const feed = await openFeed({
    plane: await callsTo(urls),
    request: HELLO,
    path: join(directory, name),
    clock,
    log: silentLog,
    times: { backoffMinMs: 5, backoffMaxMs: 50, saveMs: 5, ...times },
  });
  open.push(feed);
  return feed;
}

test("lines become what is known, however the bytes were cut", async () => {
  const server = await serve();
  const feed = await openAt([server.url], "cut");
  assert.deepEqual(server.hellos, [HELLO]);
  const line = `${JSON.stringify({ ...NO_CHANGE, boxes: [BOX] })}\n`;
  server.isBeating = false;
  for (const byte of Buffer.from(line)) server.say(String.fromCharCode(byte));
  await until(() => feed.known.box("box_1") !== null, "the box is known");
  server.say(`${line}{"kind":"beat"}\n${JSON.stringify({ ...NO_CHANGE, goneBoxes: ["box_1"] })}\n`);
  await until(() => feed.known.box("box_1") === null, "the box is gone");
  assert.equal(feed.isHeard, true);
});

test("a feed that ends, breaks or says something else is opened again, and its full counts", async () => {
  const server = await serve();
  const feed = await openAt([server.url], "again");
  for (const text of ["not json\n", '{"kind":"another"}\n', '{"kind":"full"}\n']) {
    const before = server.hellos.length;
    server.say({ ...NO_CHANGE, boxes: [BOX] });
    server.say(text);
    await until(() => server.hellos.length > before, `opened again after ${text}`);
    await until(() => feed.known.box("box_1") === null, "the full has replaced what was known");
  }
});

test("a control plane that is silent is left for another", async () => {
  const silent = await serve();
  const lively = await serve();
  silent.isBeating = false;
  lively.full = { ...emptyFeed("pem"), boxes: [BOX] };
  const clock = new WarpClock();
  const feed = await openAt([lively.url, silent.url], "silent", { silenceMs: MINUTE_MS }, clock);
  await until(() => silent.feeds === 1, "it is open");
  clock.advance(MINUTE_MS);
  await until(() => feed.known.box("box_1") !== null, "told by the other replica");
  assert.deepEqual([silent.hellos.length, lively.feeds], [1, 1]);
  // One that beats is not left, however little else it says.
  for (let beats = 0; beats < 5; beats += 1) {
    await new Promise<void>((done) => {
      const stop = feed.known.onChange(() => {
        stop();
        done();
      });
    });
    clock.advance(0.6 * MINUTE_MS);
  }
  assert.deepEqual([lively.hellos.length, silent.feeds], [1, 0]);
});

test("the last of it is on disk, and a gateway starts from that when nobody answers", async () => {
  const server = await serve(await freePort());
  const first = await openAt([server.url], "kept");
  server.say({
    ...NO_CHANGE,
    boxes: [BOX],
    revocations: [{ credentialId: "token_1", untilMs: 9e15 }],
  });
  const path = join(directory, "kept");
  await until(
    async () => (await readFile(path, "utf8").catch(() => "")).includes("token_1"),
    "kept on disk",
  );
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await server.close();
  await until(() => !first.isHeard, "the loss is noticed");
  assert.equal(first.known.box("box_1")?.name, "web", "everything goes on");
  await first.close();
  const second = await openAt([server.url], "kept");
  assert.deepEqual(second.known.box("box_1"), BOX);
  assert.equal(second.known.isRevoked("token_1"), true);
  assert.deepEqual(second.known.settings.ticketKeysPem, ["pem"]);
  assert.equal(second.isHeard, false);
  // And it hears again when the control plane is back.
  const back = await serve(server.port);
  await until(() => second.isHeard, "heard again");
  await until(() => second.known.box("box_1") === null, "its full counts");
  assert.equal(back.feeds, 1);
});

test("what changed just before the end is on disk too", async () => {
  const server = await serve();
  const feed = await openAt([server.url], "end", { saveMs: 3_600_000 });
  server.say({ ...NO_CHANGE, boxes: [BOX] });
  await until(() => feed.known.box("box_1") !== null, "known");
  await feed.close();
  assert.match(await readFile(join(directory, "end"), "utf8"), /box_1/);
});

test("a file that cannot be read is as good as none", async () => {
  const server = await serve();
  for (const text of ["", "{", '{"kind":"beat"}\n', `${JSON.stringify(emptyFeed("old"))}\n{"ki`]) {
    await writeFile(join(directory, "torn"), text);
    const feed = await openAt([server.url], "torn");
    assert.deepEqual(feed.known.settings.ticketKeysPem, ["pem"]);
    await feed.close();
  }
});

test("calls go to a replica that answers; a refusal is final and carries the reason", async () => {
  const server = await serve();
  const calls = await callsTo(["https://127.0.0.1:9", server.url]);
  const wanted = { boxId: "box_1", userId: "usr_a", credentialId: "token_1", door: "ssh" as const };
  assert.equal(await calls.wake(wanted), "resuming");
  assert.deepEqual(server.asked, [{ name: "wake", body: wanted }]);
  server.answer = () => ({ status: 200, body: { pass: "fresh" } });
  assert.equal(await calls.renewPass("old"), "fresh");
  server.answer = () => ({ status: 200, body: { certificate: "ssh-ed25519-cert…" } });
  assert.equal(await calls.hostCertificate("ssh-ed25519 …", ["g"]), "ssh-ed25519-cert…");
  server.answer = () => ({ status: 403, body: { detail: "not yours" } });
  await assert.rejects(calls.wake(wanted), (error: unknown) => {
    assert.ok(error instanceof PlaneRefusal);
    assert.deepEqual([error.status, error.message], [403, "not yours"]);
    return true;
  });
  assert.equal(server.asked.length, 4, "asked once each");
});

test("only a control plane of the gateway's own authority is believed", async () => {
  const server = await serve();
  const stranger = await makeAuthority();
  const calls = await callsTo([server.url], stranger);
  await assert.rejects(calls.renewPass("x"), /certificate/);
  assert.equal(server.asked.length, 0);
});
