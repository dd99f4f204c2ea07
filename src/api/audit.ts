// The audit trail for those who may read it: pages, the stream, the export of the chain, and its signed head.

import type { AuditEntryShape } from "#contract/audit.ts";
import { Problem } from "#contract/errors.ts";
import { markLine, sealLine } from "#domain/audit.ts";
import type { Clock } from "#lib/clock.ts";
import { readChainHead } from "#store/audit-heads.ts";
import {
  type AuditFilter,
  type AuditView,
  chainFor,
  getAuditPolicy,
  listAudit,
  readSealed,
  setAuditPolicy,
} from "#store/audit-read.ts";
import type { Db } from "#store/db.ts";
import { type Identified, identifyAgain } from "#store/tokens.ts";
import type { AuditKey } from "#trust/audit-key.ts";
import type { ApiContext } from "./context.ts";
import { encodeCursor, numberPosition, pageFrom } from "./cursor.ts";
import type { Handlers } from "./route.ts";
import type { SseMessage } from "./sse.ts";

const PAGE = 500;
const LOOK_EVERY_MS = 1000;
const IDENTIFY_EVERY_MS = 30_000;

export function auditHandlers({
  audit: { key, exportedHead },
  clock,
}: ApiContext): Pick<Handlers, Extract<keyof Handlers, `audit.${string}`>> {
  return {
    "audit.list": async ({ db, subject, query }) => {
      const { cursor, limit, order, scope, ...filter } = query;
      const list = ["audit", scope, order, filter];
      const at = numberPosition(list, cursor);
      const place = order === "newest" ? { before: at } : { after: at };
      const page = { ...place, limit: limit + 1, order };
      const rows = await listAudit(db, chainFor(subject, scope), filter, page);
      return pageFrom(rows, limit, list, (one) => one.id, shapeAuditEntry);
    },
    "audit.watch": ({ db, subject, credential, query, lastEventId, signal }) => {
      const { cursor, scope, ...filter } = query;
      const chain = chainFor(subject, scope);
      const from = numberPosition(cursorOf(chain), lastEventId ?? cursor);
      return follow({ db, clock, credential, chain, filter, from, signal, scope });
    },
    "audit.export": ({ db, subject, query: { scope, after } }) =>
      exportLines(db, chainFor(subject, scope), after, key),
    "audit.head": async ({ db, subject, query }) => {
      const chain = chainFor(subject, query.scope);
      const { head, anchor } = await readChainHead(db, chain, key.sign);
      const exported = await exportedHead(chain);
      return { head, anchor, exported, publicKeyPem: key.publicKeyPem };
    },
    "audit.getPolicy": ({ db, subject }) => getAuditPolicy(db, subject),
    "audit.updatePolicy": ({ db, subject, body }) => setAuditPolicy(db, subject, body),
  };
}

function shapeAuditEntry(view: AuditView): AuditEntryShape {
  const { actorId, actorName, actorRoles, resource, touched, data, ...rest } = view;
  return {
    ...rest,
    actor: actorId === null ? null : { id: actorId, name: actorName, roles: [...actorRoles] },
    ...{ resource: { ...resource }, touched: [...touched], data: { ...data } },
  };
}

function cursorOf(chain: string): readonly unknown[] {
  return ["audit-watch", chain];
}

interface Following {
  readonly db: Db;
  readonly clock: Clock;
  readonly credential: Identified;
  readonly chain: string;
  readonly scope: "org" | "installation";
  readonly filter: AuditFilter;
  readonly from: number | null;
  readonly signal: AbortSignal;
}

/** Only what is sealed: in its order nothing appears later before what was told. */
async function* follow(options: Following): AsyncGenerator<SseMessage, void> {
  const { db, clock, credential, chain, filter, signal } = options;
  let after = options.from ?? (await newestSealed(db, chain));
  let checkedMs = clock.monotonicMs();
  yield { id: encodeCursor(cursorOf(chain), after), event: "hello", data: {} };
  while (!signal.aborted) {
    const page = { after, limit: PAGE, order: "oldest", isSealed: true } as const;
    const views = await listAudit(db, chain, filter, page);
    for (const view of views) {
      after = view.id;
      const id = encodeCursor(cursorOf(chain), after);
      yield { id, event: "event", data: shapeAuditEntry(view) };
    }
    if (views.length === PAGE) continue;
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {});
    if (clock.monotonicMs() - checkedMs < IDENTIFY_EVERY_MS) continue;
    const again = await identifyAgain(db, credential);
    if (!again) return;
    chainFor(again.subject, options.scope); // Throws when it may not be read any more.
    checkedMs = clock.monotonicMs();
  }
}

async function newestSealed(db: Db, chain: string): Promise<number> {
  const page = { limit: 1, order: "newest", isSealed: true } as const;
  return (await listAudit(db, chain, {}, page))[0]?.id ?? 0;
}

/**
 * Up to the head of the moment at which it begins. The last line is that head: without it something is missing. When
 * retention removes what is still to come, it breaks off: a gap would look like what somebody has taken out.
 */
export async function* exportLines(
  db: Db,
  chain: string,
  from: number,
  key: AuditKey,
): AsyncGenerator<string, void> {
  const read = (after: number, upTo: number) => readSealed(db, chain, { after, upTo, limit: PAGE });
  // Before its marks: what retention removes in between is behind the anchor then.
  let entries = await read(from, Number.MAX_SAFE_INTEGER);
  const { head, anchor } = await readChainHead(db, chain, key.sign);
  let after = from;
  if (anchor && anchor.seq >= from) {
    yield markLine(anchor);
    after = anchor.seq;
    entries = entries.filter(({ seq }) => seq > after);
  }
  for (;;) {
    for (const entry of entries) yield sealLine(entry);
    after = entries.at(-1)?.seq ?? after;
    if (after >= head.seq) break;
    entries = await read(after, head.seq);
    if (entries[0]?.seq === after + 1) continue;
    const now = await readChainHead(db, chain, key.sign);
    if ((now.anchor?.seq ?? 0) > after)
      throw new Problem("not_now", "Retention removes the beginning of this trail: ask again.");
    if (entries.length === 0) break;
  }
  yield markLine(head);
}
