// One process of Berth from its start to its end: configuration, log, its record, SIGTERM.

import { report } from "#cli/main.ts";
import type { Terminal } from "#cli/terminal.ts";
import { systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { createLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { ConfigError, readConfig } from "./config.ts";
import { claimRecord } from "./process-record.ts";
import type { StartRole } from "./role.ts";

const ROLES: Record<string, () => Promise<StartRole>> = {
  server: async () => (await import("./server.ts")).startServer,
  gateway: async () => (await import("./gateway.ts")).startGateway,
  node: async () => (await import("./node.ts")).startNode,
  supervise: async () => (await import("./supervise.ts")).startSupervising,
};

/** Longer than any step of a close; after it the process ends all the same. */
const CLOSE_TIMEOUT_MS = 15_000;

export async function runRole(
  name: keyof typeof ROLES,
  recordPath: string | null,
  terminal: Terminal,
): Promise<void> {
  const config = readConfig(process.env);
  const clock = systemClock;
  if (recordPath && !(await claimRecord(recordPath, new Date(clock.nowMs()).toISOString())))
    throw new ConfigError(`another process is this machine's ${name}: see ${recordPath}`);
  const log = createLog(config.logLevel, name);
  const failpoints = new Failpoints();
  failpoints.armFromText(config.failpoints);
  const ended = new Promise<string>((resolve) => {
    process.once("SIGTERM", () => resolve("SIGTERM"));
    process.once("SIGINT", () => resolve("SIGINT"));
  });
  const start = await ROLES[name]?.();
  if (!start) throw new Error(`no role ${name}`);
  const running = await start({ config, log, clock, run, failpoints }).catch((error: unknown) => {
    // What it has opened already would keep it alive, serving half of what it should.
    process.exit(report(explained(error), terminal));
  });
  const why = await ended;
  log.info({ why }, "ending");
  const late = clock.sleep(CLOSE_TIMEOUT_MS).then(() => {
    log.warn({}, "did not end in time");
  });
  await Promise.race([running.close(), late]);
  process.exit(0);
}

function explained(error: unknown): unknown {
  const { code, address, port } = error as NodeJS.ErrnoException & {
    readonly address?: string;
    readonly port?: number;
  };
  if (code !== "EADDRINUSE" && code !== "EACCES" && code !== "EADDRNOTAVAIL") return error;
  if (port === undefined) return error;
  const why = code === "EADDRINUSE" ? "another program listens there" : (error as Error).message;
  return new ConfigError(
    `${address}:${port} cannot be used: ${why}. Choose another by the variable of that address; docs/configuration.md lists them.`,
  );
}
