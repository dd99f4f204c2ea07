// Certificates of nodes and gateways: renewed in time, in use at once, and not for ever good.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect, type PeerCertificate } from "node:tls";
import { type Clock, systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { controlPlane } from "#test/harness/control-plane.ts";
import { loadCertificateAuthority, makeCertificateAuthority, makeKeyAndCsr } from "#trust/x509.ts";
import { readConfig } from "./config.ts";
import { gatewayMustJoin, startGateway } from "./gateway.ts";
import { keepRenewed } from "./keep-renewed.ts";
import { nodeMustJoin, startNode } from "./node.ts";
import type { RoleContext } from "./role.ts";

const DAY_MS = 86_400_000;

test("a renewal comes when two thirds of the life are over, and again until it works", async () => {
  const startMs = Date.parse("2026-01-01T00:00:00Z");
  const authority = await loadCertificateAuthority(await makeCertificateAuthority(startMs));
  const sign = async (nowMs: number) =>
    authority.signNodeCsr((await makeKeyAndCsr()).csrPem, {
      ...{ nodeId: "node_1", nowMs, lifetimeMs: 30 * DAY_MS },
    });
  let nowMs = startMs;
  const stop = new AbortController();
  const clock: Clock = {
    ...systemClock,
    nowMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
      if (nowMs > startMs + 61 * DAY_MS) stop.abort();
    },
  };
  let certificatePem = await sign(nowMs);
  const tries: number[] = [];
  const renew = async () => {
    tries.push((nowMs - startMs) / DAY_MS);
    if (tries.length < 3) throw new Error("the control plane is away");
    certificatePem = await sign(nowMs);
  };
  const ports = { clock, log: silentLog };
  await keepRenewed({ certificatePem: () => certificatePem, renew }, ports, stop.signal);
  // Two that fail, and each hour another; then every 20 days.
  assert.deepEqual(
    tries.map((days) => Math.round(days)),
    [20, 20, 20, 40, 60],
  );
});

/** A control plane whose clock can be turned back, and what roles need to join it. */
async function scene(t: TestContext) {
  let ageMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() - ageMs };
  const closing: (() => Promise<unknown>)[] = [];
  t.after(async () => {
    for (const close of closing.reverse()) await close();
  });
  const plane = await controlPlane(t, { clock });
  const stateDir = await mkdtemp(join(tmpdir(), "berth-renewal-"));
  closing.push(() => rm(stateDir, { recursive: true, force: true }));
  const caFile = join(stateDir, "ca.pem");
  await writeFile(caFile, plane.authority.certificatePem);
  const anyPort = { host: "127.0.0.1", port: 0 };
  const context = async (): Promise<RoleContext> => ({
    config: {
      ...readConfig({ BERTH_STATE_DIR: stateDir, BERTH_DRIVER: "fake", BERTH_CA_FILE: caFile }),
      ...{ gatewayListen: anyPort, gatewayNodeListen: anyPort, sshListen: anyPort },
      ...{ nodeApiUrl: plane.nodeUrl },
      joinToken: (await plane.admin.client.nodes.createJoinToken()).token,
    },
    ...{ log: silentLog, clock: systemClock, run, failpoints: plane.failpoints },
  });
  const identityOf = async (role: string) => {
    const path = join(stateDir, role, "identity.json");
    assert.equal((await stat(path)).mode & 0o077, 0);
    return JSON.parse(await readFile(path, "utf8")) as Record<string, string>;
  };
  return {
    ...{ plane, context, closing, identityOf },
    /** What is signed from now on is as old as this. */
    age: (days: number) => {
      ageMs = days * DAY_MS;
    },
  };
}

function servedCertificate(port: number, ca: string): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca }, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + 120_000;
  while (!(await holds())) {
    assert.ok(performance.now() < untilMs, `never came: ${what}`);
    await systemClock.sleep(20);
  }
}

test("a gateway renews its certificate while it serves, and serves with the new one", async (t) => {
  const { plane, context, closing, identityOf, age } = await scene(t);
  const ca = plane.authority.certificatePem;
  age(21);
  const young = await context();
  const old = await startGateway({
    ...young,
    clock: { ...systemClock, nowMs: () => systemClock.nowMs() - 21 * DAY_MS },
  });
  const before = await identityOf("gateway");
  const { fingerprint256 } = await servedCertificate(old.nodePort, ca);
  await old.close();
  age(0);
  const gateway = await startGateway(young);
  closing.push(() => gateway.close());
  await until("another certificate is served", async () => {
    const served = await servedCertificate(gateway.nodePort, ca);
    return served.fingerprint256 !== fingerprint256;
  });
  const after = await identityOf("gateway");
  assert.notEqual(after.certificatePem, before.certificatePem);
  assert.notEqual(after.privateKeyPem, before.privateKeyPem);
  assert.deepEqual(after.hosts, before.hosts);
});

test("a node renews its certificate while it runs, and is heard with the new one", async (t) => {
  const { plane, context, closing, identityOf, age } = await scene(t);
  age(21);
  const young = await context();
  const old = await startNode({
    ...young,
    clock: { ...systemClock, nowMs: () => systemClock.nowMs() - 21 * DAY_MS },
  });
  await old.close();
  const before = await identityOf("agent");
  age(0);
  const node = await startNode(young);
  closing.push(() => node.close());
  await until(
    "a new certificate",
    async () => (await identityOf("agent")).certificatePem !== before.certificatePem,
  );
  const after = await identityOf("agent");
  assert.deepEqual([after.nodeId, after.caPem], [before.nodeId, before.caPem]);
  const { items } = await plane.admin.client.nodes.list();
  assert.deepEqual(
    items.map(({ id }) => id),
    [before.nodeId],
  );
});

test("a certificate that ran out is as good as none: join again, as the same node", async (t) => {
  const { context, closing, identityOf, age } = await scene(t);
  age(31);
  const first = await context();
  const past: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() - 31 * DAY_MS };
  await (await startNode({ ...first, clock: past })).close();
  const { nodeId } = await identityOf("agent");
  const { config, clock } = first;
  assert.equal(await nodeMustJoin(config, past), false);
  assert.equal(await nodeMustJoin(config, clock), true);
  await assert.rejects(startNode({ ...first, config: { ...config, joinToken: null } }), /ran out/);
  assert.equal(await gatewayMustJoin(config, clock), true);
  age(0);
  const again = await startNode(await context());
  closing.push(() => again.close());
  assert.equal((await identityOf("agent")).nodeId, nodeId);
  assert.equal(await nodeMustJoin(config, clock), false);
});
