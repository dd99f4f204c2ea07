// A gateway as a process. It joins once, keeps its identity and the last of its feed on disk, and so starts and serves
// also while the control plane is away.

import { join } from "node:path";
import { openEntries } from "#gateway/entries.ts";
import { openFeed } from "#gateway/feed.ts";
import { createGateway } from "#gateway/gateway.ts";
import { PlaneCalls } from "#gateway/plane-calls.ts";
import { previewDoor } from "#gateway/preview-door.ts";
import { sshBoxes } from "#gateway/ssh-boxes.ts";
import { openSshDoor } from "#gateway/ssh-door.ts";
import type { Clock } from "#lib/clock.ts";
import { readAuthority } from "./authority.ts";
import { type Config, ConfigError } from "./config.ts";
import { installationIn } from "./installation.ts";
import { keepRenewed } from "./keep-renewed.ts";
import {
  joinGateway,
  readIdentity,
  renewGateway,
  type TlsIdentityFiles,
} from "./node-api-client.ts";
import type { RoleContext, RunningRole } from "./role.ts";
import { openSshHostKey } from "./ssh-host-key.ts";

export interface RunningGateway extends RunningRole {
  readonly clientPort: number;
  readonly nodePort: number;
}

export async function startGateway(context: RoleContext): Promise<RunningGateway> {
  const { config, clock, log } = context;
  const stop = new AbortController();
  // Renewed in place: every new connection reads it.
  const identity = { ...(await ensureIdentity(context)) };
  const plane = new PlaneCalls({ urls: [config.nodeApiUrl], tls: identity, clock });
  const { gatewayUrl: clientUrl, gatewayNodeUrl: nodeUrl, sshAddress } = config;
  const feed = await openFeed({
    plane,
    request: { clientUrl, nodeUrl, sshAddress },
    path: join(gatewayDir(config), "feed.ndjson"),
    clock,
    log,
  });
  const hosts = sshHosts(config);
  const certify = (line: string) => plane.hostCertificate(line, hosts);
  const keyOptions = { directory: gatewayDir(config), certify, clock, log, signal: stop.signal };
  const entries = await openEntries({
    send: (batch) => plane.entries(batch),
    path: join(gatewayDir(config), "entries.ndjson"),
    clock,
    log,
  });
  const gateway = await createGateway({
    noteEntry: entries.note,
    nodeDoor: { ...config.gatewayNodeListen, tls: identity },
    clientDoor: { ...config.gatewayListen, url: clientUrl },
    known: feed.known,
    askWake: (wanted) => plane.wake(wanted),
    preview: (base) =>
      previewDoor({
        ...base,
        renewPass: (pass) => plane.renewPass(pass),
        portsOf: (boxId) => plane.ports(boxId),
      }),
    ssh: async (base) =>
      openSshDoor({
        ...config.sshListen,
        hostKey: await openSshHostKey(keyOptions),
        boxes: sshBoxes(base),
        clock,
        log,
      }),
    clock,
    log,
  });
  const renew = async () => {
    const path = identityPath(config);
    Object.assign(identity, await renewGateway(path, identity, config.nodeApiUrl));
    gateway.useTls(identity);
  };
  const certificatePem = () => identity.certificatePem;
  const renewing = keepRenewed({ certificatePem, renew }, context, stop.signal);
  const { clientPort, nodePort, sshPort } = gateway;
  log.info({ clientPort, nodePort, sshPort }, "serving");
  return {
    clientPort,
    nodePort,
    close: async () => {
      stop.abort();
      await gateway.close();
      await entries.close();
      await feed.close();
      await renewing;
    },
  };
}

/** True when the gateway cannot start without a join token. */
export async function gatewayMustJoin(config: Config, clock: Clock): Promise<boolean> {
  return (await readIdentity(identityPath(config), gatewayHosts(config), clock.nowMs())) === null;
}

async function ensureIdentity(context: RoleContext): Promise<TlsIdentityFiles> {
  const { config, clock } = context;
  const known = await readIdentity(identityPath(config), gatewayHosts(config), clock.nowMs());
  if (known) return known;
  const { joinToken } = config;
  if (!joinToken)
    throw new ConfigError(
      "this gateway has not joined yet, or its certificate ran out while it was away: set BERTH_JOIN_TOKEN to what `berth node join-token` prints",
    );
  return await joinGateway({
    nodeApiUrl: config.nodeApiUrl,
    caPem: await readAuthority(config),
    token: joinToken,
    name: `gateway-${config.nodeName}`,
    hosts: gatewayHosts(config),
    identityPath: identityPath(config),
  });
}

function gatewayDir(config: Config): string {
  return installationIn(config.stateDir).gatewayDir;
}

function identityPath(config: Config): string {
  return join(gatewayDir(config), "identity.json");
}

/** Names under which nodes dial the node door. */
function gatewayHosts(config: Config): string[] {
  const named = new URL(config.gatewayNodeUrl).hostname.replace(/^\[|\]$/g, "");
  return [...new Set([named, "localhost", "127.0.0.1"])];
}

/** Host names that clients reach the SSH door under; a certificate cannot name an IPv6 address. */
function sshHosts({ sshAddress, gatewayUrl }: Config): string[] {
  const named = [sshAddress.replace(/:\d+$/, ""), new URL(gatewayUrl).hostname];
  return [...new Set([...named, "localhost", "127.0.0.1"])].filter((host) => !host.includes(":"));
}
