// The price book of the installation, and what differs from it for single organizations. A change holds from the hour on
// that is not rolled up yet; what was rolled up keeps its cost.

import { sql } from "kysely";
import type { BoxSpec } from "#domain/box.ts";
import type { OrgId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import type { Prices, Resource } from "#domain/price.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Db, transact } from "./db.ts";
import { insertEvents, type NewEvent } from "./events.ts";
import { findOrg } from "./find-org.ts";
import { resolveVersion } from "./templates.ts";
import { TOPICS } from "./wake.ts";

export interface PriceBook {
  /** Null: nothing has a price yet. */
  readonly currency: string | null;
  /** What holds for the organization. */
  readonly prices: Prices;
  /** Those of them that are its own. */
  readonly own: Prices;
  /** Those of the installation. */
  readonly base: Prices;
}

export async function readPrices(db: Db, orgId: string): Promise<PriceBook> {
  const { rows } = await sql<{ currency: string | null; base: Prices | null; own: Prices | null }>`
    select base.currency, base.prices as base, own.prices as own
    from (select 1) as one
    left join lateral (select currency, prices from price_books where org_id is null
      order by id desc limit 1) base on true
    left join lateral (select prices from price_books where org_id = ${orgId}
      order by id desc limit 1) own on true`.execute(db.query);
  const row = rows[0];
  const [own, base] = [row?.own ?? {}, row?.base ?? {}];
  return { currency: row?.currency ?? null, prices: { ...base, ...own }, own, base };
}

/** One's own organization's; operators are shown every organization's. */
export async function showPrices(
  db: Db,
  subject: Subject,
  org: string | undefined,
): Promise<PriceBook> {
  if (org === undefined || org === subject.orgId) return readPrices(db, subject.orgId);
  if (!subject.isOperator)
    throw new StoreRefusal("not_found", `There is no organization '${org}'.`);
  return readPrices(db, (await findOrg(db, org)).id);
}

export interface PriceChange {
  /** Null: of the installation. */
  readonly orgId: OrgId | null;
  /** Of the installation only; left out: as before. */
  readonly currency?: string | undefined;
  /** What is left out stays; null: the price is taken away. */
  readonly prices: Readonly<Partial<Record<Resource, string | null>>>;
}

/** For operators. */
export async function setPrices(db: Db, subject: Subject, change: PriceChange): Promise<PriceBook> {
  if (!subject.isOperator)
    throw new StoreRefusal("forbidden", "Prices are set by who runs the installation.");
  return transact(db, "store.prices.set", async (tx) => {
    await sql`select pg_advisory_xact_lock('price_books'::regclass::oid::integer, 0)`.execute(
      tx.query,
    );
    const { orgId } = change;
    const before = await readPrices(tx, orgId ?? "");
    if (orgId !== null) refuseForOrg(change, before);
    const currency = change.currency ?? before.currency;
    if (!currency)
      throw new StoreRefusal("not_now", "The first price book needs a currency, as in EUR.");
    if (before.currency !== null && currency !== before.currency) await refuseSecondCurrency(tx);
    const merged = { ...(orgId === null ? before.base : before.own), ...change.prices };
    const prices = Object.fromEntries(Object.entries(merged).filter(([, price]) => price !== null));
    await sql`
      insert into price_books (org_id, currency, prices, created_by)
      values (${orgId}, ${orgId === null ? currency : null}, ${JSON.stringify(prices)}::jsonb,
        ${subject.userId})`.execute(tx.query);
    const event: NewEvent = {
      orgId,
      kind: "prices.changed",
      subjectKind: "org",
      subjectId: orgId ?? "installation",
      actor: subject.userId,
      message: "prices were changed",
      data: { currency, prices },
    };
    await insertEvents(tx, [event], [TOPICS.prices]);
    return readPrices(tx, orgId ?? "");
  });
}

/** Until the transaction ends, the currency in which it says something stays. */
export async function holdCurrency(tx: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared('price_books'::regclass::oid::integer, 0)`.execute(
    tx.query,
  );
}

function refuseForOrg(change: PriceChange, before: PriceBook): void {
  if (change.currency !== undefined && change.currency !== before.currency)
    throw new StoreRefusal("not_now", "There is one currency: that of the installation's prices.");
  if (before.currency === null)
    throw new StoreRefusal("not_now", "Set the installation's prices first.");
}

/** Sums of two currencies mean nothing. */
async function refuseSecondCurrency(tx: Db): Promise<void> {
  const { rows } = await sql`
    select 1 where exists (select 1 from usage_rollups where cost > 0)
      or exists (select 1 from budgets where deleted_at is null)`.execute(tx.query);
  if (rows.length > 0)
    throw new StoreRefusal(
      "not_now",
      "The currency cannot change any more: there are costs or budgets in it.",
    );
}

/** The size of what would be created from the template, for an estimate. */
export async function readTemplateSpec(
  db: Db,
  subject: Subject,
  template: string,
  version: number | null,
): Promise<BoxSpec> {
  return (await resolveVersion(db, subject, template, version)).spec;
}
