// A gateway as the control plane sees one: a certificate, requests, and a feed whose lines are applied as they come.

import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { FeedLine } from "#contract/gateway-feed.ts";
import { feedLines } from "#gateway/feed-lines.ts";
import { KnownState } from "#gateway/known.ts";
import { makeKeyAndCsr } from "#trust/x509.ts";
import type { ControlPlane } from "./control-plane.ts";

const GENEROUS_MS = 120_000;

export interface Feed {
  readonly known: KnownState;
  /** Of every line, in order. */
  readonly kinds: FeedLine["kind"][];
  /** Resolves when the condition holds; fails after a generous time. */
  until(what: string, condition: (known: KnownState) => boolean): Promise<void>;
  /** Resolves when the control plane has ended it. */
  readonly ended: Promise<void>;
  close(): void;
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into any answer.
  readonly body: any;
}

export class GatewayPeer {
  readonly #plane: ControlPlane;
  readonly #identity: { key: string; cert: string };
  readonly name: string;

  constructor(plane: ControlPlane, name: string, identity: { key: string; cert: string }) {
    this.#plane = plane;
    this.#identity = identity;
    this.name = name;
  }

  async ask(path: string, body: unknown, url = this.#plane.nodeUrl): Promise<Answer> {
    const response = await this.#post(path, body, url);
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
    return { status: response.statusCode ?? 0, body: text === "" ? null : JSON.parse(text) };
  }

  /** Resolves after the first line. */
  async openFeed(url = this.#plane.nodeUrl): Promise<Feed> {
    const who = {
      clientUrl: `http://${this.name}.test`,
      nodeUrl: `https://${this.name}.test`,
      sshAddress: `${this.name}.test:22`,
    };
    const response = await this.#post("feed", who, url);
    assert.equal(response.statusCode, 200);
    response.on("error", () => {});
    const lines = feedLines(response, () => {});
    const first = await lines.next();
    assert.ok(!first.done && first.value.kind === "full");
    const known = new KnownState(first.value, Date.now());
    const kinds: FeedLine["kind"][] = ["full"];
    const waiters = new Set<() => void>();
    const ended = (async () => {
      for await (const line of lines) {
        known.apply(line, Date.now());
        kinds.push(line.kind);
        for (const wake of waiters) wake();
      }
    })().catch(() => {});
    return {
      known,
      kinds,
      ended,
      until: async (what, condition) => {
        const timer = AbortSignal.timeout(GENEROUS_MS);
        while (!condition(known)) {
          assert.ok(!timer.aborted, `the feed never told: ${what}`);
          await new Promise<void>((resolve) => {
            const wake = () => {
              waiters.delete(wake);
              resolve();
            };
            waiters.add(wake);
            timer.addEventListener("abort", wake, { once: true });
          });
        }
      },
      close: () => response.destroy(),
    };
  }

  #post(path: string, body: unknown, url: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = request(
        `${url}/node/v1/gateway/${path}`,
        {
          method: "POST",
          agent: false,
          ca: this.#plane.authority.certificatePem,
          ...this.#identity,
          headers: { "content-type": "application/json" },
        },
        resolve,
      );
      sent.on("error", reject);
      sent.end(JSON.stringify(body));
    });
  }
}

export async function gatewayPeer(plane: ControlPlane, name = "gw"): Promise<GatewayPeer> {
  const { privateKeyPem: key, csrPem } = await makeKeyAndCsr();
  const validity = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const cert = await plane.authority.signGatewayCsr(csrPem, { name, hosts: ["x"], ...validity });
  return new GatewayPeer(plane, name, { key, cert });
}

export async function nodePeer(plane: ControlPlane): Promise<GatewayPeer> {
  const { privateKeyPem: key, csrPem } = await makeKeyAndCsr();
  const validity = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const cert = await plane.authority.signNodeCsr(csrPem, { nodeId: "node_x", ...validity });
  return new GatewayPeer(plane, "node_x", { key, cert });
}
