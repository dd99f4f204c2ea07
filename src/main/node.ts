// The agent of this host as a process: driver, object store, line to the control plane, links to gateways.

import { mkdir, statfs } from "node:fs/promises";
import type { Driver } from "#drivers/driver.ts";
import { createFakeDriver } from "#drivers/fake/driver.ts";
import { FakeHost } from "#drivers/fake/host.ts";
import { createQemuDriver } from "#drivers/qemu/driver.ts";
import { ensureReflinkDirectory } from "#drivers/qemu/reflink-fs.ts";
import { BASES, baseImageDigest } from "#images/recipe.ts";
import type { Clock } from "#lib/clock.ts";
import { Agent } from "#node/agent.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { createHttpsTransport } from "#node/https-transport.ts";
import { joinNode, type NodeIdentity, readNodeIdentity, renewNode } from "#node/identity.ts";
import { runAgent } from "#node/run-agent.ts";
import { workerTransfers } from "#node/transfers.ts";
import { openDirectoryStore } from "#objects/directory-store.ts";
import { isExpired } from "#trust/x509.ts";
import { readAuthority } from "./authority.ts";
import { type Config, ConfigError } from "./config.ts";
import { installationIn } from "./installation.ts";
import { keepRenewed } from "./keep-renewed.ts";
import { nodeImages, noImages } from "./node-images.ts";
import type { RoleContext, RunningRole } from "./role.ts";

const GIB = 1024 ** 3;
const DISK_SHARE = 0.9;
const DISK_GIB_MIN = 16;

export async function startNode(context: RoleContext): Promise<RunningRole> {
  const { config, clock, log, failpoints } = context;
  const stop = new AbortController();
  // Renewed in place: every new connection reads it.
  const identity = { ...(await ensureIdentity(config, clock)) };
  const images = config.driver === "fake" ? noImages() : nodeImages(context);
  // The driver finds out how to run boxes by booting a guest, for which it needs an image.
  if ((await images.list()).length === 0)
    await images.ensure(await baseImageDigest(BASES[0] ?? ""), (step) =>
      log.info({ step }, "image"),
    );
  const driver = await openDriver(context);
  const store = await openDirectoryStore({ root: identity.objectStore.path, failpoints });
  const transport = createHttpsTransport(config.nodeApiUrl, identity);
  const agent = new Agent({
    driver,
    transport,
    transfers: workerTransfers(store, failpoints),
    images,
    ...(config.driver === "fake" ? {} : { freeDiskGib: () => freeDiskGib(config) }),
    clock,
    log,
    failpoints,
  });
  const links = new GatewayLinks({ driver, tls: identity, clock, log });
  agent.subscribe(() => {
    links.setGateways(agent.gateways ?? []);
    links.refresh();
  });
  const running = runAgent(agent, { clock, log }, stop.signal);
  // A host on which the driver cannot be used is of no use: the supervisor tries again.
  running.catch((err: unknown) => {
    log.error({ err }, "the agent ended");
    process.exit(1);
  });
  const renew = async () => {
    const { agentDir } = installationIn(config.stateDir);
    Object.assign(identity, await renewNode(agentDir, identity, config.nodeApiUrl));
  };
  const certificatePem = () => identity.certificatePem;
  const renewing = keepRenewed({ certificatePem, renew }, context, stop.signal);
  log.info({ nodeId: identity.nodeId, driver: config.driver }, "running");
  return {
    close: async () => {
      stop.abort();
      await running;
      await renewing;
      await links.close();
      await transport.close();
      await driver.close();
    },
  };
}

/** The node's directory may be a file system in a file, which is as full as the one that it is on. */
async function freeDiskGib(config: Config): Promise<number> {
  const free = [config.stateDir, installationIn(config.stateDir).nodeDir].map(async (directory) => {
    const { bavail, bsize } = await statfs(directory);
    return Math.floor((bavail * bsize) / GIB);
  });
  return Math.min(...(await Promise.all(free)));
}

/** True when the agent cannot start without a join token. */
export async function nodeMustJoin(config: Config, clock: Clock): Promise<boolean> {
  return (await readGoodIdentity(config, clock)) === null;
}

/** Null: it never joined, or was away for so long that its certificate ran out. */
async function readGoodIdentity(config: Config, clock: Clock): Promise<NodeIdentity | null> {
  const identity = await readNodeIdentity(installationIn(config.stateDir).agentDir);
  return identity && !isExpired(identity.certificatePem, clock.nowMs()) ? identity : null;
}

async function ensureIdentity(config: Config, clock: Clock): Promise<NodeIdentity> {
  const { agentDir } = installationIn(config.stateDir);
  const known = await readGoodIdentity(config, clock);
  if (known) return known;
  const { joinToken } = config;
  if (!joinToken)
    throw new ConfigError(
      "this node has not joined yet, or its certificate ran out while it was away: set BERTH_JOIN_TOKEN to what `berth node join-token` prints",
    );
  return await joinNode(agentDir, {
    nodeApiUrl: config.nodeApiUrl,
    caPem: await readAuthority(config),
    token: joinToken,
    name: config.nodeName,
    region: config.region,
    labels: config.labels,
  });
}

async function openDriver(context: RoleContext): Promise<Driver> {
  const { config, clock, run, log, failpoints } = context;
  const { nodeDir } = installationIn(config.stateDir);
  if (config.driver === "fake") {
    await mkdir(nodeDir, { recursive: true });
    return createFakeDriver(new FakeHost(nodeDir), { clock, failpoints });
  }
  const { bavail, bsize } = await statfs(config.stateDir);
  const sizeGib = Math.max(DISK_GIB_MIN, Math.floor((bavail * bsize * DISK_SHARE) / GIB));
  const directory = await ensureReflinkDirectory(nodeDir, sizeGib, run);
  log.info({ nodeDir, ...directory }, "the node's directory copies by reference");
  return await createQemuDriver({
    stateDir: nodeDir,
    imagesDir: config.imageCacheDir,
    clock,
    run,
    log,
    failpoints,
  });
}
