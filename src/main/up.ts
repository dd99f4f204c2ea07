// `berth up`: everything on this machine, from nothing to a first box, each step idempotent and in sight.

import { join, relative } from "node:path";
import { CliError, EXIT } from "#cli/exit.ts";
import { Progress } from "#cli/progress.ts";
import type { Session } from "#cli/session.ts";
import { paint, type Terminal } from "#cli/terminal.ts";
import { run } from "#lib/run.ts";
import { ensureCredentials } from "./admin-token.ts";
import { type Config, printAddress, VARIABLES, type VariableName } from "./config.ts";
import { buildImage, createFirstBox, ensureDefaultTemplate, waitUntilUp } from "./first-box.ts";
import { commandOf, type Installation, logPath, recordPath } from "./installation.ts";
import { prepareMachine } from "./machine.ts";
import { readLiving } from "./process-record.ts";
import { type Installed, readInstalled, writeSettings } from "./settings.ts";
import { stopProcesses } from "./stop.ts";
import { spawnDetached } from "./supervisor.ts";
import { buildWebApp, isWebAppCurrent } from "./web-app.ts";

const SUPERVISOR_CHECK_MS = 1000;

export interface UpOptions {
  readonly overrides: Partial<Record<VariableName, string>>;
  readonly detach: boolean;
  readonly firstBox: boolean;
}

export async function up(session: Session, options: UpOptions): Promise<void> {
  const { terminal } = session;
  const installed = await readInstalled(terminal.env, options.overrides);
  const { config, installation } = installed;
  refuseOtherDriver(installed);
  const supervisorPath = recordPath(installation, "supervisor");
  const wasRunning = (await readLiving(supervisorPath)) !== null;
  if (wasRunning) refuseOtherSettings(installed);
  else {
    await prepareMachine(installed, terminal);
    await writeSettings(installed);
    await withProgress(terminal, ensureWebApp);
    // Before the node starts: it finds out how to run boxes by booting a guest from it.
    if (config.driver === "qemu")
      await withProgress(terminal, (progress) => buildImage(config, progress));
    await startSupervisor(config, installation, terminal);
  }
  session.use(await ensureCredentials(config));
  try {
    await bringUp(session, installed, options.firstBox);
  } catch (error) {
    if (!wasRunning && !options.detach) await stopProcesses(installation, terminal);
    throw error;
  }
  if (options.detach) return;
  if (wasRunning)
    terminal.err("Berth was running already, in the background; `berth down` stops it.\n");
  else await stayInForeground(config, installation, terminal);
}

async function bringUp(session: Session, installed: Installed, firstBox: boolean): Promise<void> {
  const { terminal } = session;
  await withProgress(terminal, (progress) => waitUntilUp(session, installed, progress));
  await ensureDefaultTemplate(session);
  const box = firstBox ? await createFirstBox(session) : null;
  await printGreeting(session, installed, box);
}

async function ensureWebApp(progress: Progress): Promise<void> {
  if (await isWebAppCurrent()) return;
  const line = progress.line("web app");
  line.update("building: it is missing, or its sources have changed");
  await buildWebApp(run);
  line.done("built");
}

async function withProgress(
  terminal: Terminal,
  work: (progress: Progress) => Promise<void>,
): Promise<void> {
  const progress = new Progress(terminal);
  try {
    await work(progress);
  } finally {
    await progress.close();
  }
}

/** How the user starts this command: by name when it is in PATH, else by path. */
function commandName(terminal: Terminal): string {
  const directory = join(import.meta.dirname, "../..");
  if ((terminal.env.PATH ?? "").split(":").includes(directory)) return "berth";
  const path = relative(process.cwd(), join(directory, "berth"));
  return path.includes("/") ? path : `./${path}`;
}

async function printGreeting(
  session: Session,
  { config, installation }: Installed,
  box: { readonly name: string; readonly phase: string } | null,
): Promise<void> {
  const { terminal } = session;
  const client = await session.client();
  const system = await client.system.get();
  const berth = commandName(terminal);
  const name = box?.name ?? "NAME";
  const isAtRest = box?.phase === "paused" || box?.phase === "stopped";
  const lines = [
    paint(terminal, "bold", "Berth is up."),
    "",
    ...(box ? [`Box \`${box.name}\` is ${box.phase}.`] : []),
    ...(isAtRest ? [`  ${berth} ${box?.phase === "paused" ? "resume" : "start"} ${name}`] : []),
    `  ${berth} ssh ${name}          enter ${box ? "it" : "a box"}`,
    `  ${berth} pause ${name}        keep every process, free the compute; \`resume\` goes on`,
    `  ${berth} fork ${name}         a copy with the same processes`,
    `  ${berth} create             another box`,
    "",
    ...(config.stateDir === VARIABLES.BERTH_STATE_DIR.default
      ? []
      : [`For other commands, first: export BERTH_STATE_DIR=${config.stateDir}`]),
    `Web app ${system.dashboardUrl}; \`${berth} token create NAME\` makes a token to log in with.`,
    `API http://${printAddress(config.apiListen)}, state and token in ${installation.stateDir}, logs in ${installation.logDir}.`,
    `\`${berth} status\` shows what runs, \`${berth} down\` pauses the boxes and stops everything.`,
  ];
  terminal.out(`\n${lines.join("\n")}\n`);
  for (const notice of system.notices)
    terminal.out(`\n${paint(terminal, "yellow", `NOTICE: ${notice}`)}\n`);
}

async function startSupervisor(
  config: Config,
  installation: Installation,
  terminal: Terminal,
): Promise<void> {
  await spawnDetached({
    ...commandOf("supervisor", config, terminal.env),
    logPath: logPath(installation, "supervisor"),
    recordPath: recordPath(installation, "supervisor"),
    clock: terminal.clock,
  });
}

/** Until Ctrl-C or SIGTERM; a supervisor that was killed is started again. */
async function stayInForeground(
  config: Config,
  installation: Installation,
  terminal: Terminal,
): Promise<void> {
  terminal.err("\nPress Ctrl-C to stop Berth; boxes go on running until `berth down`.\n");
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  terminal.interrupted.addEventListener("abort", onSignal);
  if (terminal.interrupted.aborted) stop.abort();
  process.once("SIGTERM", onSignal);
  while (!stop.signal.aborted) {
    await terminal.clock.sleep(SUPERVISOR_CHECK_MS, stop.signal).catch(() => {});
    if (stop.signal.aborted) break;
    if (await wasStopped(installation)) return;
    if (!(await readLiving(recordPath(installation, "supervisor"))))
      await startSupervisor(config, installation, terminal);
  }
  await stopProcesses(installation, terminal);
  terminal.err("Stopped. Boxes go on running; `berth up` takes them over.\n");
}

/** True when `berth down` took the records away: nobody is to be started again. */
async function wasStopped(installation: Installation): Promise<boolean> {
  const { existsSync } = await import("node:fs");
  return !existsSync(recordPath(installation, "supervisor"));
}

function refuseOtherDriver({ config, recorded }: Installed): void {
  if (!recorded || recorded.driver === config.driver) return;
  throw new CliError(
    `${config.stateDir} belongs to an installation with driver ${recorded.driver}, and ${config.driver} was asked for.`,
    { exitCode: EXIT.usage, next: "Use another --state-dir for the other driver." },
  );
}

function refuseOtherSettings({ config, recorded, differences }: Installed): void {
  if (!recorded || differences.length === 0) return;
  throw new CliError(
    `Berth runs already in ${config.stateDir}, with other settings (${differences.join(", ")}).`,
    {
      exitCode: EXIT.usage,
      next: "Run `berth down --keep-boxes`, then `berth up` with the new ones.",
    },
  );
}
