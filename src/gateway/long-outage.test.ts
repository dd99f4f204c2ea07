// Half an hour without a control plane, in seconds: gateway and agent live by a clock that the test moves. What is open
// goes on, what holds still opens more, what is over is refused; and what ended meanwhile ends when it is back.

import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { FeedKey, FeedMember } from "#contract/gateway-feed.ts";
import { silentLog } from "#lib/log.ts";
import { makeHostKey } from "#lib/ssh-keys.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { openStream, StreamBroken } from "#sdk/stream.ts";
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
  USER,
  until,
} from "#test/harness/doors.ts";
import { startExecHost, TOKEN } from "#test/harness/exec-host.ts";
import { type FeedServer, openFeedServer } from "#test/harness/feed-server.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { WarpClock } from "#test/harness/warp-clock.ts";
import { previewSigner } from "#trust/preview-tokens.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  signHostCertificate,
} from "#trust/ssh-certificates.ts";
import { makeTicketKey, ticketSigner } from "#trust/tickets.ts";
import { encodeExecFrame } from "#wire/exec-frames.ts";
import { openFeed } from "./feed.ts";
import { createGateway } from "./gateway.ts";
import { PlaneCalls } from "./plane-calls.ts";
import { previewDoor } from "./preview-door.ts";
import { sshBoxes } from "./ssh-boxes.ts";
import { openSshDoor } from "./ssh-door.ts";

const HOST = "127.0.0.1";
const MINUTE_MS = 60_000;
const OUTAGE_MS = 31 * MINUTE_MS;
/** Shorter than a ping may take. */
const STEP_MS = 10_000;
const [EXEC, ECHO, APP] = [1, 7, 3000];
const ORG = "org_a";
const PREVIEW = { previewId: "preview_1", label: "abcdefghijklmnop", serial: 1 };
const userAuthority = loadSshAuthority(makeSshAuthorityKey(), "users");
const hostAuthority = loadSshAuthority(makeSshAuthorityKey(), "hosts");
const run = promisify(execFile);

/** Says back what it hears; with `hello`, first that, when a request has come. */
function echo(hello?: string): Server {
  return createServer((socket) => {
    socket.on("error", () => {});
    if (hello === undefined) socket.pipe(socket);
    else
      socket.once("data", () => {
        socket.write(hello);
        socket.pipe(socket);
      });
  });
}

/** One who types, and hears it again. */
class Talk {
  readonly #write: (text: string) => void;
  #heard = "";
  #said = 0;
  /** Why it ended. */
  end: string | null = null;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  static of(stream: Duplex, frame = (text: string): string | Uint8Array => text): Talk {
    const talk = new Talk((text) => stream.write(frame(text)));
    stream.on("data", (bytes) => talk.hear(bytes));
    stream.on("error", (error) => {
      talk.end ??= error instanceof StreamBroken ? error.reason : error.message;
    });
    stream.on("close", () => {
      talk.end ??= "closed";
    });
    return talk;
  }

  hear(bytes: Buffer): void {
    this.#heard += bytes.toString("latin1");
  }

  async goesOn(what: string): Promise<void> {
    this.#said += 1;
    const word = `<${this.#said}>`;
    this.#write(`${word}\n`);
    await until(() => this.#heard.includes(word) || this.end !== null, `${what} answers`);
    assert.equal(this.end, null, what);
    this.#heard = "";
  }

  async isEnded(what: string): Promise<string> {
    await until(() => this.end !== null, `${what} ends`);
    return this.end ?? "";
  }
}

async function world(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "berth-long-outage-"));
  const closing: (() => unknown)[] = [];
  t.after(async () => {
    for (const close of closing.reverse()) await close();
    await rm(directory, { recursive: true, force: true });
  });
  const clock = new WarpClock();
  const common = { clock, log: silentLog };
  const times = { backoffMinMs: 20, backoffMaxMs: 100 };
  const authority = await makeAuthority();
  const key = makeTicketKey();
  const [nodePort, clientPort] = [await freePort(), await freePort()];
  const full = {
    ...emptyFeed(key.publicKeyPem, {
      sshUserCa: userAuthority.publicKeyLine,
      previewOrigin: `http://*.localhost:${clientPort}`,
    }),
    boxes: [
      {
        ...{ boxId: BOX, name: "web", orgId: ORG, ownerId: USER, teamId: null, shares: [] },
        ...{ phase: "running" as const, reason: null, epoch: 1, nodeId: NODE },
      },
    ],
    members: [{ orgId: ORG, userId: USER, roles: ["member"], teams: [] } as FeedMember],
    previews: [{ ...PREVIEW, boxId: BOX, port: APP, visibility: "private" as const }],
    keys: [] as FeedKey[],
  };
  const exec = await startExecHost(["-O1"]);
  closing.push(() => exec.stop());
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  driver.execToken = TOKEN;
  driver.ports.set(EXEC, exec.port);
  const upgraded =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  for (const [port, server] of [
    [ECHO, echo()],
    [APP, echo(`${upgraded}${accept}`)],
  ] as const) {
    await new Promise<void>((done) => server.listen(0, HOST, done));
    driver.ports.set(port, (server.address() as { port: number }).port);
    closing.push(() => server.close());
  }
  const planes: FeedServer[] = [await openFeedServer(authority, full, await freePort())];
  const [plane] = planes as [FeedServer];
  closing.push(() => Promise.all(planes.map((one) => one.close())));
  const links = new GatewayLinks({ driver, tls: await nodeTls(authority), times, ...common });
  links.setGateways([`https://${HOST}:${nodePort}`]);
  closing.push(() => links.close());
  const calls = new PlaneCalls({ urls: [plane.url], tls: await nodeTls(authority), ...common });
  const feed = await openFeed({
    plane: calls,
    request: { clientUrl: GATEWAY_URL, nodeUrl: "https://g:2", sshAddress: null },
    path: join(directory, "feed.ndjson"),
    times: { saveMs: 5, ...times },
    ...common,
  });
  closing.push(() => feed.close());
  const hostKey = makeHostKey();
  const certificate = signHostCertificate(hostAuthority, {
    ...{ publicKeyLine: hostKey.publicKeyLine, keyId: "gateway", principals: ["gw.berth"] },
    ...{ notBeforeMs: Date.now() - MINUTE_MS, notAfterMs: Date.now() + 60 * MINUTE_MS },
  });
  const gateway = await createGateway({
    nodeDoor: { host: HOST, port: nodePort, tls: await serverTls(authority, "gateway") },
    clientDoor: { host: HOST, port: clientPort, url: GATEWAY_URL },
    known: feed.known,
    askWake: (wanted) => calls.wake(wanted),
    preview: (base) =>
      previewDoor({
        ...base,
        renewPass: (pass) => calls.renewPass(pass),
        portsOf: (boxId) => calls.ports(boxId),
      }),
    ssh: (base) =>
      openSshDoor({
        ...{ host: HOST, port: 0, boxUser: "root", boxes: sshBoxes(base), ...common },
        hostKey: { ...hostKey, certificateLine: () => certificate },
      }),
    ...common,
  });
  closing.push(() => gateway.close());
  await writeFile(
    join(directory, "known_hosts"),
    `${knownHostsLine(hostAuthority.publicKeyLine, "gw.berth")}\n`,
  );
  await until(() => gateway.status().boxes === 1, "the box is announced");
  const planeAgain = async (now: typeof full) => {
    const back = await openFeedServer(authority, now, plane.port);
    planes.push(back);
    return back;
  };
  const ways = { directory, gateway, closing, signKey: key.privateKeyPem };
  return { clock, feed, full, plane, planeAgain, ...waysIn(ways, clock) };
}

interface Ways {
  readonly directory: string;
  readonly gateway: Awaited<ReturnType<typeof createGateway>>;
  readonly closing: (() => unknown)[];
  readonly signKey: string;
}

/** All the doors, each with its credential. */
function waysIn({ directory, gateway, closing, signKey }: Ways, clock: WarpClock) {
  const { clientPort, sshPort } = gateway;
  const sign = ticketSigner(signKey);
  const previews = previewSigner(signKey);
  const ticket = async (credentialId: string) => {
    const what = { userId: USER, orgId: ORG, boxId: BOX, epoch: null, ports: "any" as const };
    const rest = { kinds: ["port" as const], session: null, origin: null, gatewayUrl: null };
    return (await sign({ ...what, ...rest, credentialId }, clock.nowMs())).ticket;
  };
  const enter = async (text: string, port: number) => {
    const gatewayUrl = `http://${HOST}:${clientPort}`;
    const stream = await openStream({ gatewayUrl, ticket: text, boxId: BOX, door: { port } });
    closing.push(() => stream.destroy());
    return stream;
  };
  const typed = (text: string) => encodeExecFrame({ kind: "stdin", data: Buffer.from(text) });
  return {
    ticket,
    raw: async (text: string) => Talk.of(await enter(text, ECHO)),
    terminal: async (text: string) => {
      const stream = await enter(text, EXEC);
      const pty = { rows: 24, cols: 80 };
      const start = { kind: "start", argv: ["cat"], user: "root", pty } as const;
      stream.write(encodeExecFrame({ ...start, session: crypto.randomUUID() }));
      return Talk.of(stream, typed);
    },
    pass: (credentialId: string, agoMs = 0) =>
      previews.pass(
        { previewId: PREVIEW.previewId, serial: PREVIEW.serial, userId: USER, credentialId },
        clock.nowMs() - agoMs,
      ),
    /** A WebSocket through the preview: its app's answer, and then what is typed. */
    preview: async (pass: string): Promise<{ status: string; talk: Talk }> => {
      const socket: Socket = connect(clientPort, HOST);
      closing.push(() => socket.destroy());
      let head = "";
      const talk = Talk.of(socket);
      socket.on("data", (bytes) => {
        if (head.length < 1000) head += bytes;
      });
      socket.write(
        `GET / HTTP/1.1\r\nHost: ${APP}-${PREVIEW.label}.localhost:${clientPort}\r\n` +
          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
          `Cookie: __Host-berth-preview=${pass}\r\n\r\n`,
      );
      await until(() => head.includes("\r\n\r\n"), "the preview answers");
      return { status: head.split(" ")[1] ?? "", talk };
    },
    /** Makes a key of that name; what it is registered as. */
    sshKey: async (keyId: string): Promise<FeedKey> => {
      const path = join(directory, keyId);
      await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
      const { stdout } = await run("ssh-keygen", ["-lf", `${path}.pub`]);
      return { keyId, fingerprint: stdout.split(" ")[1] ?? "", userId: USER, orgId: ORG };
    },
    ssh: (keyId: string): Talk => {
      const child: ChildProcess = spawn("ssh", [
        ...["-F", "none", "-p", String(sshPort), "-i", join(directory, keyId)],
        ...["-o", `UserKnownHostsFile=${join(directory, "known_hosts")}`],
        ...["-o", "HostKeyAlias=gw.berth", "-o", "StrictHostKeyChecking=yes"],
        ...["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", `web@${HOST}`, "cat"],
      ]);
      closing.push(() => child.kill());
      const talk = new Talk((text) => child.stdin?.write(text));
      let said = "";
      child.stdin?.on("error", () => {});
      child.stdout?.on("data", (bytes) => talk.hear(bytes));
      child.stderr?.on("data", (bytes) => {
        said += bytes;
      });
      child.on("close", (code) => {
        talk.end = `${code} ${said}`;
      });
      return talk;
    },
  };
}

test("half an hour without a control plane", async (t) => {
  const w = await world(t);
  const { clock, feed, full } = w;
  const keys = [await w.sshKey("key_good"), await w.sshKey("key_gone")];
  w.plane.say({ ...NO_CHANGE, keys });
  await until(() => feed.known.keys(keys[1]?.fingerprint ?? "").length === 1, "keys are known");

  const early = await w.ticket("token_good");
  const [pass, gonePass] = [await w.pass("web_good"), await w.pass("web_gone")];
  const oldPass = await w.pass("web_good", 35 * MINUTE_MS);
  const preview = await w.preview(pass);
  const gonePreview = await w.preview(gonePass);
  assert.deepEqual([preview.status, gonePreview.status], ["101", "101"]);
  const good: Record<string, Talk> = {
    "raw port": await w.raw(early),
    terminal: await w.terminal(early),
    preview: preview.talk,
    ssh: w.ssh("key_good"),
  };
  const gone: Record<string, Talk> = {
    "raw port, revoked later": await w.raw(await w.ticket("token_gone")),
    "terminal, revoked later": await w.terminal(await w.ticket("token_gone")),
    "preview, revoked later": gonePreview.talk,
    "ssh, revoked later": w.ssh("key_gone"),
  };
  const all = Object.entries({ ...good, ...gone });
  const allGoOn = () => Promise.all(all.map(([what, talk]) => talk.goesOn(what)));
  await allGoOn();
  assert.equal((await w.preview(oldPass)).status, "101");

  await w.plane.close();
  await until(() => !feed.isHeard, "the loss is noticed");
  const sinceMs = clock.nowMs();
  // Small steps, each with an answer over every way, so that pings are answered as they would be.
  const passed = async (untilMs: number) => {
    while (clock.nowMs() < sinceMs + untilMs) {
      clock.advance(STEP_MS);
      await new Promise((done) => setImmediate(done));
      await allGoOn();
    }
  };
  await passed(4 * MINUTE_MS);
  await (await w.raw(early)).goesOn("a new stream with a ticket of its minutes");
  await passed(OUTAGE_MS);
  assert.equal(feed.isHeard, false);

  await assert.rejects(w.raw(early), { code: "ticket_expired", status: 401 });
  assert.equal((await w.preview(oldPass)).status, "401");
  const again = await w.preview(pass);
  assert.equal(again.status, "101");
  await again.talk.goesOn("a new preview with a pass that is not over");
  await w.ssh("key_good").goesOn("a new login with a registered key");

  const back = await w.planeAgain({ ...full, keys: keys.slice(0, 1) });
  const ended = ["token_gone", "web_gone"];
  back.answer = (name, body) => {
    if (name === "preview-pass") return { status: 503, body: {} };
    assert.equal(name, "ended-credentials");
    const { credentialIds } = body as { credentialIds: string[] };
    return {
      status: 200,
      body: { credentialIds: credentialIds.filter((id) => ended.includes(id)) },
    };
  };
  await until(() => feed.isHeard, "it is back");
  for (const [what, talk] of Object.entries(gone)) await talk.isEnded(what);
  assert.match(gone["raw port, revoked later"]?.end ?? "", /^revoked: /);
  for (const [what, talk] of Object.entries(good)) await talk.goesOn(what);
  await (await w.raw(await w.ticket("token_good"))).goesOn("a new ticket");
  assert.match(await w.ssh("key_gone").isEnded("a removed key"), /^255 .*Permission denied/s);
});
