// Where an installation keeps its things on this machine, and the processes that it is made of.

import { join } from "node:path";
import { type Config, environmentOf } from "./config.ts";
import { nodeFlags } from "./node-flags.ts";

export const ROLE_NAMES = ["server", "gateway", "node"] as const;
/** In the order in which they are stopped. */
export const PROCESS_NAMES = ["supervisor", "node", "gateway", "server", "postgres"] as const;

export interface Installation {
  readonly stateDir: string;
  readonly runDir: string;
  readonly logDir: string;
  readonly postgresDir: string;
  readonly objectsDir: string;
  readonly nodeDir: string;
  readonly caDir: string;
  readonly gatewayDir: string;
  /** The node's identity; `nodeDir` is the driver's. */
  readonly agentDir: string;
}

export function installationIn(stateDir: string): Installation {
  return {
    stateDir,
    runDir: join(stateDir, "run"),
    logDir: join(stateDir, "logs"),
    postgresDir: join(stateDir, "postgres"),
    objectsDir: join(stateDir, "objects"),
    nodeDir: join(stateDir, "node"),
    caDir: join(stateDir, "ca"),
    gatewayDir: join(stateDir, "gateway"),
    agentDir: join(stateDir, "agent"),
  };
}

export function recordPath(installation: Installation, name: string): string {
  return join(installation.runDir, `${name}.json`);
}

export function logPath(installation: Installation, name: string): string {
  return join(installation.logDir, `${name}.log`);
}

export interface ProcessCommand {
  readonly argv: readonly string[];
  readonly env: Record<string, string>;
}

/** How a part of Berth is started as a process of its own. */
export function commandOf(
  name: string,
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
): ProcessCommand {
  const passedOn = ["PATH", "HOME", "LANG", "TZ", "NODE_COMPILE_CACHE"].flatMap((variable) =>
    environment[variable] ? [[variable, environment[variable]] as const] : [],
  );
  return {
    argv: [
      process.execPath,
      ...nodeFlags(name),
      join(import.meta.dirname, "berth.ts"),
      name === "supervisor" ? "supervise" : name,
      "--record",
      recordPath(installationIn(config.stateDir), name),
    ],
    env: { ...Object.fromEntries(passedOn), ...environmentOf(config) },
  };
}
