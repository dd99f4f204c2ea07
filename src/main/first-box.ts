// From running processes to a first box: the base image, the default template, the box. Each is found when it is
// there already.

import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { CliError } from "#cli/exit.ts";
import type { Progress } from "#cli/progress.ts";
import type { Session } from "#cli/session.ts";
import { readDefinition, waitForBuild } from "#cli/templates.ts";
import { duration } from "#cli/terminal.ts";
import { waitForBoxes } from "#cli/waiting.ts";
import { ensureBaseImage } from "#images/build.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { ApiError } from "#sdk/api-error.ts";
import { type BerthClient, type Box, createClient } from "#sdk/client.ts";
import { ensureCredentials } from "./admin-token.ts";
import type { Address, Config } from "./config.ts";
import { logPath, recordPath } from "./installation.ts";
import { readLiving } from "./process-record.ts";
import type { Installed } from "./settings.ts";

const FIRST_BOX = "first";
const DEFAULT_TEMPLATE = "default";
const DEFAULT_TEMPLATE_FILE = fileURLToPath(
  new URL("../../templates/default.yaml", import.meta.url),
);
const DEFAULT_BASE = "debian-12";
const POLL_MS = 100;
const UP_TIMEOUT_MS = 3 * 60_000;
/** A process that the supervisor could not keep alive for this long will not come up by itself. */
const DEAD_TIMEOUT_MS = 30_000;
const BUILD_TIMEOUT_MS = 60 * 60_000;
const BOX_TIMEOUT_MS = 15 * 60_000;
const LOG_LINES = 8;

interface Part {
  readonly name: string;
  readonly process: string;
  isUp(client: BerthClient): Promise<boolean>;
}

/** Until the API answers, the gateway's doors are open, and the node of this machine is reachable. */
export async function waitUntilUp(
  session: Session,
  installed: Installed,
  progress: Progress,
): Promise<void> {
  const supervisor = await readLiving(recordPath(installed.installation, "supervisor"));
  const startedAt = supervisor?.startedAt ?? "";
  const parts: readonly Part[] = [
    {
      name: "control plane",
      process: "server",
      isUp: async (client) => Boolean(await client.system.get()),
    },
    {
      name: "gateway",
      process: "gateway",
      isUp: async () =>
        (await isListening(installed.config.gatewayListen)) &&
        (await isListening(installed.config.sshListen)),
    },
    {
      name: "node",
      process: "node",
      // What it reported before this start says nothing about now.
      isUp: async (client) =>
        (await client.nodes.list({ limit: 200 })).items.some(
          (node) =>
            node.name === installed.config.nodeName &&
            node.reachable &&
            (node.lastReportAt ?? "") >= startedAt,
        ),
    },
  ];
  const credentials = await ensureCredentials(installed.config);
  const client = createClient({ ...credentials, retries: 0 });
  for (const part of parts) await waitForPart(part, { session, installed, progress, client });
}

async function waitForPart(
  part: Part,
  at: { session: Session; installed: Installed; progress: Progress; client: BerthClient },
): Promise<void> {
  const { clock, interrupted } = at.session.terminal;
  const line = at.progress.line(part.name);
  line.update("starting");
  const startedMs = clock.monotonicMs();
  const deadlineMs = startedMs + UP_TIMEOUT_MS;
  let aliveMs = startedMs;
  for (;;) {
    const isUp = await part.isUp(at.client).catch((error: unknown) => {
      if (error instanceof ApiError && error.retryable) return false;
      throw error;
    });
    if (isUp) break;
    const nowMs = clock.monotonicMs();
    if (await readLiving(recordPath(at.installed.installation, part.process))) aliveMs = nowMs;
    if (nowMs > deadlineMs || nowMs - aliveMs > DEAD_TIMEOUT_MS) {
      line.fail("does not start");
      const path = logPath(at.installed.installation, part.process);
      throw new CliError(
        `the ${part.name} is not up after ${duration(nowMs - startedMs)}. Its log ends:\n${await endOf(path)}`,
        { next: `\nThe whole log is ${path}; \`berth doctor\` checks this machine.` },
      );
    }
    await clock.sleep(POLL_MS, interrupted);
  }
  line.done("up");
}

/** Nobody else listens there: `up` has looked before it started anything. */
function isListening({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

export async function buildImage(config: Config, progress: Progress): Promise<void> {
  const line = progress.line("base image");
  line.update(`looking for ${DEFAULT_BASE}`);
  try {
    await ensureBaseImage(DEFAULT_BASE, {
      cacheDir: config.imageCacheDir,
      run,
      log: silentLog,
      onProgress: (message) => line.update(message),
    });
    line.done("ready");
  } catch (error) {
    line.fail("could not be built");
    throw new CliError(`the base image could not be built: ${(error as Error).message}`, {
      next: "It is built from Debian's archive, as apt on this machine reaches it. Correct what is said above, then run `berth up` again.",
      cause: error,
    });
  }
}

/** Creates it when there is none; what the user made of it since is left alone. */
export async function ensureDefaultTemplate(session: Session): Promise<void> {
  const client = await session.client();
  const known = await client.templates.get(DEFAULT_TEMPLATE).catch((error: unknown) => {
    if (error instanceof ApiError && error.code === "not_found") return null;
    throw error;
  });
  if (known?.ready) return;
  const template =
    known ?? (await client.templates.create(await readDefinition(DEFAULT_TEMPLATE_FILE))).template;
  const version = template.latest?.version;
  if (!version) return;
  if (template.latest?.state === "failed") await client.templates.build(template.id, version);
  await waitForBuild(session, { template: template.name, version }, BUILD_TIMEOUT_MS);
}

/** A first box where there is none at all; else the box that is called so, if there is one. */
export async function createFirstBox(session: Session): Promise<Box | null> {
  const client = await session.client();
  const { items } = await client.boxes.list({ limit: 200 });
  const known = items.find((box) => box.name === FIRST_BOX) ?? items[0];
  if (known && known.phase !== "creating") return known;
  const box =
    known ?? (await client.boxes.create({ name: FIRST_BOX, template: DEFAULT_TEMPLATE })).box;
  const [running] = await waitForBoxes(
    session,
    [{ box: box.id, label: `box ${box.name}`, goal: "running" }],
    BOX_TIMEOUT_MS,
  );
  return running ?? null;
}

async function endOf(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "(no log)");
  return text.trimEnd().split("\n").slice(-LOG_LINES).join("\n");
}
