// The packet filter against real namespaces. A "guest" is a namespace in place of the VMM's tap; the "world" is
// one that the host routes to, with public, private and link-local addresses.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { run } from "#lib/run.ts";
import { readEgress } from "./egress.ts";
import { boxNetworks } from "./network.ts";
import { boxLink, GUEST } from "./network-rules.ts";

const UID = 1_299_999_999;
const WORLD = "berth-test-world";
const WORLD_PUBLIC = "198.51.100.2";
const HOST_PUBLIC = "198.51.100.1";
const WORLD_PRIVATE = "10.77.77.2";
const WORLD_METADATA = "169.254.169.254";
const OTHER_SLOT = 30_001;
const SLOT = 30_000;

const networks = boxNetworks("fffff0", run, async () => WORLD_PRIVATE);
const others = boxNetworks("fffff1", run, async () => null);
const children: ChildProcess[] = [];

before(async () => {
  await cleanUp();
  await run(["ip", "netns", "add", WORLD]);
  await batch([
    `link add btestw type veth peer name w0 netns ${WORLD}`,
    `addr add ${HOST_PUBLIC}/24 dev btestw`,
    "addr add 10.77.77.1/24 dev btestw",
    "link set btestw up",
    `route add ${WORLD_METADATA}/32 dev btestw`,
  ]);
  await batch(
    [
      ...["link set lo up", `addr add ${WORLD_PUBLIC}/24 dev w0`],
      ...[`addr add ${WORLD_PRIVATE}/24 dev w0`, `addr add ${WORLD_METADATA}/32 dev w0`],
      ...["link set w0 up", `route add default via ${HOST_PUBLIC}`],
    ],
    WORLD,
  );
  for (const port of [53, 80]) await serve(WORLD, port);
  await serve(null, 7999);
  await networks.protectHost();
  for (const slot of [SLOT, OTHER_SLOT]) await makeBox(slot);
  await networks.open(SLOT);
  await networks.open(OTHER_SLOT);
});

after(cleanUp);

async function cleanUp(): Promise<void> {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await networks.close();
  await others.close();
  for (const name of [WORLD, guestOf(SLOT), guestOf(OTHER_SLOT)]) {
    await run(["ip", "netns", "del", name]).catch(() => {});
  }
  await run(["ip", "link", "del", "btestw"]).catch(() => {});
}

/** Puts a namespace where the VMM's tap would be. */
async function makeBox(slot: number): Promise<void> {
  const { netns } = await networks.make(slot, UID);
  const guest = guestOf(slot);
  await run(["ip", "netns", "add", guest]);
  await batch(
    [
      "link del tap0",
      `link add tap0 type veth peer name eth0 netns ${guest}`,
      `addr add ${GUEST.gateway}/24 dev tap0`,
      `addr add ${GUEST.dns}/32 dev tap0`,
      "link set tap0 up",
    ],
    netns,
  );
  await batch(
    [
      ...[
        "link set lo up",
        `addr add ${GUEST.address}/24 dev eth0`,
        "addr add 10.0.2.99/24 dev eth0",
      ],
      ...["link set eth0 up", `route add default via ${GUEST.gateway}`],
    ],
    guest,
  );
  await serve(guest, 22);
}

function guestOf(slot: number): string {
  return `berth-test-guest-${slot}`;
}

async function batch(lines: readonly string[], netns?: string): Promise<void> {
  const place = netns ? ["-netns", netns] : [];
  await run(["ip", ...place, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

/** A server that answers each connection with its client's address. */
async function serve(netns: string | null, port: number): Promise<void> {
  const script = `require("net").createServer((s) => { s.on("error", () => {}); s.end(s.remoteAddress.replace("::ffff:", "")); }).listen(${port}, "0.0.0.0", () => console.log("listening"))`;
  const argv = [...(netns ? ["ip", "netns", "exec", netns] : []), process.execPath, "-e", script];
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  await once(child.stdout!, "data");
}

interface From {
  readonly netns?: string;
  readonly uid?: number;
  readonly localAddress?: string;
}

const PATIENCE_MS = 60_000;
/** As long as a retry takes. */
const SILENCE_MS = 1_500;

/** What a server said, or why there was no connection. */
async function dial(
  address: string,
  port: number,
  from: From = {},
  patienceMs = PATIENCE_MS,
): Promise<string> {
  const local = from.localAddress ? `, localAddress: "${from.localAddress}"` : "";
  const script = `const s = require("net").connect({ host: "${address}", port: ${port}${local} }); s.on("data", (d) => { console.log(String(d)); process.exit() }); s.on("error", (e) => { console.log(e.code); process.exit() }); setTimeout(() => { console.log("silence"); process.exit() }, ${patienceMs})`;
  const uid = from.uid ? ["setpriv", `--reuid=${from.uid}`, "--clear-groups"] : [];
  const netns = from.netns ? ["ip", "netns", "exec", from.netns] : [];
  const { stdout } = await run([...netns, ...uid, process.execPath, "-e", script]);
  return stdout.trim();
}

async function isSilent(address: string, port: number, from: From = {}): Promise<void> {
  assert.equal(await dial(address, port, from, SILENCE_MS), "silence", address);
}

const guest = { netns: guestOf(SLOT) };
const link = boxLink("fffff0", SLOT);
const otherLink = boxLink("fffff0", OTHER_SLOT);

test("a box reaches public addresses, documentation networks among them, by the host's address", async () => {
  assert.equal(await dial(WORLD_PUBLIC, 80, guest), HOST_PUBLIC);
});

test("a box reaches nothing private, link-local, of the host, or of another box", async () => {
  // The host itself does reach these, so a refusal is the filter's.
  assert.equal(await dial(WORLD_PRIVATE, 80), "10.77.77.1");
  const refused = { [WORLD_PRIVATE]: 80, [WORLD_METADATA]: 80, [HOST_PUBLIC]: 7999 };
  const links = {
    [link.hostAddress]: 7999,
    [otherLink.boxAddress]: 22,
    [otherLink.hostAddress]: 7999,
  };
  for (const [address, port] of Object.entries({ ...refused, ...links })) {
    assert.equal(await dial(address, port, guest), "EHOSTUNREACH", address);
  }
  await isSilent(GUEST.gateway, 22, guest);
});

test("the host's own rules hold when a box's namespace has none", async () => {
  const rules = ["ip", "netns", "exec", link.netns, "nft"];
  const kept = await run([...rules, "list", "ruleset"]);
  const open = `flush ruleset
table ip t {
  chain p {
    type nat hook postrouting priority 100;
    oifname "veth0" masquerade
  }
}
`;
  await run([...rules, "-f", "-"], { input: open });
  try {
    assert.equal(await dial(WORLD_PUBLIC, 80, guest), HOST_PUBLIC);
    await isSilent(HOST_PUBLIC, 7999, guest);
    await isSilent(link.hostAddress, 7999, guest);
    await isSilent(otherLink.boxAddress, 22, guest);
    // Without the host's rule the namespace itself would answer that nobody listens.
    await run([
      "ip",
      "-netns",
      WORLD,
      "route",
      "replace",
      `${link.boxAddress}/32`,
      "via",
      HOST_PUBLIC,
    ]);
    await isSilent(link.boxAddress, 22, { netns: WORLD });
  } finally {
    await run([...rules, "-f", "-"], { input: `flush ruleset\n${kept.stdout}` });
  }
});

test("what a box sends is counted where it leaves, and what is refused is not", async () => {
  const read = async () => (await readEgress(link.hostInterface)) ?? assert.fail("no counter");
  const before = await read();
  await dial(WORLD_PRIVATE, 80, guest);
  // But for an ARP packet now and then; a connection takes more.
  assert.ok((await read()).bytes - before.bytes < 200);
  await dial(WORLD_PUBLIC, 80, guest);
  const after = await read();
  assert.equal(after.counter, before.counter);
  const bytes = after.bytes - before.bytes;
  assert.ok(bytes > 100 && bytes < 5_000, `${bytes} bytes for one connection`);
  const spare = SLOT - 1;
  await networks.make(spare, UID);
  const one = await readEgress(boxLink("fffff0", spare).hostInterface);
  await networks.make(spare, UID);
  const two = await readEgress(boxLink("fffff0", spare).hostInterface);
  assert.ok(one && two && one.counter !== two.counter, "a network that is made anew");
  await networks.remove(spare);
  assert.equal(await readEgress(boxLink("fffff0", spare).hostInterface), null);
});

test("look-ups go to the host's name server, and only to its port 53", async () => {
  assert.equal(await dial(GUEST.dns, 53, guest), "10.77.77.1");
  await isSilent(GUEST.dns, 80, guest);
  assert.equal(await dial(WORLD_PRIVATE, 53, guest), "EHOSTUNREACH");
});

test("a box cannot send in another's name: not even one packet", async () => {
  const nft = ["ip", "netns", "exec", WORLD, "nft"];
  const count =
    "table ip seen {\n chain c {\n type filter hook prerouting priority 0;\n ip saddr 10.0.2.0/24 counter\n }\n}\n";
  await run([...nft, "-f", "-"], { input: count });
  const spoofed = { ...guest, localAddress: "10.0.2.99" };
  await isSilent(WORLD_PUBLIC, 80, spoofed);
  assert.match((await run([...nft, "list", "ruleset"])).stdout, /counter packets 0 /);
});

test("the host's root reaches the box's ports, and the box sees its gateway", async () => {
  assert.equal(await dial(link.boxAddress, 22), GUEST.gateway);
});

test("nobody else reaches the box: no other user, no other machine", async () => {
  await isSilent(link.boxAddress, 22, { uid: 1000 });
  await run([
    "ip",
    "-netns",
    WORLD,
    "route",
    "replace",
    `${link.boxAddress}/32`,
    "via",
    HOST_PUBLIC,
  ]);
  await isSilent(link.boxAddress, 22, { netns: WORLD });
});

test("whoever breaks out into the box's namespace reaches nothing by its own sockets", async () => {
  for (const [address, port] of [
    [WORLD_PUBLIC, 80],
    [link.hostAddress, 7999],
    [GUEST.address, 22],
  ] as const) {
    await isSilent(address, port, { netns: link.netns, uid: UID });
  }
});

test("a shut gate lets nothing pass in either direction, and opens again", async () => {
  await networks.shut(SLOT);
  await isSilent(WORLD_PUBLIC, 80, guest);
  await isSilent(GUEST.dns, 53, guest);
  await isSilent(link.boxAddress, 22);
  await assert.rejects(networks.open(SLOT, Promise.reject(new Error("the guest refused"))));
  const acknowledged = Promise.withResolvers<void>();
  const opened = networks.open(SLOT, acknowledged.promise);
  await isSilent(WORLD_PUBLIC, 80, guest);
  acknowledged.resolve();
  await opened;
  await networks.open(SLOT);
  assert.equal(await dial(WORLD_PUBLIC, 80, guest), HOST_PUBLIC);
});

test("a fresh network is shut, has no IPv6, and is made again over remains", async () => {
  const { netns } = await others.make(30_002, UID);
  const rules = await run(["ip", "netns", "exec", netns, "nft", "list", "tables"]);
  assert.match(rules.stdout, /table inet berth_gate/);
  assert.equal((await run(["ip", "-netns", netns, "-6", "addr"])).stdout, "");
  await run(["ip", "-netns", netns, "link", "del", "veth0"]);
  await others.make(30_002, UID);
  await run(["ip", "netns", "del", netns]);
  await others.make(30_002, UID);
  await others.remove(30_002);
  await others.remove(30_002);
  assert.deepEqual(await others.list(), []);
});

test("drivers on one host see and remove only their own", async () => {
  await others.make(30_003, UID);
  assert.deepEqual(await others.list(), [30_003]);
  assert.deepEqual((await networks.list()).sort(), [SLOT, OTHER_SLOT]);
  await others.close();
  assert.equal(await dial(link.boxAddress, 22), GUEST.gateway);
});
