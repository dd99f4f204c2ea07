// Which statements have no index: they are caught as they are sent, and Postgres is asked how it would run each in a database
// that is full (many-orgs.ts).

import { CompiledQuery, sql } from "kysely";
import pg from "pg";
import type { Db } from "#store/db.ts";

export interface Sent {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** All that pg sends while `work` runs. */
export async function caught(work: () => Promise<unknown>): Promise<Sent[]> {
  const sent: Sent[] = [];
  const { query } = pg.Client.prototype;
  // biome-ignore lint/suspicious/noExplicitAny: pg's query has a dozen overloads.
  pg.Client.prototype.query = function (this: pg.Client, ...args: any[]): any {
    const [first, second] = args;
    const text = typeof first === "string" ? first : first?.text;
    const values = (typeof first === "string" ? second : first?.values) ?? [];
    if (/^\s*(?:select|with|insert|update|delete)\b/i.test(text ?? "")) sent.push({ text, values });
    return (query as (...rest: unknown[]) => unknown).apply(this, args);
  } as never;
  try {
    await work();
  } finally {
    pg.Client.prototype.query = query;
  }
  return sent;
}

/** With fewer rows a table is read whole because that is the best way. */
export async function largeTables(db: Db, rowsMin: number): Promise<Set<string>> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
      and reltuples > ${rowsMin}`.execute(db.query);
  return new Set(rows.map(({ name }) => name));
}

/** Large tables that the statement would read whole, each with the plan. */
export async function wholeReads(
  db: Db,
  large: ReadonlySet<string>,
  { text, values }: Sent,
): Promise<string[]> {
  const explain = CompiledQuery.raw(`explain (format text) ${text}`, [...values]);
  const { rows } = await db.query.executeQuery<{ "QUERY PLAN": string }>(explain);
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  return [...plan.matchAll(/Seq Scan on (\w+)/g)].flatMap(([, table = ""]) =>
    large.has(table) ? [`${table} in ${text.replace(/\s+/g, " ").slice(0, 200)}\n${plan}`] : [],
  );
}
