// The SSH door under hostile clients, in a process of its own: whatever they say it neither falls nor swells nor lets
// in, and good logins go on. SEED=N chooses other attacks, the same each time. Longer, by count (some minutes):
//   SEED=2 BERTH_SSH_CASES=4000 node --test src/gateway/ssh-fuzz.test.ts

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "#test/harness/doors.ts";
import { seeded } from "#test/harness/framing.ts";
import {
  Attacker,
  anyPayload,
  type Dice,
  mutate,
  plainPackets,
  randomBytes,
  recordLogin,
  say,
  text,
  uint32,
} from "#test/harness/ssh-attacks.ts";
import { FLOOD, SILENT_PORT, type SshWorld, startSshWorld } from "#test/harness/ssh-world.ts";

const SEED = Number(process.env.SEED ?? 1);
const SHORT = 60;
const CASES = Number(process.env.BERTH_SSH_CASES ?? SHORT);
const AT_ONCE = 8;
const LIMIT_BYTES = 400 * 1024 * 1024;
const FLOOD_BYTES = (CASES > SHORT ? 4 : 1) * 1024 * 1024;
/** More than the kernel's buffers of both ends hold, of answers. */
const LONG_FLOOD_BYTES = 24 * 1024 * 1024;
const PATIENCE_MS = 1500;
const HUGE = 0xffff_ffff;

let world: SshWorld;
let filesBefore = 0;
before(async () => {
  world = await startSshWorld();
  assert.equal(await world.login(), "in\n");
  await until(async () => (await world.streams()) === 0, "the login is over");
  filesBefore = await world.files();
});
after(() => world?.close());

/** Attacks, some at a time, with a good login among them now and then. */
async function attacks(count: number, attack: (dice: Dice) => Promise<void>): Promise<void> {
  for (let n = 0; n < count; n += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, (_, k) => attack(seeded(SEED * 100_000 + n + k)));
    if (n % (AT_ONCE * 5) === 0) assert.equal(await world.login(), "in\n", "during it");
    await Promise.all(batch);
    assert.equal(world.child.exitCode, null, `the gateway fell: case ${n} of seed ${SEED}`);
  }
  await stands();
}

async function stands(): Promise<void> {
  const rss = await world.rssBytes();
  assert.ok(rss < LIMIT_BYTES, `${rss} bytes after seed ${SEED}`);
  assert.equal(await world.login(), "in\n", "afterwards");
  await until(async () => (await world.streams()) === 0, "its streams end");
  await until(async () => (await world.files()) <= filesBefore + 2, "its sockets end");
  assert.equal(world.child.exitCode, null, `the gateway fell: seed ${SEED}`);
}

test("changed bytes of a good login, bad packets and garbage let nobody in", async () => {
  const good = await recordLogin(world.port, world.login);
  assert.ok(good.length > 1500);
  const asked = world.asked();
  await attacks(CASES * 3, async (dice) => {
    const way = dice();
    const garbage = () => randomBytes(dice, 1 + Math.floor(dice() * 2000));
    const bytes = way < 0.6 ? mutate(dice, good) : way < 0.9 ? plainPackets(dice) : garbage();
    await say(dice, world.port, bytes);
  });
  const logins = Math.ceil((CASES * 3) / (AT_ONCE * 5)) + 1;
  assert.equal(world.asked() - asked, logins, "only the good logins reached the box");
});

test("packets of a stranger, encrypted as they should be, let nobody in", async () => {
  const asked = world.asked();
  await attacks(CASES, async (dice) => {
    const attacker = new Attacker(world.port);
    await attacker.reach("handshake", world.privateKey);
    if (dice() < 0.5) attacker.send(Buffer.concat([Buffer.from([5]), text("ssh-userauth")]));
    for (let n = 0; n < 30; n += 1)
      attacker.send(dice() < 0.5 ? anyPayload(dice) : loginPayload(dice));
    await attacker.taken(PATIENCE_MS);
    await attacker.close();
  });
  const logins = Math.ceil(CASES / (AT_ONCE * 5)) + 1;
  assert.equal(world.asked() - asked, logins, "only the good logins reached the box");
});

test("packets of somebody who logged in end at most their own connection", async () => {
  await attacks(CASES, async (dice) => {
    const attacker = new Attacker(world.port);
    await attacker.reach("ready", world.privateKey);
    if (dice() < 0.7) attacker.send(openSession());
    for (let n = 0; n < 60; n += 1) {
      attacker.send(anyPayload(dice));
      if (dice() < 0.1) await new Promise((done) => setImmediate(done));
    }
    if (dice() < 0.2) attacker.socket.write(randomBytes(dice, 300));
    if (dice() < 0.7) await attacker.taken(PATIENCE_MS);
    await attacker.close();
  });
});

const FLOODS: Record<string, () => Buffer> = {
  "global requests": () =>
    Buffer.concat([Buffer.from([80]), text("keepalive@x"), Buffer.from([1])]),
  listeners: () => listenAt(0),
  sessions: openSession,
  "channels of no kind": () =>
    Buffer.concat([Buffer.from([90]), text("x11"), uint32(0), uint32(HUGE), uint32(32_768)]),
  forwards: () =>
    Buffer.concat([
      ...[Buffer.from([90]), text("direct-tcpip"), uint32(0), uint32(HUGE), uint32(32_768)],
      ...[text("10.1.2.3"), uint32(80), text("127.0.0.1"), uint32(9)],
    ]),
  "forwards to names": () =>
    Buffer.concat([
      ...[Buffer.from([90]), text("direct-tcpip"), uint32(0), uint32(HUGE), uint32(32_768)],
      ...[text("db.internal"), uint32(80), text("127.0.0.1"), uint32(9)],
    ]),
  "window adjusts": () => Buffer.concat([Buffer.from([93]), uint32(0), uint32(HUGE)]),
  "requests of a channel": () =>
    Buffer.concat([Buffer.from([98]), uint32(0), text("nonsense"), Buffer.from([1])]),
  "service requests": () => Buffer.concat([Buffer.from([5]), text("ssh-userauth")]),
};

for (const [what, payload] of Object.entries(FLOODS))
  test(`a flood of ${what} harms nobody else`, async () => {
    for (const stage of ["handshake", "ready"] as const) {
      const attacker = new Attacker(world.port);
      await attacker.reach(stage, world.privateKey);
      if (stage === "ready") attacker.send(openSession());
      await flood(attacker, payload(), FLOOD_BYTES);
      assert.equal(await world.login(), "in\n", "during it");
      await attacker.close();
    }
    await stands();
  });

test("who does not read answers is not listened to for ever", async () => {
  const attacker = new Attacker(world.port);
  await attacker.reach("ready", world.privateKey);
  const payload = FLOODS["global requests"]?.() ?? Buffer.alloc(0);
  assert.equal(await flood(attacker, payload, LONG_FLOOD_BYTES), "not taken");
  await attacker.close();
  await stands();
});

test("requests whose answers wait for one that does not come end their connection", async () => {
  const attacker = new Attacker(world.port);
  await attacker.reach("ready", world.privateKey);
  const request = FLOODS["global requests"]?.() ?? Buffer.alloc(0);
  attacker.send(listenAt(SILENT_PORT));
  for (let n = 0; n < 200; n += 1) attacker.send(request);
  assert.equal(await world.login(), "in\n", "during it");
  assert.ok(!attacker.isClosed, "some may wait");
  for (let n = 0; n < 200; n += 1) attacker.send(request);
  await until(() => attacker.isClosed, "it is ended");
  await stands();
});

test("output of programs that is not read waits in the box, however wide the window", async () => {
  const attacker = new Attacker(world.port);
  await attacker.reach("ready", world.privateKey);
  attacker.socket.pause();
  for (let n = 0; n < 8; n += 1) attacker.send(openSession());
  for (let n = 0; n < 8; n += 1) attacker.send(exec(n, FLOOD));
  await until(async () => (await world.streams()) === 8, "eight programs");
  // Nothing more is taken: seen several times, for it comes in bursts.
  let before = -1;
  for (let still = 0; still < 8; still += 1) {
    await stillSmall(attacker);
    if (world.floodedBytes() !== before) still = 0;
    before = world.floodedBytes();
    assert.equal(await world.login(), "in\n", "during it");
  }
  await attacker.close();
  await stands();
});

for (const packetBytes of [0, 1])
  test(`packets of at most ${packetBytes} bytes are not made`, async () => {
    const attacker = new Attacker(world.port);
    await attacker.reach("ready", world.privateKey);
    attacker.send(openSession(packetBytes));
    attacker.send(exec(0, FLOOD));
    assert.equal(await world.login(), "in\n", "during it");
    await stillSmall(attacker);
    await attacker.close();
    await stands();
  });

/** Until the gateway takes no more, or ends it, or so much was sent. */
async function flood(
  attacker: Attacker,
  payload: Buffer,
  bytes: number,
): Promise<"taken" | "not taken"> {
  attacker.socket.pause();
  let end: "taken" | "not taken" = "taken";
  for (let sent = 0; sent < bytes && end === "taken"; ) {
    for (let n = 0; n < 2000; n += 1) attacker.send(payload);
    sent += 2000 * (payload.length + 32);
    if (!(await attacker.taken(PATIENCE_MS))) end = "not taken";
  }
  await stillSmall(attacker);
  return end;
}

async function stillSmall(attacker: Attacker): Promise<void> {
  const rss = await world.rssBytes();
  const is = attacker.isClosed ? "closed" : "open";
  assert.ok(rss < LIMIT_BYTES, `${rss} bytes, the connection ${is}`);
}

function listenAt(port: number): Buffer {
  const parts = [text("tcpip-forward"), Buffer.from([1]), text(""), uint32(port)];
  return Buffer.concat([Buffer.from([80]), ...parts]);
}

function openSession(packetBytes = 32_768): Buffer {
  const numbers = [0, HUGE, packetBytes].map(uint32);
  return Buffer.concat([Buffer.from([90]), text("session"), ...numbers]);
}

function exec(channel: number, command: string): Buffer {
  const parts = [uint32(channel), text("exec"), Buffer.from([0]), text(command)];
  return Buffer.concat([Buffer.from([98]), ...parts]);
}

/** Asks to be let in, by a key of nobody's, a certificate of nonsense, or nothing. */
function loginPayload(dice: Dice): Buffer {
  const start = [Buffer.from([50]), text("web"), text("ssh-connection")];
  if (dice() < 0.2) return Buffer.concat([...start, text("none")]);
  const kind = dice() < 0.5 ? "ssh-ed25519" : "ssh-ed25519-cert-v01@openssh.com";
  const blob = Buffer.concat([text(kind), randomBytes(dice, Math.floor(dice() * 300))]);
  const signature = Buffer.concat([text(kind), text(randomBytes(dice, 64))]);
  const signed = dice() < 0.5;
  const rest = [text("publickey"), Buffer.from([signed ? 1 : 0]), text(kind), text(blob)];
  return Buffer.concat([...start, ...rest, ...(signed ? [text(signature)] : [])]);
}
