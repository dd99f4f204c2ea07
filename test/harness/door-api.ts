// The few routes of the API that the door commands of the CLI call, for one box; with real SSH
// authorities and real tickets.

import { createServer, type IncomingMessage } from "node:http";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  signHostCertificate,
  signUserCertificate,
} from "#trust/ssh-certificates.ts";
import { BOX, type Doors } from "./doors.ts";

export interface DoorApi {
  readonly url: string;
  readonly token: string;
  readonly userCaLine: string;
  phase: "running" | "paused";
  /** Intents that were asked for: "resume", …. */
  readonly asked: string[];
  hostCertificate(publicKeyLine: string): string;
  /** Nobody answers. */
  isAway: boolean;
  close(): Promise<void>;
}

const TOKEN = "berth_test";
const NAME = "web";
const MINUTE_MS = 60_000;
/** First in every list of gateways, so that each command passes one over that does not answer. */
const DEAD_GATEWAY = "http://127.0.0.1:9";

export async function openDoorApi(doors: Doors): Promise<DoorApi> {
  const userCa = loadSshAuthority(makeSshAuthorityKey(), "user-ca");
  const hostCa = loadSshAuthority(makeSshAuthorityKey(), "host-ca");
  const validity = () => ({
    notBeforeMs: Date.now() - MINUTE_MS,
    notAfterMs: Date.now() + 5 * MINUTE_MS,
  });
  const asked: string[] = [];
  const api = { phase: "running" as "running" | "paused", isAway: false };
  const box = () => ({
    id: BOX,
    name: NAME,
    phase: api.phase,
    desired: api.phase,
    reason: null,
    fault: null,
    snapshot: null,
  });
  const answer = async (request: IncomingMessage): Promise<[number, unknown]> => {
    const { pathname } = new URL(request.url ?? "", "http://api");
    const [, ref, verb] = /^\/v1\/boxes\/([^/]+)(?:\/(.*))?$/.exec(pathname) ?? [];
    if (request.headers.authorization !== `Bearer ${TOKEN}`)
      return [401, problem(401, "unauthenticated")];
    if (ref !== BOX && ref !== NAME) return [404, problem(404, "not_found")];
    const body = JSON.parse((await readAll(request)) || "{}");
    if (verb === "resume" || verb === "start") {
      asked.push(verb);
      api.phase = "running";
      return [202, { box: box(), operation: {} }];
    }
    if (verb === "wait")
      return [200, { reached: api.phase === "running", hopeless: false, box: box() }];
    if (verb === "tickets")
      return [
        201,
        {
          ticket: await doors.mint({ ports: body.ports ?? "any" }),
          gatewayUrl: doors.gatewayUrl,
          gatewayUrls: [DEAD_GATEWAY, doors.gatewayUrl],
          boxId: BOX,
          epoch: 1,
          expiresAt: new Date(Date.now() + 5 * MINUTE_MS).toISOString(),
        },
      ];
    if (verb === "ssh-certificates")
      return [
        201,
        {
          certificate: signUserCertificate(userCa, {
            publicKeyLine: body.publicKey,
            keyId: "usr_test",
            principals: [BOX],
            ...validity(),
          }),
          user: "dev",
          hostName: `${NAME}.berth`,
          knownHosts: knownHostsLine(hostCa.publicKeyLine, "*.berth"),
          expiresAt: new Date(Date.now() + 5 * MINUTE_MS).toISOString(),
        },
      ];
    return [200, box()];
  };
  const server = createServer((request, response) => {
    if (api.isAway) return request.socket.destroy();
    answer(request).then(([status, body]) => {
      const type = status >= 400 ? "application/problem+json" : "application/json";
      response.writeHead(status, { "content-type": type }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    token: TOKEN,
    userCaLine: userCa.publicKeyLine,
    get phase() {
      return api.phase;
    },
    set phase(phase) {
      api.phase = phase;
    },
    get isAway() {
      return api.isAway;
    },
    set isAway(isAway) {
      api.isAway = isAway;
    },
    asked,
    hostCertificate: (publicKeyLine) =>
      signHostCertificate(hostCa, {
        publicKeyLine,
        keyId: BOX,
        principals: [`${NAME}.berth`, `${BOX}.berth`],
        ...validity(),
      }),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function problem(status: number, code: string) {
  return {
    type: "",
    title: code,
    status,
    code,
    detail: `It is ${code}.`,
    retryable: false,
    requestId: "r",
  };
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}
