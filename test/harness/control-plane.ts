// The control plane's API on a database of its own: both listeners, an administrator, and a user of another
// organization. No scheduler and no agent: tests say themselves what a node reports.

import { sql } from "kysely";
import { type ApiServer, createApi, createNodeApi } from "#api/server.ts";
import type { OrgRole, Subject } from "#domain/permission.ts";
import { type IdentityContext, identityContext } from "#identity/context.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { type Log, silentLog } from "#lib/log.ts";
import { Metrics } from "#lib/metrics.ts";
import { readExportedHead } from "#main/audit-loops.ts";
import { createClient } from "#sdk/client.ts";
import { addToken, addUser, createUser, ensureAdmin } from "#store/access.ts";
import { Wakes } from "#store/listen.ts";
import { type AuditKey, loadAuditKey, makeAuditKey } from "#trust/audit-key.ts";
import { type PreviewSigner, previewSigner } from "#trust/preview-tokens.ts";
import { makeSealKey, sealer } from "#trust/seal.ts";
import { loadSshAuthority, makeSshAuthorityKey } from "#trust/ssh-certificates.ts";
import { makeTicketKey, ticketSigner } from "#trust/tickets.ts";
import { hashToken, makeToken } from "#trust/token-hash.ts";
import {
  type CertificateAuthority,
  loadCertificateAuthority,
  makeCertificateAuthority,
} from "#trust/x509.ts";
import { type TestDatabase, testDatabase } from "./database.ts";
import { MemoryStore } from "./memory-store.ts";

export interface Caller {
  readonly subject: Subject;
  readonly token: string;
  readonly client: ReturnType<typeof createClient>;
}

export interface ControlPlane extends TestDatabase {
  readonly wakes: Wakes;
  readonly api: ApiServer;
  readonly nodeApi: ApiServer;
  readonly url: string;
  readonly nodeUrl: string;
  readonly authority: CertificateAuthority;
  readonly identity: IdentityContext;
  readonly metrics: Metrics;
  /** Where heads of audit chains are exported to. */
  readonly objects: MemoryStore;
  readonly auditKey: AuditKey;
  readonly ticketPublicKeyPem: string;
  readonly signPreview: PreviewSigner;
  /** A web session of the administrator's; its id. */
  login(): Promise<string>;
  /** Another user of the administrator's organization: a member, unless other roles are given. */
  addMember(name: string, roles?: readonly OrgRole[]): Promise<Caller>;
  /** An owner of another organization. */
  addOrg(name: string): Promise<Caller>;
  callerFor(subject: Subject): Promise<Caller>;
  readonly admin: Caller;
  /** The owner of another organization; no operator. */
  readonly stranger: Caller;
  /** Another API on the same database; its URL. */
  addReplica(): Promise<string>;
  /** Another node API on the same database. */
  addNodeReplica(): Promise<{ readonly url: string; readonly server: ApiServer }>;
  /** A template with a version that is ready without a prebuild. */
  addTemplate(name?: string): Promise<void>;
}

const DAY_MS = 86_400_000;
/** Where browsers would reach this API. */
export const DASHBOARD = "https://berth.test";
const PREVIEWS = "https://*.preview.test";

export async function controlPlane(
  scope: Parameters<typeof testDatabase>[0],
  options: {
    readonly log?: Log;
    readonly clock?: Clock;
    readonly heartbeatMs?: number;
    readonly beatMs?: number;
    readonly webDirectory?: string;
    /** Null: reduced mode. */
    readonly previewOrigin?: string | null;
  } = {},
): Promise<ControlPlane> {
  // Hooks run in the order of their registration: what uses the database is closed before it.
  let close = async () => {};
  scope.after(() => close());
  const database = await testDatabase(scope);
  const { db, url: databaseUrl } = database;
  const clock = options.clock ?? systemClock;
  const log = options.log ?? silentLog;
  const wakes = new Wakes({ url: databaseUrl, clock: systemClock, log });
  await wakes.start();
  const authorityPem = await makeCertificateAuthority(clock.nowMs());
  const authority = await loadCertificateAuthority(authorityPem);
  const tls = await authority.makeServerCertificate({
    name: "server",
    hosts: ["127.0.0.1"],
    role: "server",
    nowMs: clock.nowMs(),
    lifetimeMs: DAY_MS,
  });
  const ticketKey = makeTicketKey();
  const metrics = new Metrics();
  const objects = new MemoryStore();
  const auditKey = loadAuditKey(makeAuditKey());
  const parts = {
    db,
    wakes,
    clock,
    log,
    metrics,
    sshUserAuthority: loadSshAuthority(makeSshAuthorityKey(), "berth-user-ca"),
    sshHostAuthority: loadSshAuthority(makeSshAuthorityKey(), "berth-host-ca"),
    signPreview: previewSigner(ticketKey.privateKeyPem),
    audit: {
      key: auditKey,
      exportedHead: (chain: string) => readExportedHead(objects, chain),
    },
    dashboardOrigin: DASHBOARD,
    previewOrigin: "previewOrigin" in options ? (options.previewOrigin ?? null) : PREVIEWS,
  };
  const identity = identityContext({
    ...{ db, clock, log, sealer: sealer(makeSealKey()), dashboardOrigin: DASHBOARD },
  });
  const makeApi = (replicaMetrics: Metrics) =>
    createApi({
      ...parts,
      identity,
      metrics: replicaMetrics,
      version: "test",
      signTicket: ticketSigner(ticketKey.privateKeyPem),
      gatewayUrl: "http://127.0.0.1:7302",
      webDirectory: options.webDirectory,
      resolveBase: async (base) => (base === "debian-12" ? `sha256:${"a".repeat(64)}` : null),
      heartbeatMs: options.heartbeatMs,
    });
  const api = await makeApi(metrics);
  const replicas = [api];
  const makeNodeApi = () =>
    createNodeApi({
      ...parts,
      authority,
      ticketPublicKeysPem: [ticketKey.publicKeyPem],
      gatewayNodeUrls: ["https://127.0.0.1:7303"],
      objectStore: { kind: "directory", path: "/nowhere" },
      leaseMs: 60_000,
      tls: { ...tls, caPem: authority.certificatePem },
      beatMs: options.beatMs,
    });
  const nodeApi = await makeNodeApi();
  const nodeReplicas = [nodeApi];
  const url = await api.listen({ host: "127.0.0.1", port: 0 });
  const nodeUrl = await nodeApi.listen({ host: "127.0.0.1", port: 0 });
  close = async () => {
    await Promise.all([...replicas, ...nodeReplicas].map((server) => server.close()));
    await wakes.close();
  };
  const callerFor = async (subject: Subject): Promise<Caller> => {
    const token = makeToken();
    await addToken(db, subject, { hash: hashToken(token), name: "test" });
    return { subject, token, client: createClient({ url, token, retries: 0 }) };
  };
  const admin = await callerFor(await ensureAdmin(db));
  return {
    ...database,
    wakes,
    api,
    nodeApi,
    url,
    nodeUrl,
    authority,
    identity,
    metrics,
    objects,
    auditKey,
    ticketPublicKeyPem: ticketKey.publicKeyPem,
    signPreview: parts.signPreview,
    login: async () => {
      const payload = { token: admin.token };
      const answer = await api.app.inject({ method: "POST", url: "/v1/web-session", payload });
      return answer.json().id;
    },
    addMember: async (name, roles = ["member"]) => {
      return callerFor(await addUser(db, admin.subject.orgId, { name, roles }));
    },
    addOrg: async (name) =>
      callerFor(await createUser(db, { orgName: name, name: `owner of ${name}` })),
    callerFor,
    admin,
    stranger: await callerFor(await createUser(db, { orgName: "other", name: "stranger" })),
    addReplica: async () => {
      const replica = await makeApi(new Metrics());
      replicas.push(replica);
      return replica.listen({ host: "127.0.0.1", port: 0 });
    },
    addNodeReplica: async () => {
      const server = await makeNodeApi();
      nodeReplicas.push(server);
      return { server, url: await server.listen({ host: "127.0.0.1", port: 0 }) };
    },
    addTemplate: async (name = "default") => {
      const { template } = await admin.client.templates.create({ name });
      const { builder, id } = template.latest ?? {};
      if (builder) await admin.client.boxes.delete(builder);
      await sql`update template_versions set state = 'ready', builder_box_id = null where id = ${id}`.execute(
        db.query,
      );
    },
  };
}
