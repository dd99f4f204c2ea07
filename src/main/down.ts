// `berth down`: pauses every running box until it is durable, then stops the processes. Nothing is stopped when a
// box cannot be paused: what runs unsafely must not look safe.

import { readFile } from "node:fs/promises";
import { CliError } from "#cli/exit.ts";
import { parseDurationMs } from "#cli/options.ts";
import { everyPage } from "#cli/pages.ts";
import type { Session } from "#cli/session.ts";
import { type Awaited, waitForBoxes } from "#cli/waiting.ts";
import { run } from "#lib/run.ts";
import { ApiError } from "#sdk/api-error.ts";
import { ensureCredentials } from "./admin-token.ts";
import type { VariableName } from "./config.ts";
import { type Installed, readInstalled } from "./settings.ts";
import { processesOf } from "./status.ts";
import { stopProcesses } from "./stop.ts";

export interface DownOptions {
  readonly overrides: Partial<Record<VariableName, string>>;
  readonly keepBoxes: boolean;
  readonly timeout: string;
}

export async function down(session: Session, options: DownOptions): Promise<void> {
  const { terminal } = session;
  const installed = await readInstalled(terminal.env, options.overrides);
  const { installation, recorded } = installed;
  if (!recorded)
    throw new CliError(`there is no Berth in ${installation.stateDir}.`, {
      next: "Say where with --state-dir, if it is elsewhere.",
    });
  const processes = await processesOf(installation, installed.config.databaseUrl === null);
  if (processes.every((one) => one.pid === null)) {
    terminal.err("Berth was not running.\n");
    return;
  }
  if (!options.keepBoxes) await pauseBoxes(session, installed, parseDurationMs(options.timeout));
  await stopProcesses(installation, terminal);
  if (!options.keepBoxes) await unmount(installation.nodeDir);
  terminal.err(
    options.keepBoxes
      ? "Stopped. Boxes go on running; `berth up` takes them over.\n"
      : "Stopped. Every box is at rest; `berth up` starts Berth again.\n",
  );
}

/** The node's directory may be a file system in a file; the node mounts it again at its start. */
async function unmount(directory: string): Promise<void> {
  const mounts = await readFile("/proc/mounts", "utf8");
  if (mounts.split("\n").some((line) => line.split(" ")[1] === directory))
    await run(["umount", directory]);
}

async function pauseBoxes(session: Session, installed: Installed, timeoutMs: number) {
  const { terminal } = session;
  session.use(await ensureCredentials(installed.config));
  const client = await session.client();
  const boxes = await everyPage((page) => client.boxes.list(page)).catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
    throw new CliError(`the boxes cannot be paused: ${error.detail}`, {
      next: "Run `berth up` first, so that they can be; or `berth down --keep-boxes` to leave them running.",
      cause: error,
    });
  });
  const builders = await endBuilds(session);
  const running = boxes.filter((box) => box.desired === "running");
  for (const box of running) await client.boxes.pause(box.id);
  const resting = boxes.filter((box) => box.desired === "running" || !isSafe(box));
  const awaited = resting.map((box): Awaited => {
    const goal = box.desired === "deleted" ? "deleted" : "durable";
    return { box: box.id, label: box.name, goal };
  });
  await waitForBoxes(session, [...builders, ...awaited], timeoutMs).catch((error: unknown) => {
    if (!(error instanceof CliError)) throw error;
    throw new CliError(`${error.message} Nothing was stopped.`, {
      exitCode: error.exitCode,
      next: `${error.next ?? ""} \`berth down --keep-boxes\` stops Berth and leaves the boxes running.`,
      cause: error,
    });
  });
  if (running.length > 0) terminal.err(`Paused ${running.map((box) => box.name).join(", ")}.\n`);
}

/** A build cannot be paused: its box is a virtual machine that nothing would look after. Returns what is to be gone. */
async function endBuilds(session: Session): Promise<Awaited[]> {
  const client = await session.client();
  const ended: Awaited[] = [];
  for (const template of await everyPage((page) => client.templates.list(page)))
    for (const { version, state, builder } of await everyPage((page) =>
      client.templates.versions(template.id, page),
    )) {
      if (state !== "building" || builder === null) continue;
      await client.boxes.delete(builder);
      ended.push({ box: builder, label: `build of ${template.name}`, goal: "deleted" });
      session.terminal.err(
        `Ended the build of ${template.name}; \`berth template build ${template.name} --version ${version}\` starts it anew.\n`,
      );
    }
  return ended;
}

function isSafe(box: {
  readonly phase: string;
  readonly snapshot: { readonly durable: boolean } | null;
}) {
  return box.phase === "deleted" || box.phase === "failed" || box.snapshot?.durable === true;
}
