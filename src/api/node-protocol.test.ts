// The node API over real mTLS: who may join, who may speak, and for whom.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { request } from "node:https";
import { test } from "node:test";
import type { Report } from "#contract/node-protocol.ts";
import type { BoxId, NodeId } from "#domain/ids.ts";
import { transact } from "#store/db.ts";
import { insertEvents } from "#store/events.ts";
import { writePlacements } from "#store/placements.ts";
import { TOPICS } from "#store/wake.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import {
  hostsOf,
  identityOf,
  loadCertificateAuthority,
  makeCertificateAuthority,
  makeKeyAndCsr,
} from "#trust/x509.ts";

interface Identity {
  readonly key: string;
  readonly cert: string;
}

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into any answer.
  readonly body: any;
}

/** One request on a connection of its own. */
function speak(
  plane: ControlPlane,
  method: "GET" | "POST",
  path: string,
  options: { body?: unknown; identity?: Identity } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, plane.nodeUrl),
      {
        method,
        agent: false,
        ca: plane.authority.certificatePem,
        ...options.identity,
        ...(options.body === undefined ? {} : { headers: { "content-type": "application/json" } }),
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            body: text === "" ? null : JSON.parse(text),
          }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(options.body === undefined ? "" : JSON.stringify(options.body));
  });
}

async function join(plane: ControlPlane, name: string) {
  const { token } = await plane.admin.client.nodes.createJoinToken();
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const body = { token, name, csrPem, region: "here", labels: { disk: "fast" } };
  const answer = await speak(plane, "POST", "/node/v1/join", { body });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return {
    nodeId: answer.body.nodeId as NodeId,
    identity: { key: privateKeyPem, cert: answer.body.certificatePem as string },
    token,
    body,
  };
}

function reportOf(fields: Partial<Report> = {}): Report {
  return {
    session: "s1",
    revision: 1,
    full: true,
    fingerprint: {
      driver: "fake",
      accelerator: "none",
      acceleratorReason: "a test",
      cpus: 8,
      memoryMib: 16_384,
      diskGib: 100,
      gpus: 0,
      compatibility: "fake-1",
    },
    images: [],
    boxes: [],
    snapshots: [],
    goneBoxes: [],
    goneSnapshots: [],
    ...fields,
  };
}

async function place(plane: ControlPlane, nodeId: NodeId, box: { id: string; generation: number }) {
  const explanation = { summary: "a test", atMs: 0, candidates: [] };
  await transact(plane.db, "test.place", async (tx) => {
    const id = box.id as BoxId;
    const { generation } = box;
    const placed = await writePlacements(tx, [{ box: { id, generation }, nodeId, explanation }]);
    assert.ok(placed.has(id));
    await tx.query
      .updateTable("node_revisions")
      .set((eb) => ({ revision: eb("revision", "+", 1) }))
      .where("node_id", "=", nodeId)
      .execute();
    await insertEvents(tx, [], [TOPICS.node(nodeId)]);
  });
}

function boxReport(boxId: string, fields: object = {}): Report["boxes"][number] {
  return {
    boxId,
    epoch: 1,
    state: "ready",
    activity: null,
    observedGeneration: 1,
    bootSerial: 0,
    fault: null,
    notices: [],
    renewal: { renewed: ["entropy"], sshHostKey: "ssh-ed25519 AAAA", at: 5 },
    started: { how: "restored", phases: { restore: 40, renew: 10, weird: 1 } },
    build: null,
    ...fields,
  };
}

test("a join token works once, only for the name it was made for, and not after a bad request", async (t) => {
  const plane = await controlPlane(t);
  const first = await join(plane, "one");
  assert.match(first.nodeId, /^node_/);
  const again = await speak(plane, "POST", "/node/v1/join", { body: first.body });
  assert.deepEqual([again.status, again.body.code], [401, "join_token_invalid"]);
  const { token } = await plane.admin.client.nodes.createJoinToken({ name: "two" });
  const { csrPem } = await makeKeyAndCsr();
  const attempt = (fields: object) =>
    speak(plane, "POST", "/node/v1/join", {
      body: { token, name: "two", csrPem, region: "r", labels: {}, ...fields },
    });
  assert.equal((await attempt({ name: "three" })).body.code, "join_token_invalid");
  assert.equal((await attempt({ csrPem: "nonsense" })).body.errors[0].path, "body.csrPem");
  assert.equal((await attempt({ region: undefined })).body.errors[0].path, "body.region");
  // None of these has spent it.
  assert.equal((await attempt({})).status, 200);
  const { items } = await plane.admin.client.nodes.list();
  assert.deepEqual(items.map((node) => node.name).sort(), ["one", "two"]);
});

test("without a certificate of the authority, or with one of another role, nothing is heard", async (t) => {
  const plane = await controlPlane(t);
  const { nodeId } = await join(plane, "one");
  const validity = { nowMs: Date.now(), lifetimeMs: 60_000 };
  const foreign = await loadCertificateAuthority(await makeCertificateAuthority(Date.now()));
  const { privateKeyPem: key, csrPem } = await makeKeyAndCsr();
  const identities: Record<string, Identity | undefined> = {
    none: undefined,
    foreign: { key, cert: await foreign.signNodeCsr(csrPem, { nodeId, ...validity }) },
    gateway: {
      key,
      cert: await plane.authority.signGatewayCsr(csrPem, {
        name: nodeId,
        hosts: ["x"],
        ...validity,
      }),
    },
    unknown: {
      key,
      cert: await plane.authority.signNodeCsr(csrPem, { nodeId: "node_x", ...validity }),
    },
  };
  for (const [name, identity] of Object.entries(identities))
    for (const [method, path, body] of [
      ["POST", "/node/v1/report", reportOf()],
      ["GET", "/node/v1/assignments", undefined],
    ] as const) {
      const answer = await speak(plane, method, path, { body, identity });
      assert.deepEqual([answer.status, answer.body.code], [403, "node_unknown"], `${name} ${path}`);
    }
  assert.equal((await speak(plane, "GET", "/node/v1/nothing")).body.code, "route_not_found");
});

test("a gateway joins with a token of its own", async (t) => {
  const plane = await controlPlane(t);
  const { token } = await plane.admin.client.nodes.createJoinToken();
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const body = { token, name: "gw1", csrPem, hosts: ["127.0.0.1"] };
  const joined = await speak(plane, "POST", "/node/v1/join-gateway", { body });
  assert.equal(joined.status, 200);
  const identity = { key: privateKeyPem, cert: joined.body.certificatePem };
  const nobody = { boxId: "box_none", userId: null, credentialId: null, door: "ssh" };
  const woken = await speak(plane, "POST", "/node/v1/gateway/wake", { body: nobody, identity });
  assert.equal(woken.body.code, "not_found", "it is heard");
  assert.equal((await speak(plane, "GET", "/node/v1/assignments", { identity })).status, 403);
  const again = await speak(plane, "POST", "/node/v1/join-gateway", { body });
  assert.equal(again.body.code, "join_token_invalid");
});

test("an assignment wakes its node, a report makes the box run, and the user sees how it came up", async (t) => {
  const plane = await controlPlane(t);
  const { boxes, nodes } = plane.admin.client;
  const { nodeId, identity } = await join(plane, "one");
  await plane.addTemplate();
  await speak(plane, "POST", "/node/v1/report", { body: reportOf(), identity });
  assert.equal((await nodes.get("one")).reachable, true);
  const { box } = await boxes.create({ template: "default", name: "web" });
  const before = await speak(plane, "GET", "/node/v1/assignments", { identity });
  const { revision } = before.body;
  const none = await speak(plane, "GET", `/node/v1/assignments?since=${revision}&waitMs=1`, {
    identity,
  });
  assert.equal(none.status, 204);
  const waiting = speak(plane, "GET", `/node/v1/assignments?since=${revision}&waitMs=60000`, {
    identity,
  });
  const running = boxes.until("web", "running");
  await place(plane, nodeId, box);
  const woken = await waiting;
  assert.equal(woken.body.boxes[0].boxId, box.id);
  assert.deepEqual(woken.body.gateways, [{ url: "https://127.0.0.1:7303" }]);
  // Guests write what they like: it must not keep the report from being heard.
  const heard = boxReport(box.id, {
    notices: [{ code: "hook_failed", message: "a\0b\ud800", atMs: 1e300 }],
  });
  const report = reportOf({ revision: 2, full: false, boxes: [heard] });
  assert.deepEqual(await speak(plane, "POST", "/node/v1/report", { body: report, identity }), {
    status: 200,
    body: { ackRevision: 2 },
  });
  const shown = await running;
  assert.deepEqual(shown.started, {
    how: "restored",
    phasesMs: { restore: 40, renew: 10, weird: 1 },
  });
  assert.equal(shown.notices[0]?.message, "a�b�");
  assert.equal(shown.node?.name, "one");
  const metrics = plane.metrics.print();
  assert.match(metrics, /berth_box_start_seconds_count\{how="restored",phase="restore"\} 1/);
  assert.ok(!metrics.includes("weird"));
});

test("a report that builds on another session is asked to be sent whole", async (t) => {
  const plane = await controlPlane(t);
  const { identity } = await join(plane, "one");
  const report = (fields: Partial<Report>) =>
    speak(plane, "POST", "/node/v1/report", { body: reportOf(fields), identity });
  assert.equal((await report({})).status, 200);
  const lost = await report({ session: "s2", full: false });
  assert.deepEqual(
    [lost.status, lost.body.code, lost.body.retryable],
    [409, "resync_needed", true],
  );
  assert.equal((await report({ session: "s2" })).status, 200);
  assert.equal((await speak(plane, "POST", "/node/v1/report", { body: {}, identity })).status, 400);
});

function snapshotReport(fields: object): Report["snapshots"][number] {
  return {
    ...{ snapshotId: "snap_1", boxId: "box_1", epoch: 1, kind: "pause", withMemory: true },
    ...{ compatibility: "fake-1", parentId: null, createdAtMs: 1, allocatedBytes: 1 },
    ...{ manifestKey: null, storedBytes: null, progress: 0, error: null, failed: false },
    ...fields,
  };
}

test("numbers out of their range are refused by name, and nothing of such a report is stored", async (t) => {
  const plane = await controlPlane(t);
  const { identity } = await join(plane, "one");
  const send = (fields: object) =>
    speak(plane, "POST", "/node/v1/report", { body: reportOf(fields), identity });
  assert.equal((await send({})).status, 200);
  const fault = { ...{ code: "c", message: "m", retryable: true, attempts: 1 }, sinceMs: 1 };
  const wrong: [string, object][] = [
    ...[0, -1, 2.5, 1e300].map((cpus) => ["fingerprint.cpus", { cpus }] as [string, object]),
    ["fingerprint.memoryMib", { memoryMib: 0 }],
    ["fingerprint.diskGib", { diskGib: -1 }],
    ["fingerprint.gpus", { gpus: 2 ** 31 }],
    ["boxes.0.epoch", { epoch: 2 ** 31 }],
    ["boxes.0.epoch", { epoch: -1 }],
    ["boxes.0.observedGeneration", { observedGeneration: 2 ** 53 }],
    ["boxes.0.bootSerial", { bootSerial: -1 }],
    ["boxes.0.fault.sinceMs", { fault: { ...fault, sinceMs: 1e300, nextAttemptMs: null } }],
    ["boxes.0.fault.attempts", { fault: { ...fault, attempts: -1, nextAttemptMs: null } }],
    ["snapshots.0.epoch", { epoch: 2 ** 53 }],
    ["snapshots.0.progress", { progress: 1.01 }],
    ["snapshots.0.progress", { progress: -0.1 }],
    ["snapshots.0.allocatedBytes", { allocatedBytes: -1 }],
    ["snapshots.0.storedBytes", { storedBytes: 2 ** 53 }],
    ["snapshots.0.createdAtMs", { createdAtMs: 1e300 }],
  ];
  let revision = 1;
  for (const [path, fields] of wrong) {
    const part = path.startsWith("fingerprint")
      ? { fingerprint: { ...reportOf().fingerprint, ...fields } }
      : path.startsWith("boxes")
        ? { boxes: [boxReport("box_1", fields)] }
        : { snapshots: [snapshotReport(fields)] };
    revision += 1;
    const answer = await send({ revision, ...part });
    assert.deepEqual([answer.status, answer.body.errors?.[0].path], [400, `body.${path}`]);
    assert.match(answer.body.errors[0].message, /Too (small|big)|expected int/, path);
  }
  assert.equal((await plane.admin.client.nodes.get("one")).capacity?.cpus, 8);
  const allowed = { boxes: [boxReport("box_1")], snapshots: [snapshotReport({ progress: 1 })] };
  assert.equal((await send({ revision, ...allowed })).status, 200);
});

test("a good certificate gets the next one, of the same role, name and hosts, and no other", async (t) => {
  const plane = await controlPlane(t);
  const { nodeId, identity } = await join(plane, "one");
  const { token } = await plane.admin.client.nodes.createJoinToken();
  const first = await makeKeyAndCsr();
  const hosts = ["gw.example.com", "127.0.0.1"];
  const body = { token, name: "gw1", csrPem: first.csrPem, hosts };
  const joined = await speak(plane, "POST", "/node/v1/join-gateway", { body });
  const gateway = { key: first.privateKeyPem, cert: joined.body.certificatePem };
  const { privateKeyPem, csrPem } = await makeKeyAndCsr();
  const renew = (path: string, by: Identity | undefined, change: object = {}) =>
    speak(plane, "POST", `/node/v1/${path}`, { body: { csrPem, ...change }, identity: by });
  const seen = async (path: string, by: Identity, change: object = {}) => {
    const { status, body: answer } = await renew(path, by, change);
    assert.equal(status, 200, JSON.stringify(answer));
    assert.equal(answer.caPem, plane.authority.certificatePem);
    const { subject, subjectaltname, valid_from, valid_to } = new X509Certificate(
      answer.certificatePem,
    ).toLegacyObject();
    const days = (Date.parse(valid_to) - Date.parse(valid_from)) / 86_400_000;
    assert.equal(Math.round(days), 30);
    return { cert: answer.certificatePem, identity: identityOf({ subject }), subjectaltname };
  };
  const node = await seen("renew", identity, { nodeId: "node_other" });
  assert.deepEqual(node.identity, { role: "node", name: nodeId });
  const next = { key: privateKeyPem, cert: node.cert };
  const report = { body: reportOf(), identity: next };
  assert.equal((await speak(plane, "POST", "/node/v1/report", report)).status, 200);
  const door = await seen("renew-gateway", gateway, { hosts: ["evil.example.com"] });
  assert.deepEqual(door.identity, { role: "gateway", name: "gw1" });
  assert.deepEqual(hostsOf(door), hosts);
  for (const [path, by] of [
    ["renew", gateway],
    ["renew", undefined],
    ["renew-gateway", identity],
    ["renew-gateway", undefined],
  ] as const)
    assert.equal((await renew(path, by)).body.code, "node_unknown");
  const bad = await renew("renew", identity, { csrPem: "nonsense" });
  assert.equal(bad.body.errors[0].path, "body.csrPem");
  await plane.admin.client.nodes.delete("one");
  assert.equal((await renew("renew", next)).body.code, "node_unknown", "it was removed");
});

test("a removed node is heard no more, and an operator can keep boxes away from one", async (t) => {
  const plane = await controlPlane(t);
  const { nodes } = plane.admin.client;
  const { identity } = await join(plane, "one");
  assert.equal((await nodes.update("one", { schedulable: false })).schedulable, false);
  assert.equal((await nodes.get("one")).schedulable, false);
  const change = { cpuOvercommit: 4, memoryOvercommit: 1.5 };
  assert.deepEqual((await nodes.update("one", change)).overcommit, {
    cpu: 4,
    memory: 1.5,
    disk: 4,
  });
  const node = await nodes.get("one");
  assert.deepEqual([node.schedulable, node.overcommit.memory], [false, 1.5], "the rest stays");
  for (const wrong of [{}, { cpuOvercommit: 0 }, { memoryOvercommit: 65 }])
    await assert.rejects(nodes.update("one", wrong), { code: "invalid_request" });
  await assert.rejects(plane.stranger.client.nodes.update("one", change), { code: "forbidden" });
  const removed = await nodes.delete("one");
  assert.equal(removed.reachable, false);
  await assert.rejects(nodes.get("one"), { code: "not_found" });
  const report = await speak(plane, "POST", "/node/v1/report", { body: reportOf(), identity });
  assert.equal(report.body.code, "node_unknown");
  await assert.rejects(plane.stranger.client.nodes.delete("one"), { code: "forbidden" });
});

test("a node gets a host certificate only for a box that it has, in the epoch that it has", async (t) => {
  const plane = await controlPlane(t);
  const one = await join(plane, "one");
  const two = await join(plane, "two");
  await plane.addTemplate();
  const { box } = await plane.admin.client.boxes.create({ template: "default", name: "web" });
  const publicKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMyUpRdbYbWt2crMMlMhJvVe8b7cgyLJQBiPNWrkVmBW box";
  const ask = (identity: Identity, epoch: number, key = publicKey) =>
    speak(plane, "POST", "/node/v1/host-certificate", {
      body: { boxId: box.id, epoch, publicKey: key },
      identity,
    });
  assert.equal((await ask(one.identity, 1)).body.code, "not_found");
  await place(plane, one.nodeId, box);
  assert.equal((await ask(two.identity, 1)).body.code, "not_found");
  assert.equal((await ask(one.identity, 2)).body.code, "not_found");
  assert.equal((await ask(one.identity, 1, "nonsense")).body.code, "invalid_request");
  const { body } = await ask(one.identity, 1);
  assert.match(body.certificate, /^ssh-ed25519-cert-v01@openssh\.com /);
  const content = Buffer.from(body.certificate.split(" ")[1], "base64").toString("latin1");
  assert.ok(content.includes("web.berth") && content.includes(`${box.id}.berth`));
});
