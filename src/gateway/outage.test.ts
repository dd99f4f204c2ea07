// The control plane is gone: what is open goes on, what holds opens new streams, also at a gateway that starts now.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import type { FeedBox, FeedKey, FeedMember, FeedPreview } from "#contract/gateway-feed.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { openStream } from "#sdk/stream.ts";
import {
  BOX,
  DoorDriver,
  emptyFeed,
  GATEWAY_URL,
  makeAuthority,
  NO_CHANGE,
  NODE,
  nodeTls,
  serverTls,
  until,
} from "#test/harness/doors.ts";
import { type FeedServer, openFeedServer } from "#test/harness/feed-server.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { makeTicketKey, ticketSigner } from "#trust/tickets.ts";
import { openFeed } from "./feed.ts";
import { createGateway } from "./gateway.ts";
import { PlaneCalls } from "./plane-calls.ts";

const ECHO = 7;
const OWNER = { orgId: "org_a", ownerId: "usr_a", teamId: null, shares: [] };
const box: FeedBox = {
  ...{ boxId: BOX, name: "web", ...OWNER, phase: "running", reason: null },
  ...{ epoch: 1, nodeId: NODE },
};
const member: FeedMember = { orgId: "org_a", userId: "usr_a", roles: ["member"], teams: [] };
const preview: FeedPreview = {
  ...{ previewId: "prv_1", label: "label", boxId: BOX, port: 3000 },
  ...{ visibility: "public", serial: 1 },
};
const sshKey: FeedKey = {
  ...{ keyId: "key_1", fingerprint: "SHA256:a", userId: "usr_a", orgId: "org_a" },
};

/** A node and everything that a gateway needs; `start` starts one, at the same addresses each time. */
async function world(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "berth-outage-"));
  const authority = await makeAuthority();
  const key = makeTicketKey();
  const full = emptyFeed(key.publicKeyPem);
  const planes = [await openFeedServer(authority, full, await freePort())];
  const plane = planes[0] as FeedServer;
  const planeAgain = async () => {
    const back = await openFeedServer(authority, full, plane.port);
    planes.push(back);
    return back;
  };
  const echo = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  driver.ports.set(ECHO, (echo.address() as { port: number }).port);
  const common = { clock: systemClock, log: silentLog };
  const times = { backoffMinMs: 20, backoffMaxMs: 100 };
  const links = new GatewayLinks({ driver, tls: await nodeTls(authority), times, ...common });
  const [nodePort, clientPort] = [await freePort(), await freePort()];
  links.setGateways([`https://127.0.0.1:${nodePort}`]);
  const open: { close(): Promise<void> }[] = [];
  const start = async () => {
    const clientTls = await nodeTls(authority);
    const calls = new PlaneCalls({ urls: [plane.url], tls: clientTls, ...common });
    const feed = await openFeed({
      plane: calls,
      request: { clientUrl: "", nodeUrl: "", sshAddress: null },
      path: join(directory, "feed.ndjson"),
      times: { saveMs: 5, ...times },
      ...common,
    });
    const gateway = await createGateway({
      nodeDoor: { host: "127.0.0.1", port: nodePort, tls: await serverTls(authority, "gateway") },
      clientDoor: { host: "127.0.0.1", port: clientPort, url: GATEWAY_URL },
      known: feed.known,
      askWake: (wanted) => calls.wake(wanted),
      ...common,
    });
    const running = {
      feed,
      gateway,
      close: async () => {
        await gateway.close();
        await feed.close();
      },
    };
    open.push(running);
    await until(() => gateway.status().boxes === 1, "the node is there");
    return running;
  };
  t.after(async () => {
    for (const one of open) await one.close();
    await links.close();
    for (const one of planes) await one.close();
    echo.close();
    await rm(directory, { recursive: true, force: true });
  });
  const sign = async (credentialId: string) =>
    (
      await ticketSigner(key.privateKeyPem)(
        {
          ...{ userId: "usr_a", orgId: "org_a", boxId: BOX, epoch: null, ports: [ECHO] },
          ...{ kinds: ["port"], session: null, credentialId, origin: null, gatewayUrl: null },
        },
        Date.now(),
      )
    ).ticket;
  const enter = async (ticket: string) => {
    const gatewayUrl = `http://127.0.0.1:${clientPort}`;
    const stream = await openStream({ gatewayUrl, ticket, boxId: BOX, door: { port: ECHO } });
    stream.on("error", () => {});
    return stream;
  };
  return { plane, planeAgain, start, sign, enter };
}

async function talk(stream: Duplex, word: string): Promise<void> {
  const heard = new Promise((done) => stream.once("data", (bytes) => done(String(bytes))));
  stream.write(word);
  assert.equal(await heard, word);
}

test("without a control plane everything goes on, also at a gateway that starts then", async (t) => {
  const { plane, start, sign, enter } = await world(t);
  const first = await start();
  const revocations = [{ credentialId: "token_revoked", untilMs: Date.now() + 600_000 }];
  const rest = { members: [member], revocations };
  const all = { boxes: [box], previews: [preview], keys: [sshKey], ...rest };
  plane.say({ ...NO_CHANGE, ...all });
  const [ticket, revoked] = [await sign("token_good"), await sign("token_revoked")];
  await until(() => first.feed.known.isRevoked("token_revoked"), "told");
  const open = await enter(ticket);
  await talk(open, "before");

  await plane.close();
  await until(() => !first.feed.isHeard, "the loss is noticed");
  await talk(open, "the open one goes on");
  await talk(await enter(ticket), "the same ticket opens another");
  await talk(await enter(await sign("token_good")), "so does another");
  await assert.rejects(enter(revoked), { code: "revoked" });

  await first.close();
  const second = await start();
  const { known } = second.feed;
  assert.equal(second.feed.isHeard, false);
  await talk(await enter(ticket), "from what was on disk");
  await assert.rejects(enter(revoked), { code: "revoked" });
  assert.equal(known.keys("SHA256:a")[0]?.userId, "usr_a");
  assert.deepEqual(known.preview("label"), preview);
  assert.equal(known.findBox("org_a", "web")?.boxId, BOX);
});

test("what ended in an outage longer than revocations are told for ends when the control plane is back", async (t) => {
  const { plane, start, sign, enter, planeAgain } = await world(t);
  const { feed } = await start();
  plane.say({ ...NO_CHANGE, boxes: [box], members: [member] });
  const [gone, good] = [
    await enter(await sign("token_gone")),
    await enter(await sign("token_good")),
  ];
  const broken = new Promise<Error>((done) => gone.once("error", done));
  await plane.close();
  await until(() => !feed.isHeard, "the loss is noticed");
  await talk(gone, "nobody has told");

  // It comes back, and does not even remember that there was such a token.
  const back = await planeAgain();
  let failures = 2;
  back.answer = (name, body) => {
    assert.equal(name, "ended-credentials");
    failures -= 1;
    if (failures >= 0) return { status: 503, body: {} };
    assert.deepEqual((body as { credentialIds: string[] }).credentialIds.sort(), [
      "token_gone",
      "token_good",
    ]);
    return { status: 200, body: { credentialIds: ["token_gone"] } };
  };
  assert.match((await broken).message, /does not hold any more/);
  await talk(good, "goes on");
  good.destroy();
  await until(() => feed.known.inUse.length === 0, "nobody is let in by any");
});
