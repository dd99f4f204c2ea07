// The schema as text, from the catalogues of a migrated database: what a change of a migration does shows in
// review as a difference of gen/schema.sql. Not for restoring.

import { sql } from "kysely";
import type { Db } from "#store/db.ts";

export async function dumpSchema(db: Db): Promise<string> {
  const { rows: columns } = await sql<{ table: string; column: string; text: string }>`
    select c.relname as table, a.attname as column,
      a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || case when a.attnotnull then ' not null' else '' end
        || case when a.attidentity <> '' then ' generated always as identity' else '' end
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as text
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relkind = 'r' order by c.relname, a.attnum`.execute(db.query);
  const { rows: constraints } = await sql<{ table: string; text: string }>`
    select c.conrelid::regclass::text as table,
      'constraint ' || c.conname || ' ' || pg_get_constraintdef(c.oid) as text
    from pg_constraint c join pg_namespace n on n.oid = c.connamespace and n.nspname = 'public'
    where c.contype in ('p', 'u', 'f', 'c') order by 1, c.contype, c.conname`.execute(db.query);
  const { rows: indexes } = await sql<{ text: string }>`
    select pg_get_indexdef(i.indexrelid) as text from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
    where not exists (select 1 from pg_constraint k where k.conindid = i.indexrelid)
    order by c.relname`.execute(db.query);
  const { rows: functions } = await sql<{ text: string }>`
    select rtrim(pg_get_functiondef(oid), E'\\n') as text from pg_proc where pronamespace = 'public'::regnamespace
    order by proname, pg_get_function_identity_arguments(oid)`.execute(db.query);
  const { rows: triggers } = await sql<{ text: string }>`
    select pg_get_triggerdef(t.oid) as text from pg_trigger t
    where not t.tgisinternal order by t.tgname, t.tgrelid::regclass::text`.execute(db.query);
  const { rows: policies } = await sql<{ text: string }>`
    select format('create policy %s on %s for %s to %s', policyname, tablename, lower(cmd), array_to_string(roles, ', '))
      || coalesce(E'\n  using ' || qual, '') || coalesce(E'\n  with check ' || with_check, '') as text
    from pg_policies where schemaname = 'public' order by tablename, policyname`.execute(db.query);
  const { rows: grants } = await sql<{ text: string }>`
    select 'grant ' || string_agg(lower(privilege_type), ', ' order by privilege_type) || ' on ' || table_name
      || ' to berth_tenant' as text
    from information_schema.role_table_grants where grantee = 'berth_tenant' and table_schema = 'public'
    group by table_name order by table_name`.execute(db.query);
  const tables = [...new Set(columns.map((column) => column.table))];
  const parts = tables.map((table) => {
    const lines = [
      ...columns.filter((column) => column.table === table),
      ...constraints.filter((constraint) => constraint.table === table),
    ].map((row) => `  ${row.text}`);
    return `create table ${table} (\n${lines.join(",\n")}\n);`;
  });
  return `${["-- Printed by `sh tools/run.sh tools/schema.ts` from src/store/migrations. Do not edit.", ...parts, [...indexes, ...functions, ...triggers, ...policies, ...grants].map(({ text }) => `${text};`).join("\n")].join("\n\n")}\n`;
}

/** Columns of each table, for comparing with the types in src/store/schema.ts. */
export async function readColumns(db: Db): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ table: string; columns: string[] }>`
    select table_name as table, array_agg(column_name::text order by column_name) as columns
    from information_schema.columns where table_schema = 'public' group by 1`.execute(db.query);
  return new Map(rows.map((row) => [row.table, row.columns]));
}
