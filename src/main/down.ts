// `berth down`: drains the node here until every box is at rest and durable, then stops the processes. Nothing is stopped when a
// box cannot be paused: what runs unsafely must not look safe.

import { readFile } from "node:fs/promises";
import { type Drained, drainNode } from "#cli/draining.ts";
import { CliError } from "#cli/exit.ts";
import type { Session } from "#cli/session.ts";
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
  readonly timeoutMs: number;
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
  if (!options.keepBoxes) await drain(session, installed, options.timeoutMs);
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

/** Those of every organization: what a user left running must not stay behind without Berth. */
async function drain(session: Session, installed: Installed, timeoutMs: number): Promise<void> {
  const { terminal } = session;
  session.use(await ensureCredentials(installed.config));
  const drained = await drainNode(session, installed.config.nodeName, timeoutMs).catch(refuse);
  const { paused, endedBuilds } = drained;
  if (paused > 0) terminal.err(`Paused ${paused} ${paused === 1 ? "box" : "boxes"}.\n`);
  if (endedBuilds > 0)
    terminal.err(
      `Ended ${endedBuilds} ${endedBuilds === 1 ? "build" : "builds"}; \`berth template build\` starts one anew.\n`,
    );
}

function refuse(error: unknown): Drained {
  const keep = "`berth down --keep-boxes` stops Berth and leaves the boxes running.";
  if (error instanceof ApiError) {
    if (error.code === "not_found") return { paused: 0, endedBuilds: 0 }; // It never joined.
    throw new CliError(`the boxes cannot be paused: ${error.detail}`, {
      next: `Run \`berth up\` first, so that they can be. ${keep}`,
      cause: error,
    });
  }
  if (!(error instanceof CliError)) throw error;
  throw new CliError(`${error.message} Nothing was stopped.`, {
    exitCode: error.exitCode,
    next: `What was asked stays asked; \`berth down\` waits again. ${keep}`,
    cause: error,
  });
}
