// A replica of the control plane: API, node API, scheduler and reconcilers on one Postgres. It keeps nothing of its own:
// authorities and keys are in the database, so that any number of replicas are one.

import { hostname } from "node:os";
import { createApi, createNodeApi } from "#api/server.ts";
import { ownVersion } from "#cli/own-version.ts";
import { identityContext } from "#identity/context.ts";
import { BASES, baseImageDigest } from "#images/recipe.ts";
import { Metrics } from "#lib/metrics.ts";
import { openDirectoryStore } from "#objects/directory-store.ts";
import { addToken, ensureAdmin, loadOrCreateAuthority } from "#store/access.ts";
import { type Database, isUnavailable, openDatabase } from "#store/db.ts";
import { Wakes } from "#store/listen.ts";
import { migrate } from "#store/migrate.ts";
import { ensureTenantLogin } from "#store/tenant-login.ts";
import { type AuditKey, loadAuditKey, makeAuditKey } from "#trust/audit-key.ts";
import { previewSigner } from "#trust/preview-tokens.ts";
import { makeSealKey, type Sealer, sealer } from "#trust/seal.ts";
import {
  loadSshAuthority,
  makeSshAuthorityKey,
  type SshAuthority,
} from "#trust/ssh-certificates.ts";
import { makeTicketKey, ticketPublicKey, ticketSigner } from "#trust/tickets.ts";
import { hashToken } from "#trust/token-hash.ts";
import {
  type CertificateAuthority,
  type CertificatePem,
  loadCertificateAuthority,
  makeCertificateAuthority,
} from "#trust/x509.ts";
import { ensureCredentials } from "./admin-token.ts";
import { readExportedHead } from "./audit-loops.ts";
import { publishAuthority } from "./authority.ts";
import type { Config } from "./config.ts";
import { installationIn } from "./installation.ts";
import { postgresUrl } from "./postgres.ts";
import { joinReplicas } from "./replicas.ts";
import type { RoleContext, RunningRole } from "./role.ts";
import { runLoops } from "./server-loops.ts";
import { WEB_DIRECTORY } from "./web-app.ts";

export interface RunningServer extends RunningRole {
  readonly apiUrl: string;
  readonly nodeApiUrl: string;
  readonly authority: CertificateAuthority;
}

const DATABASE_RETRY_MS = 250;
/** A node that reports nothing for this long counts as unreachable. */
const NODE_LEASE_MS = 15_000;
/** Made anew at every start; no replica runs for longer. */
const SERVER_CERTIFICATE_MS = 3650 * 86_400_000;

export async function startServer(context: RoleContext): Promise<RunningServer> {
  const { config, clock, log, failpoints } = context;
  const url = config.databaseUrl ?? postgresUrl(installationIn(config.stateDir).postgresDir);
  await migrateWhenReachable(url, context);
  const { tenantDatabaseUrl: tenantUrl } = config;
  const weakness = await ensureTenantLogin(url, tenantUrl);
  if (weakness !== null) log.warn({ weakness }, "requests share the login of the database's owner");
  const db = openDatabase({ url, tenantUrl, failpoints, log });
  const wakes = new Wakes({ url, clock, log });
  await wakes.start();
  await ensureAdminToken(db, config);
  const keys = await loadKeys(db, clock.nowMs());
  await publishAuthority(config, keys.authority.certificatePem);
  const metrics = new Metrics();
  const { objectsDir } = installationIn(config.stateDir);
  const store = await openDirectoryStore({ root: objectsDir, failpoints });
  const shared = { db, wakes, clock, log, metrics };
  const previews = {
    signPreview: previewSigner(keys.ticketKeyPem),
    dashboardOrigin: config.dashboardUrl,
    previewOrigin: config.previewOrigin,
  };
  const identity = identityContext({
    ...{ db, clock, log, sealer: keys.sealer },
    dashboardOrigin: config.dashboardUrl,
  });
  const replicas = await joinReplicas(shared);
  const ssh = { sshUserAuthority: keys.sshUser, sshHostAuthority: keys.sshHost };
  const api = await createApi({
    ...shared,
    ...ssh,
    ...previews,
    identity,
    version: ownVersion(),
    signTicket: ticketSigner(keys.ticketKeyPem),
    gatewayUrl: config.gatewayUrl,
    audit: { key: keys.audit, exportedHead: (chain) => readExportedHead(store, chain) },
    webDirectory: WEB_DIRECTORY,
    rateLimits: { ...config, replicas: replicas.count },
    trustedProxies: config.trustedProxies,
    hosts: [config.apiListen.host.toLowerCase(), hostname().toLowerCase()],
    resolveBase: async (base) => (BASES.includes(base) ? await baseImageDigest(base) : null),
  });
  const tls = await keys.authority.makeServerCertificate({
    name: "server",
    hosts: ownHosts(config),
    role: "server",
    nowMs: clock.nowMs(),
    lifetimeMs: SERVER_CERTIFICATE_MS,
  });
  const nodeApi = await createNodeApi({
    ...shared,
    ...ssh,
    ...previews,
    authority: keys.authority,
    ticketPublicKeysPem: [ticketPublicKey(keys.ticketKeyPem)],
    gatewayNodeUrls: [config.gatewayNodeUrl],
    objectStore: { kind: "directory", path: objectsDir },
    leaseMs: NODE_LEASE_MS,
    tls: { ...tls, caPem: keys.authority.certificatePem },
  });
  const nodeApiUrl = await nodeApi.listen(config.nodeApiListen);
  const apiUrl = await api.listen(config.apiListen);
  log.info({ apiUrl, nodeApiUrl }, "serving");
  const stop = new AbortController();
  const loops = runLoops(
    { db, wakes, store, metrics, auditKey: keys.audit, identity },
    context,
    stop.signal,
  );
  return {
    apiUrl,
    nodeApiUrl,
    authority: keys.authority,
    close: async () => {
      await Promise.all([api.close(), nodeApi.close()]);
      stop.abort();
      await Promise.all([loops, replicas.close()]);
      await wakes.close();
      await db.close();
    },
  };
}

/** The database may be starting, or starting again: that is waited for. Anything else is an error. */
async function migrateWhenReachable(url: string, { clock, log }: RoleContext): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const applied = await migrate(url);
      if (applied.length > 0) log.info({ applied }, "database schema brought up to date");
      return;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      if (attempt === 1) log.warn({ err: error }, "the database cannot be reached; trying again");
      await clock.sleep(DATABASE_RETRY_MS);
    }
  }
}

/** The token in this machine's credentials file is the administrator's. */
async function ensureAdminToken(db: Database, config: Config): Promise<void> {
  const admin = await ensureAdmin(db);
  const { token } = await ensureCredentials(config);
  await addToken(db, admin, { hash: hashToken(token), name: `administrator on ${hostname()}` });
}

interface Keys {
  readonly authority: CertificateAuthority;
  readonly sshUser: SshAuthority;
  readonly sshHost: SshAuthority;
  readonly ticketKeyPem: string;
  readonly audit: AuditKey;
  readonly sealer: Sealer;
}

async function loadKeys(db: Database, nowMs: number): Promise<Keys> {
  const authority = await loadOrCreateAuthority(db, "x509", async () =>
    JSON.stringify(await makeCertificateAuthority(nowMs)),
  );
  const sshUser = await loadOrCreateAuthority(db, "ssh-user", makeSshAuthorityKey);
  const sshHost = await loadOrCreateAuthority(db, "ssh-host", makeSshAuthorityKey);
  const ticketKeyPem = await loadOrCreateAuthority(
    db,
    "tickets",
    () => makeTicketKey().privateKeyPem,
  );
  return {
    authority: await loadCertificateAuthority(JSON.parse(authority) as CertificatePem),
    sshUser: loadSshAuthority(sshUser, "berth-user-ca"),
    sshHost: loadSshAuthority(sshHost, "berth-host-ca"),
    ticketKeyPem,
    sealer: sealer(await loadOrCreateAuthority(db, "seal", makeSealKey)),
    audit: loadAuditKey(await loadOrCreateAuthority(db, "audit", makeAuditKey)),
  };
}

/** Names under which nodes and gateways may dial the node API. */
function ownHosts(config: Config): string[] {
  const named = new URL(config.nodeApiUrl).hostname.replace(/^\[|\]$/g, "");
  return [
    ...new Set([named, config.nodeApiListen.host, hostname(), "localhost", "127.0.0.1"]),
  ].filter((host) => host !== "0.0.0.0" && host !== "::");
}
