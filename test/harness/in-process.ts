// An installation in this process: control plane on a database of its own, and a node with the fake driver. What the
// CLI, the SDK and others are tried against.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { ensureCredentials } from "#main/admin-token.ts";
import { readConfig } from "#main/config.ts";
import { startNode } from "#main/node.ts";
import type { RoleContext } from "#main/role.ts";
import { startServer } from "#main/server.ts";
import { createClient } from "#sdk/client.ts";
import { testDatabase } from "./database.ts";

/** `{ after }` of node:test for a file, or the context of one test. */
interface Scope {
  after(work: () => Promise<void>): void;
}

export async function inProcessBerth(outer: Scope) {
  // The last that was opened is closed first.
  const closing: (() => Promise<unknown>)[] = [];
  const scope = { after: (work: () => Promise<unknown>) => void closing.unshift(work) };
  outer.after(async () => {
    for (const close of closing) await close();
  });
  const stateDir = await mkdtemp(join(tmpdir(), "berth-in-process-"));
  scope.after(() => rm(stateDir, { recursive: true, force: true }));
  const { url: databaseUrl, failpoints } = await testDatabase(scope);
  const anyPort = { host: "127.0.0.1", port: 0 };
  const config = {
    ...readConfig({ BERTH_STATE_DIR: stateDir, BERTH_DRIVER: "fake", DATABASE_URL: databaseUrl }),
    apiListen: anyPort,
    nodeApiListen: anyPort,
    nodeName: "vm",
  };
  const context: RoleContext = { config, log: silentLog, clock: systemClock, run, failpoints };
  const server = await startServer(context);
  scope.after(() => server.close());
  const { token } = await ensureCredentials(config);
  const client = createClient({ url: server.apiUrl, token });
  const { token: joinToken } = await client.nodes.createJoinToken({});
  const node = await startNode({
    ...context,
    config: { ...config, nodeApiUrl: server.nodeApiUrl, joinToken },
  });
  scope.after(() => node.close());
  return { url: server.apiUrl, token, client, stateDir, failpoints };
}
