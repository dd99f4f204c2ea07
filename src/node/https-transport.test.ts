// Joining, and the agent's line to a real node API over mTLS.

import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Report } from "#contract/node-protocol.ts";
import { systemClock } from "#lib/clock.ts";
import { createHttpsTransport } from "#node/https-transport.ts";
import { joinNode, readNodeIdentity, renewNode } from "#node/identity.ts";
import { controlPlane } from "#test/harness/control-plane.ts";
import { loadCertificateAuthority, makeCertificateAuthority, makeKeyAndCsr } from "#trust/x509.ts";

async function setUp(t: TestContext) {
  const plane = await controlPlane(t);
  const directory = await mkdtemp(join(tmpdir(), "berth-node-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const { token } = await plane.admin.client.nodes.createJoinToken();
  const nodeApiUrl = plane.nodeUrl;
  const caPem = plane.authority.certificatePem;
  const options = { nodeApiUrl, caPem, token, name: "one", region: "here", labels: {} };
  return { plane, directory, options };
}

const REPORT: Report = {
  ...{ session: "first", revision: 1, full: true, fingerprint: null, images: null },
  ...{ boxes: [], snapshots: [], goneBoxes: [], goneSnapshots: [] },
};
const { signal } = new AbortController();

test("a node joins once, keeps its identity for itself, and speaks with it", async (t) => {
  const { directory, options } = await setUp(t);
  assert.equal(await readNodeIdentity(directory), null);
  const joined = await joinNode(directory, options);
  assert.deepEqual(await readNodeIdentity(directory), joined);
  assert.equal((await stat(join(directory, "identity.json"))).mode & 0o077, 0);
  await assert.rejects(joinNode(directory, options), /new join token/);

  const transport = createHttpsTransport(options.nodeApiUrl, joined);
  t.after(() => transport.close());
  assert.equal(await transport.report(REPORT, signal), "acked");
  const later = { ...REPORT, session: "second", revision: 7, full: false };
  assert.equal(await transport.report(later, signal), "resync");
  const assignments = await transport.assignments(0, 0, signal);
  assert.deepEqual(assignments?.boxes, []);
  assert.equal(await transport.assignments(assignments?.revision ?? 0, 10, signal), null);
  const stranger = { boxId: "box_00000000000000000000", epoch: 1, publicKey: "ssh-ed25519 AAAA" };
  await assert.rejects(transport.signHostKey(stranger, signal), {
    name: "NodeApiError",
    status: 404,
  });
});

test("a certificate that was renewed in place is what new connections show", async (t) => {
  const { directory, options } = await setUp(t);
  const other = await loadCertificateAuthority(await makeCertificateAuthority(systemClock.nowMs()));
  const joined = await joinNode(directory, options);
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const validity = { nowMs: systemClock.nowMs(), lifetimeMs: 60_000 };
  const certificatePem = await other.signNodeCsr(csrPem, { nodeId: joined.nodeId, ...validity });
  const tls = { ...joined, certificatePem, privateKeyPem };
  const refused = createHttpsTransport(options.nodeApiUrl, tls);
  t.after(() => refused.close());
  await assert.rejects(refused.report(REPORT, signal), { code: "node_unknown" });
  const transport = createHttpsTransport(options.nodeApiUrl, tls);
  t.after(() => transport.close());
  Object.assign(tls, await renewNode(directory, joined, options.nodeApiUrl));
  assert.equal(await transport.report(REPORT, signal), "acked");
  assert.deepEqual(await readNodeIdentity(directory), tls);
  assert.notEqual(tls.certificatePem, joined.certificatePem);
});

test("a long poll ends with its signal", async (t) => {
  const { directory, options } = await setUp(t);
  const transport = createHttpsTransport(options.nodeApiUrl, await joinNode(directory, options));
  t.after(() => transport.close());
  const { revision = 0 } = (await transport.assignments(0, 0, signal)) ?? {};
  const stop = new AbortController();
  const waiting = transport.assignments(revision, 25_000, stop.signal);
  await systemClock.sleep(50);
  stop.abort();
  await assert.rejects(waiting, { name: "AbortError" });
});

test("the token is shown to nobody who is not of the authority", async (t) => {
  const { directory, options } = await setUp(t);
  const other = await loadCertificateAuthority(await makeCertificateAuthority(systemClock.nowMs()));
  const deceived = { ...options, caPem: other.certificatePem };
  await assert.rejects(joinNode(directory, deceived), /certificate/);
  assert.equal(await readNodeIdentity(directory), null);
  await joinNode(directory, options);
});
