// The certificates of nodes and gateways open what is theirs on the nodes' listener, and no operation of users anywhere;
// users' tokens open nothing there.

import assert from "node:assert/strict";
import { request } from "node:https";
import { test } from "node:test";
import type { Route } from "#contract/route.ts";
import { ROUTES } from "#contract/routes.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { makeKeyAndCsr } from "#trust/x509.ts";

type Peer = "node" | "gateway" | "whoever has a token in the body";

/** By hand: whose each route of the nodes' listener is, with a body that would be taken. */
const NODE_ROUTES: Readonly<Record<string, { readonly for: Peer; readonly body?: object }>> = {
  "POST /node/v1/report": {
    for: "node",
    body: {
      ...{ session: "s1", revision: 1, full: false, fingerprint: null, images: [], boxes: [] },
      ...{ snapshots: [], goneBoxes: [], goneSnapshots: [] },
    },
  },
  "GET /node/v1/assignments": { for: "node" },
  "POST /node/v1/host-certificate": {
    for: "node",
    body: { boxId: "box_x", epoch: 1, publicKey: "ssh-ed25519 AAAA" },
  },
  "POST /node/v1/renew": { for: "node", body: { csrPem: "CSR" } },
  "POST /node/v1/renew-gateway": { for: "gateway", body: { csrPem: "CSR" } },
  "POST /node/v1/join": { for: "whoever has a token in the body" },
  "POST /node/v1/join-gateway": { for: "whoever has a token in the body" },
  "POST /node/v1/gateway/feed": {
    for: "gateway",
    body: { clientUrl: "http://x.test", nodeUrl: "https://x.test", sshAddress: null },
  },
  "POST /node/v1/gateway/wake": {
    for: "gateway",
    body: { boxId: "box_x", userId: null, credentialId: null, door: "ssh" },
  },
  "POST /node/v1/gateway/ports": { for: "gateway", body: { boxId: "box_x" } },
  "POST /node/v1/gateway/ended-credentials": { for: "gateway", body: { credentialIds: ["tok_x"] } },
  "POST /node/v1/gateway/preview-pass": { for: "gateway", body: { pass: "x" } },
  "POST /node/v1/gateway/entries": { for: "gateway", body: { entries: [], dropped: 0 } },
  "POST /node/v1/gateway/host-certificate": {
    for: "gateway",
    body: { publicKey: "ssh-ed25519 AAAA", hosts: ["x.test"] },
  },
};

interface Identity {
  readonly key: string;
  readonly cert: string;
}

function speak(
  plane: ControlPlane,
  method: string,
  path: string,
  { body, identity, token }: { body?: object; identity?: Identity; token?: string },
): Promise<{ status: number; code: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(body ? { "content-type": "application/json" } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    };
    const ca = plane.authority.certificatePem;
    const options = { method, agent: false, ca, headers, ...identity };
    const sent = request(new URL(path, plane.nodeUrl), options, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          code: text.startsWith("{") ? JSON.parse(text).code : "",
        }),
      );
    });
    sent.on("error", reject);
    sent.end(body ? JSON.stringify(body) : "");
  });
}

async function identities(plane: ControlPlane) {
  const { privateKeyPem: key, csrPem } = await makeKeyAndCsr();
  const validity = { nowMs: Date.now(), lifetimeMs: 600_000 };
  const signed = plane.authority;
  const gateway = { name: "gw", hosts: ["x"], ...validity };
  return {
    node: { key, cert: await signed.signNodeCsr(csrPem, { nodeId: "node_x", ...validity }) },
    gateway: { key, cert: await signed.signGatewayCsr(csrPem, gateway) },
  };
}

/** As fastify prints its tree of routes, flat. */
function registered(plane: ControlPlane): string[] {
  const lines = plane.nodeApi.app.printRoutes({ commonPrefix: false }).split("\n");
  const path: string[] = [];
  return lines.flatMap((line) => {
    const found = /^([│ ]*)[├└]── (\S+) \(([^)]+)\)/.exec(line);
    if (!found) return [];
    const depth = (found[1] ?? "").length / 4;
    path.splice(depth);
    path[depth] = found[2] ?? "";
    return (found[3] ?? "")
      .split(", ")
      .filter((method) => method !== "HEAD")
      .map((method) => `${method} ${path.slice(0, depth + 1).join("")}`);
  });
}

test("every route of the nodes' listener says whose it is", async (t) => {
  const plane = await controlPlane(t);
  const found = registered(plane).filter((route) => route.includes("/node/"));
  assert.ok(found.length > 8, plane.nodeApi.app.printRoutes({ commonPrefix: false }));
  assert.deepEqual(found.sort(), Object.keys(NODE_ROUTES).sort());
});

test("a certificate of the other kind, none, and a user's token open none of them", async (t) => {
  const plane = await controlPlane(t);
  const known = await identities(plane);
  for (const [route, { for: peer, body }] of Object.entries(NODE_ROUTES)) {
    if (peer !== "node" && peer !== "gateway") continue;
    const [method = "", path = ""] = route.split(" ");
    const other = known[peer === "node" ? "gateway" : "node"];
    for (const [what, credential] of Object.entries({
      other: { identity: other },
      none: {},
      token: { token: plane.admin.token },
    })) {
      const answer = await speak(plane, method, path, { ...(body ? { body } : {}), ...credential });
      assert.deepEqual([answer.status, answer.code], [403, "node_unknown"], `${what} ${route}`);
    }
  }
});

test("no operation of users is there for a certificate, or for a token on the nodes' listener", async (t) => {
  const plane = await controlPlane(t);
  const { node, gateway } = await identities(plane);
  for (const { method, path } of ROUTES as readonly Route[]) {
    const url = `/v1${path.replaceAll(/\{\w+\}/g, "x")}`;
    for (const credential of [
      { identity: node },
      { identity: gateway },
      { token: plane.admin.token },
    ]) {
      const { status, code } = await speak(plane, method, url, credential);
      assert.deepEqual([status, code], [404, "route_not_found"], `${method} ${url}`);
    }
  }
});
