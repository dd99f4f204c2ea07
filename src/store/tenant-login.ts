// The role that requests' connections log in as (migrations/0012-tenant-login.sql): it belongs to nobody who owns a table,
// so no statement takes it out of row security. Made at each start as far as our own login may make roles.

import { randomBytes } from "node:crypto";
import pg from "pg";

/** What the tables say of it. */
export interface TenantSecrets {
  readonly key: Buffer;
  readonly schema: string;
  readonly name: string | null;
  readonly password: string | null;
}

/** Null, or why requests share the login of the tables' owner. `given`: a login that somebody has made; must do. */
export async function ensureTenantLogin(url: string, given: string | null): Promise<string | null> {
  if (given !== null) {
    const reason = await refuseLogin(given);
    if (reason === null) return null;
    throw new Error(`BERTH_TENANT_DATABASE_URL is not fit for requests: ${reason}. ${ADVICE}`);
  }
  const client = await connect(url);
  try {
    const login = await makeLogin(client).catch(async (error: Error & { code?: string }) => {
      await client.query("rollback");
      if (error.code !== INSUFFICIENT_PRIVILEGE) throw error;
      return error.message;
    });
    const reason =
      typeof login === "string" ? login : await refuseLogin(withLogin(url, login)).catch(messageOf);
    await client.query("update tenant_login set name = $1, password = $2", [
      ...(reason === null && typeof login !== "string"
        ? [login.name, login.password]
        : [null, null]),
    ]);
    return reason === null ? null : `${reason}. ${ADVICE}`;
  } finally {
    await client.end();
  }
}

const INSUFFICIENT_PRIVILEGE = "42501";
const ADVICE =
  "As a superuser: create role berth_requests login password '…' in role berth_tenant; then set BERTH_TENANT_DATABASE_URL to it";

interface Login {
  readonly name: string;
  readonly password: string;
}

/** Whatever is later in the query of a URL wins. */
export function withLogin(url: string, { name, password }: Login): string {
  return `${url}${url.includes("?") ? "&" : "?"}user=${name}&password=${password}`;
}

/** The same one again, with nothing left of what it may have set for itself. */
async function makeLogin(client: pg.Client): Promise<Login> {
  await client.query("begin");
  await client.query("select pg_advisory_xact_lock(hashtext('berth.migrate'))");
  const { rows } = await client.query<{ name: string | null; password: string | null }>(
    "select name, password from tenant_login",
  );
  const name = rows[0]?.name ?? `berth_tenant_${randomBytes(6).toString("hex")}`;
  const password = rows[0]?.password ?? randomBytes(24).toString("hex");
  const { rows: known } = await client.query("select 1 from pg_roles where rolname = $1", [name]);
  if (known.length === 0) await client.query(`create role ${name}`);
  await client.query(`alter role ${name} login inherit password '${password}'`);
  await client.query(`alter role ${name} reset all`);
  await client.query(`grant berth_tenant to ${name}`);
  await client.query("commit");
  return { name, password };
}

/** Null, or why no request may log in by it. */
async function refuseLogin(url: string): Promise<string | null> {
  const client = await connect(url);
  try {
    const { rows } = await client.query<Record<"name" | "isFree" | "isTenant" | "isOwner", never>>(`
      select r.rolname as name, r.rolsuper or r.rolbypassrls or r.rolcreaterole as "isFree",
        pg_has_role('berth_tenant', 'usage') as "isTenant",
        exists (select 1 from pg_class c where c.relnamespace = current_schema()::regnamespace
          and pg_has_role(c.relowner, 'member')) as "isOwner"
      from pg_roles r where r.rolname = session_user`);
    const login = rows[0];
    if (login?.isFree) return `${login.name} is not held by row security`;
    if (login?.isOwner) return `${login.name} owns tables of Berth, or may become who does`;
    return login?.isTenant ? null : `${login?.name} has not the role berth_tenant`;
  } finally {
    await client.end();
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: "berth tenant login" });
  client.on("error", () => {}); // The query that ran is rejected.
  await client.connect();
  return client;
}

function messageOf(error: Error): string {
  return error.message;
}
