// What a gateway asks of the control plane, over mTLS; any replica may answer.

import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { GatewayEntriesRequest } from "#contract/gateway-entries.ts";
import {
  boxPortsAnswerSchema,
  ENDED_CREDENTIALS_MAX,
  endedCredentialsAnswerSchema,
  type FeedRequest,
  gatewayHostCertificateAnswerSchema,
  previewPassAnswerSchema,
  type WakeRequest,
  wakeAnswerSchema,
} from "#contract/gateway-feed.ts";
import type { Phase } from "#domain/box.ts";
import type { Clock } from "#lib/clock.ts";
import { withDeadline } from "#lib/deadline.ts";
import type { TlsFiles } from "./node-door.ts";

export interface PlaneCallsOptions {
  /** Replicas of the node API: https://… */
  readonly urls: readonly string[];
  readonly tls: TlsFiles;
  readonly clock: Clock;
}

/** The control plane answered, and not with what was asked for. */
export class PlaneRefusal extends Error {
  override readonly name = "PlaneRefusal";
  readonly status: number;
  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

const CALL_TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
const KEEPALIVE_MS = 5000;

export class PlaneCalls {
  readonly #options: PlaneCallsOptions;
  /** Which replica is asked: the one of the feed, or the next when it does not answer. */
  #turn = 0;

  constructor(options: PlaneCallsOptions) {
    this.#options = options;
  }

  /** Asks that a box at rest should run. Throws PlaneRefusal. */
  async wake(wanted: WakeRequest): Promise<Phase> {
    return wakeAnswerSchema.parse(await this.#ask("wake", wanted)).phase;
  }

  /** Ports of a box where something listens. */
  async ports(boxId: string): Promise<readonly number[]> {
    return boxPortsAnswerSchema.parse(await this.#ask("ports", { boxId })).ports;
  }

  /** Those of them that hold no more. */
  async endedCredentials(credentialIds: readonly string[]): Promise<readonly string[]> {
    const ended: string[] = [];
    for (let at = 0; at < credentialIds.length; at += ENDED_CREDENTIALS_MAX) {
      const some = { credentialIds: credentialIds.slice(at, at + ENDED_CREDENTIALS_MAX) };
      const answer = endedCredentialsAnswerSchema.parse(await this.#ask("ended-credentials", some));
      ended.push(...answer.credentialIds);
    }
    return ended;
  }

  /** Who came into boxes. Throws when they were not taken. */
  async entries(batch: GatewayEntriesRequest): Promise<void> {
    await this.#ask("entries", batch);
  }

  /** A pass that is half over for a fresh one. Throws PlaneRefusal when it holds no more. */
  async renewPass(pass: string): Promise<string> {
    return previewPassAnswerSchema.parse(await this.#ask("preview-pass", { pass })).pass;
  }

  /** The certificate (a line) of the SSH door's host key. */
  async hostCertificate(publicKey: string, hosts: readonly string[]): Promise<string> {
    const answer = await this.#ask("host-certificate", { publicKey, hosts });
    return gatewayHostCertificateAnswerSchema.parse(answer).certificate;
  }

  /** The feed, for as long as it lasts. Each call asks the next replica. */
  async feed(who: FeedRequest, signal: AbortSignal): Promise<IncomingMessage> {
    this.#turn += 1;
    const waiting = new AbortController();
    const answer = await withDeadline(
      this.#options.clock,
      CALL_TIMEOUT_MS,
      () => this.#post("feed", who, AbortSignal.any([signal, waiting.signal])),
      () => new Error("the control plane does not answer"),
    ).catch((error: unknown) => {
      waiting.abort();
      throw error;
    });
    if (answer.statusCode !== 200) throw await refusalOf(answer);
    return answer;
  }

  async #ask(name: string, body: object): Promise<unknown> {
    const attempt = () =>
      withDeadline(
        this.#options.clock,
        CALL_TIMEOUT_MS,
        async (signal) => {
          const answer = await this.#post(name, body, signal);
          if (answer.statusCode !== 200) throw await refusalOf(answer);
          return JSON.parse(await textOf(answer)) as unknown;
        },
        () => new Error("the control plane does not answer"),
      );
    for (let left = this.#options.urls.length; ; left -= 1) {
      try {
        return await attempt();
      } catch (error) {
        if (left <= 1 || (error instanceof PlaneRefusal && error.status < 500)) throw error;
        this.#turn += 1;
      }
    }
  }

  #post(name: string, body: object, signal: AbortSignal): Promise<IncomingMessage> {
    const { urls, tls } = this.#options;
    const url = `${urls[this.#turn % urls.length]}/node/v1/gateway/${name}`;
    return new Promise((resolve, reject) => {
      const sent = request(
        url,
        {
          method: "POST",
          agent: false,
          signal,
          ca: tls.caPem,
          cert: tls.certificatePem,
          key: tls.privateKeyPem,
          minVersion: "TLSv1.3",
          headers: { "content-type": "application/json" },
        },
        resolve,
      );
      sent.on("socket", (socket) => socket.setKeepAlive(true, KEEPALIVE_MS));
      sent.on("error", reject);
      sent.end(JSON.stringify(body));
    });
  }
}

async function refusalOf(answer: IncomingMessage): Promise<PlaneRefusal> {
  const text = await textOf(answer);
  const status = answer.statusCode ?? 0;
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail === "string") return new PlaneRefusal(status, detail);
  } catch {
    // Not a problem of ours: something else answered.
  }
  return new PlaneRefusal(status, `the control plane answered ${status}`);
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error("the control plane's answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
