// `berth status`: the processes of this machine, the nodes and boxes of the installation, and what an operator must
// know, loudly. Exit code 1 when something that should run does not.

import { join } from "node:path";
import { boxTable } from "#cli/box-text.ts";
import { EXIT, ExitWith } from "#cli/exit.ts";
import { nodeColumns } from "#cli/nodes.ts";
import type { OutputOptions } from "#cli/options.ts";
import { everyPage } from "#cli/pages.ts";
import type { Session } from "#cli/session.ts";
import { table } from "#cli/table.ts";
import { age, paint, plainLine } from "#cli/terminal.ts";
import { ApiError } from "#sdk/api-error.ts";
import { type Box, createClient, type Node, type System } from "#sdk/client.ts";
import { ensureCredentials } from "./admin-token.ts";
import type { VariableName } from "./config.ts";
import { type Installation, logPath, PROCESS_NAMES, recordPath } from "./installation.ts";
import { findRunning } from "./postgres.ts";
import { readLiving } from "./process-record.ts";
import { type Installed, readInstalled } from "./settings.ts";

export interface StatusOptions extends OutputOptions {
  readonly overrides: Partial<Record<VariableName, string>>;
}

export interface ProcessStatus {
  readonly name: string;
  readonly pid: number | null;
  readonly startedAt: string | null;
  readonly log: string;
}

interface Status {
  readonly stateDir: string;
  readonly processes: readonly ProcessStatus[];
  /** Null when the API does not answer; `apiError` says why. */
  readonly system: System | null;
  readonly apiError: string | null;
  readonly nodes: readonly Node[];
  readonly boxes: readonly Box[];
}

export async function status(session: Session, options: StatusOptions): Promise<void> {
  const installed = await readInstalled(session.terminal.env, options.overrides);
  const found = await look(installed);
  session.print(options, found, (value) => statusText(session, value));
  const isWhole = found.system !== null && found.processes.every((one) => one.pid !== null);
  if (!isWhole) throw new ExitWith(EXIT.failed);
}

async function look({ config, installation }: Installed): Promise<Status> {
  const processes = await processesOf(installation, config.databaseUrl === null);
  const local = { stateDir: installation.stateDir, processes };
  const nothing = { ...local, system: null, nodes: [], boxes: [] };
  if (processes.every((one) => one.pid === null))
    return { ...nothing, apiError: "Berth does not run here; `berth up` starts it." };
  const client = createClient({ ...(await ensureCredentials(config)), retries: 1 });
  try {
    const [system, nodes, boxes] = await Promise.all([
      client.system.get(),
      everyPage((page) => client.nodes.list(page)),
      everyPage((page) => client.boxes.list(page)),
    ]);
    return { ...local, system, apiError: null, nodes, boxes };
  } catch (error) {
    if (error instanceof ApiError) return { ...nothing, apiError: error.detail };
    throw error;
  }
}

export async function processesOf(
  installation: Installation,
  hasPostgres: boolean,
): Promise<ProcessStatus[]> {
  const names = PROCESS_NAMES.filter((name) => name !== "postgres" || hasPostgres);
  return await Promise.all(
    names.map(async (name) => {
      if (name === "postgres") return await postgresStatus(installation);
      const record = await readLiving(recordPath(installation, name));
      return {
        name,
        pid: record?.pid ?? null,
        startedAt: record?.startedAt ?? null,
        log: logPath(installation, name),
      };
    }),
  );
}

async function postgresStatus({ postgresDir }: Installation): Promise<ProcessStatus> {
  const running = await findRunning(postgresDir);
  return {
    name: "postgres",
    pid: running?.pid ?? null,
    startedAt: null,
    log: join(postgresDir, "log"),
  };
}

/** Where people come in with a browser or with plain ssh. */
function doorsText({ dashboardUrl, previewOrigin, sshAddress }: System): string {
  const previews = previewOrigin ?? "in reduced mode, below the gateway's own address";
  const lines = [`Web app ${dashboardUrl}`, `Previews ${previews}`];
  if (sshAddress) lines.push(`SSH ${sshAddress}`);
  return `${plainLine(lines.join(", "))}.\n`;
}

function statusText(session: Session, found: Status): string {
  const { terminal } = session;
  const nowMs = terminal.clock.nowMs();
  const node = nodeColumns(terminal.clock);
  const sections = [
    ...(found.system?.notices ?? []).map((notice) =>
      paint(terminal, "yellow", `NOTICE: ${plainLine(notice)}\n`),
    ),
    table(
      ["PROCESS", "STATE", "PID", "FOR", "LOG"],
      found.processes.map((one) => [
        one.name,
        one.pid === null ? "not running" : "running",
        one.pid === null ? "-" : `${one.pid}`,
        one.startedAt ? age(one.startedAt, nowMs) : "-",
        one.log,
      ]),
    ),
    ...(found.system ? [doorsText(found.system)] : []),
    ...(found.apiError ? [`${plainLine(found.apiError)}\n`] : []),
    ...(found.nodes.length > 0 ? [table(node.headings, found.nodes.map(node.row))] : []),
    ...(found.boxes.length > 0 ? [boxTable(found.boxes, nowMs)] : []),
  ];
  return sections.join("\n");
}
