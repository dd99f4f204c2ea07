// A gateway as a process. It joins once, keeps its identity and the last ticket keys on disk, and so starts and serves
// also while the control plane is away.

import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FeedFull } from "#contract/gateway-feed.ts";
import { createGateway } from "#gateway/gateway.ts";
import { KnownState } from "#gateway/known.ts";
import type { Clock } from "#lib/clock.ts";
import { readAuthority } from "./authority.ts";
import { type Config, ConfigError } from "./config.ts";
import { installationIn } from "./installation.ts";
import { keepRenewed } from "./keep-renewed.ts";
import {
  fetchTicketKeys,
  joinGateway,
  readIdentity,
  renewGateway,
  type TlsIdentityFiles,
} from "./node-api-client.ts";
import type { RoleContext, RunningRole } from "./role.ts";

const KEYS_REFRESH_MS = 60_000;
const RETRY_MS = 500;

export interface RunningGateway extends RunningRole {
  readonly clientPort: number;
  readonly nodePort: number;
}

export async function startGateway(context: RoleContext): Promise<RunningGateway> {
  const { config, clock, log } = context;
  const stop = new AbortController();
  // Renewed in place: every new connection reads it.
  const identity = { ...(await ensureIdentity(context)) };
  const keysPath = join(gatewayDir(config), "ticket-keys.json");
  const kept = await readFile(keysPath, "utf8").then(
    (text) => JSON.parse(text) as string[],
    () => null,
  );
  const refresh = async () => {
    const keys = await fetchTicketKeys(config.nodeApiUrl, identity);
    await writeFile(`${keysPath}.new`, JSON.stringify(keys));
    await rename(`${keysPath}.new`, keysPath);
    return keys;
  };
  const ticketKeys = kept ?? (await untilItWorks(refresh, context));
  const known = new KnownState(onlyKeys(ticketKeys), clock.nowMs());
  const gateway = await createGateway({
    nodeDoor: { ...config.gatewayNodeListen, tls: identity },
    clientDoor: config.gatewayListen,
    known,
    askWake: async () => "resuming",
    clock,
    log,
  });
  const refreshing = (async () => {
    while (!stop.signal.aborted) {
      await refresh().then(
        (keys) => known.apply(onlyKeys(keys), clock.nowMs()),
        (err: unknown) =>
          log.warn({ err }, "ticket keys could not be refreshed; the last ones hold"),
      );
      await clock.sleep(KEYS_REFRESH_MS, stop.signal).catch(() => {});
    }
  })();
  const renew = async () => {
    const path = identityPath(config);
    Object.assign(identity, await renewGateway(path, identity, config.nodeApiUrl));
    gateway.useTls(identity);
  };
  const certificatePem = () => identity.certificatePem;
  const renewing = keepRenewed({ certificatePem, renew }, context, stop.signal);
  log.info({ clientPort: gateway.clientPort, nodePort: gateway.nodePort }, "serving");
  return {
    clientPort: gateway.clientPort,
    nodePort: gateway.nodePort,
    close: async () => {
      stop.abort();
      await gateway.close();
      await refreshing;
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

function onlyKeys(ticketKeysPem: string[]): FeedFull {
  return {
    kind: "full",
    settings: {
      ...{ ticketKeysPem, sshUserCa: "", sshHostCa: "" },
      ...{ dashboardOrigin: "", previewOrigin: null },
    },
    ...{ boxes: [], previews: [], goneLabels: [], keys: [], revocations: [] },
  };
}

async function untilItWorks<T>(attempt: () => Promise<T>, { clock, log }: RoleContext): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (err) {
      log.warn({ err }, "the control plane cannot be reached; trying again");
      await clock.sleep(RETRY_MS);
    }
  }
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
