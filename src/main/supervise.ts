// The processes of one machine as the supervisor keeps them: which there are, and how each is started.

import { createClient } from "#sdk/client.ts";
import { ensureCredentials } from "./admin-token.ts";
import { gatewayMustJoin } from "./gateway.ts";
import { commandOf, installationIn, ROLE_NAMES } from "./installation.ts";
import { nodeMustJoin } from "./node.ts";
import { ensurePostgres } from "./postgres.ts";
import type { RoleContext, RunningRole } from "./role.ts";
import { type OwnRole, type Role, supervise } from "./supervisor.ts";

const JOIN_RETRIES = 8;

export async function startSupervising(context: RoleContext): Promise<RunningRole> {
  const { config, clock, log } = context;
  const stop = new AbortController();
  /** A part that has not joined yet gets a token made for it; the API may be starting just now. */
  const tokenFor = async (name: string): Promise<string | null> => {
    const mustJoin = { gateway: gatewayMustJoin, node: nodeMustJoin }[name];
    if (!(await mustJoin?.(config, clock))) return null;
    const credentials = await ensureCredentials(config);
    const client = createClient({ ...credentials, retries: JOIN_RETRIES });
    await client.system.get(); // Tried until it answers; making a token is not.
    return (await client.nodes.createJoinToken({})).token;
  };
  const installation = installationIn(config.stateDir);
  const roles: (Role | OwnRole)[] = ROLE_NAMES.map((name) => ({
    name,
    command: async () =>
      commandOf(name, { ...config, joinToken: await tokenFor(name) }, process.env),
  }));
  if (config.databaseUrl === null)
    roles.unshift({
      name: "postgres",
      ensure: async () => {
        await ensurePostgres({ directory: installation.postgresDir, clock, log });
      },
    });
  const supervised = supervise({
    installation,
    roles,
    clock,
    log,
    signal: stop.signal,
  });
  return {
    close: async () => {
      stop.abort();
      await supervised;
    },
  };
}
