// The audit trail: who did what, from where, and how it ended. Searched, and followed as it grows.

import { Badge, Button, Menu, Select, Switch, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconDownload, IconHistory, IconSearch } from "@tabler/icons-react";
import { useEffect, useMemo, useState } from "react";
import { useAddress } from "../data/address.ts";
import { berth, noteError } from "../data/berth.ts";
import { useLive, useNow } from "../data/live.ts";
import { useOrgs } from "../data/orgs.ts";
import { usePages } from "../data/pages.ts";
import { useNameOf } from "../data/people.ts";
import type { AuditEntry } from "../data/types.ts";
import { dayAndTime, fullTime } from "../format.ts";
import { csvOf, download } from "../parts/download.ts";
import { Empty } from "../parts/empty.tsx";
import { ListCard } from "../parts/list-card.tsx";
import { attempt } from "../parts/notify.ts";
import { Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import css from "./audit.module.css";
import { EntryDrawer, OUTCOME_COLORS, targetOf } from "./audit-entry.tsx";
import org from "./org.module.css";

/** As the address has it. */
const NO_FILTER = { text: "", actor: "", verb: "", outcome: "", since: "", from: "", to: "" };
type Filter = Readonly<typeof NO_FILTER>;
const HOUR_MS = 3_600_000;
const DAYS = "days";
const SINCE = [
  { value: "1h", label: "Last hour", hours: 1 },
  { value: "1d", label: "Last day", hours: 24 },
  { value: "7d", label: "Last 7 days", hours: 7 * 24 },
  { value: "30d", label: "Last 30 days", hours: 30 * 24 },
  { value: DAYS, label: "From day to day…", hours: 0 },
];
/** The part of a verb before its point, and what people call it. */
const KINDS = [
  { value: "enter.", label: "Entries into boxes" },
  { value: "boxes.", label: "Boxes" },
  { value: "snapshots.", label: "Snapshots" },
  { value: "shares.", label: "Shares" },
  { value: "members.", label: "Members" },
  { value: "invitations.", label: "Invitations" },
  { value: "grants.", label: "Roles by providers" },
  { value: "scim.", label: "Directory" },
  { value: "serviceAccounts.", label: "Service accounts" },
  { value: "teams.", label: "Teams" },
  { value: "tokens.", label: "Tokens" },
  { value: "keys.", label: "SSH keys" },
  { value: "webSessions.", label: "Web sessions" },
  { value: "login.", label: "Logins" },
  { value: "previews.", label: "Previews" },
  { value: "templates.", label: "Templates" },
  { value: "quotas.", label: "Quotas" },
  { value: "budgets.", label: "Budgets" },
  { value: "providers.", label: "Sign-in providers" },
  { value: "scimTokens.", label: "SCIM tokens" },
  { value: "org.", label: "Rules of the organization" },
  { value: "orgs.", label: "Organizations" },
  { value: "prices.", label: "Prices" },
  { value: "nodes.", label: "Nodes" },
  { value: "gateways.", label: "Gateways" },
];
const OUTCOMES = [
  { value: "ok", label: "Done" },
  { value: "refused", label: "Refused" },
  { value: "failed", label: "Failed" },
];

type Scope = "org" | "installation";

const isOutcome = (text: string): text is AuditEntry["outcome"] =>
  OUTCOMES.some(({ value }) => value === text);
const isDay = (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));

function queryOf(scope: Scope, filter: Filter, openedMs: number) {
  const { text, actor, verb, outcome, since, from, to } = filter;
  const hours = SINCE.find(({ value }) => value === since)?.hours ?? 0;
  const isDays = since === DAYS;
  return {
    scope,
    ...(text.trim() ? { text: text.trim() } : {}),
    ...(actor.trim() ? { actor: actor.trim() } : {}),
    ...(verb ? { verb } : {}),
    ...(isOutcome(outcome) ? { outcome } : {}),
    ...(hours > 0 ? { since: new Date(openedMs - hours * HOUR_MS).toISOString() } : {}),
    ...(isDays && isDay(from) ? { since: new Date(`${from}T00:00`).toISOString() } : {}),
    ...(isDays && isDay(to) ? { until: new Date(`${to}T23:59:59.999`).toISOString() } : {}),
  };
}
type AuditQuery = ReturnType<typeof queryOf>;

export function AuditPage() {
  return (
    <Trail
      scope="org"
      lead="Every change and every way into a box, kept in a chain that shows when something was taken out of it."
    />
  );
}

/** What operators did to the installation, and attempts of nobody who was recognized. */
export function InstallationTrail() {
  return (
    <Trail
      scope="installation"
      lead="Acts on the installation itself, and attempts of nobody who was recognized. What is done in an organization is in its own trail."
    />
  );
}

function Trail({ scope, lead }: { readonly scope: Scope; readonly lead: string }) {
  const [filter, setFilter] = useAddress(NO_FILTER);
  const [openedMs] = useState(() => Date.now());
  const [settled] = useDebouncedValue(filter, 300);
  const [isLive, setLive] = useState(false);
  const [opened, setOpened] = useState<AuditEntry | null>(null);
  const query = queryOf(scope, settled, openedMs);
  const list = usePages(["audit", query], (page) => berth.audit.list({ ...query, ...page }));
  const fresh = useTail(isLive, query);
  const known = new Set(list.items?.map(({ id }) => id));
  const items = list.items && [...fresh.filter(({ id }) => !known.has(id)), ...list.items];
  return (
    <Page
      title="Audit"
      lead={lead}
      actions={
        <div className={css.actions}>
          <Switch
            size="xs"
            label="Follow"
            checked={isLive}
            onChange={(event) => setLive(event.currentTarget.checked)}
          />
          <Export scope={scope} query={query} />
        </div>
      }
    >
      <Filters filter={filter} setFilter={setFilter} />
      <ListCard
        list={{ ...list, items }}
        empty={
          <Empty icon={<IconHistory size={34} stroke={1.4} />} title="No entry matches">
            {Object.keys(query).length > 1
              ? "Change what is asked for above."
              : "What is done from now on appears here."}
          </Empty>
        }
      >
        {(entries) => <Entries scope={scope} entries={entries} open={setOpened} />}
      </ListCard>
      <EntryDrawer entry={opened} close={() => setOpened(null)} />
    </Page>
  );
}

/** A spreadsheet takes more, and nobody reads more. */
const CSV_MAX = 20_000;
const HEADS = [
  "at",
  "who",
  "user",
  "as",
  "verb",
  "on",
  "touched",
  "outcome",
  "code",
  "from",
  "with",
];

async function downloadShown(query: AuditQuery): Promise<void> {
  const entries: AuditEntry[] = [];
  let cursor: string | undefined;
  do {
    const page = { limit: 200, ...(cursor ? { cursor } : {}) };
    const { items, nextCursor } = await berth.audit.list({ ...query, ...page });
    entries.push(...items);
    cursor = nextCursor ?? undefined;
  } while (cursor && entries.length < CSV_MAX);
  const rows = entries.map(({ at, actor, verb, resource, touched, ...entry }) => [
    ...[at, actor?.name ?? null, actor?.id ?? null, actor?.roles.join(" ") ?? null, verb],
    Object.entries(resource)
      .map(([kind, value]) => `${kind} ${value}`)
      .join(" "),
    ...[touched.join(" "), entry.outcome, entry.code, entry.address, entry.userAgent],
    ...[entry.requestId, entry.seq, entry.hash],
  ]);
  download(`audit-${query.scope}.csv`, csvOf([...HEADS, "request", "place", "hash"], rows));
}

function Export({ scope, query }: { readonly scope: Scope; readonly query: AuditQuery }) {
  const [isReading, setReading] = useState(false);
  const read = async () => {
    setReading(true);
    await attempt("The entries were not exported", () => downloadShown(query));
    setReading(false);
  };
  return (
    <Menu position="bottom-end" width={270} shadow="md">
      <Menu.Target>
        <Button variant="default" loading={isReading} leftSection={<IconDownload size={14} />}>
          Export
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void read()}>What matches, as CSV</Menu.Item>
        <Menu.Item
          component="a"
          href={`/v1/audit/export?scope=${scope}`}
          download={`audit-${scope}.jsonl`}
        >
          The whole chain, to be verified (JSON Lines)
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

const MAX_FRESH = 500;

/** What was sealed since it was switched on, newest first. */
function useTail(isLive: boolean, query: AuditQuery): readonly AuditEntry[] {
  const [entries, setEntries] = useState<readonly AuditEntry[]>([]);
  const key = JSON.stringify(query);
  useEffect(() => {
    setEntries([]);
    if (!isLive) return undefined;
    const stop = new AbortController();
    const follow = async () => {
      for await (const entry of berth.audit.watch(JSON.parse(key) as AuditQuery, stop.signal))
        setEntries((before) => [entry as AuditEntry, ...before].slice(0, MAX_FRESH));
    };
    void follow().catch((error) => {
      if (!stop.signal.aborted) noteError(error);
    });
    return () => stop.abort();
  }, [isLive, key]);
  return entries;
}

function Filters(props: {
  readonly filter: Filter;
  readonly setFilter: (change: Partial<Filter>) => void;
}) {
  const { filter, setFilter } = props;
  // A link may name an operation, or a kind that is not among those.
  const isKnown = filter.verb === "" || KINDS.some(({ value }) => value === filter.verb);
  const kinds = isKnown ? KINDS : [...KINDS, { value: filter.verb, label: filter.verb }];
  const dayField = (name: "from" | "to", label: string) => (
    <TextInput
      size="xs"
      w={140}
      type="date"
      aria-label={label}
      value={filter[name]}
      onChange={(event) => setFilter({ [name]: event.currentTarget.value })}
    />
  );
  return (
    <search className={org.toolbar}>
      <TextInput
        className={org.grow}
        size="xs"
        aria-label="Search the trail"
        placeholder="Anywhere in an entry: a name, an id, an address"
        leftSection={<IconSearch size={14} />}
        value={filter.text}
        onChange={(event) => setFilter({ text: event.currentTarget.value })}
      />
      <TextInput
        size="xs"
        w={140}
        aria-label="Who"
        placeholder="By whom"
        value={filter.actor}
        onChange={(event) => setFilter({ actor: event.currentTarget.value })}
      />
      <Select
        size="xs"
        w={160}
        aria-label="What"
        placeholder="Everything"
        clearable
        searchable
        data={kinds}
        value={filter.verb || null}
        onChange={(verb) => setFilter({ verb: verb ?? "" })}
      />
      <Select
        size="xs"
        w={130}
        aria-label="Outcome"
        placeholder="Any outcome"
        clearable
        data={OUTCOMES}
        value={filter.outcome || null}
        onChange={(outcome) => setFilter({ outcome: outcome ?? "" })}
      />
      <Select
        size="xs"
        w={150}
        aria-label="Since"
        placeholder="Any time"
        clearable
        data={SINCE}
        value={filter.since || null}
        onChange={(since) => setFilter({ since: since ?? "", from: "", to: "" })}
      />
      {filter.since === DAYS ? (
        <>
          {dayField("from", "First day")}
          {dayField("to", "Last day")}
        </>
      ) : null}
    </search>
  );
}

/** Of members, teams and boxes that are there; of others the id is all there is. */
function useNames(scope: Scope): (id: string) => string {
  const nameOf = useNameOf();
  const { boxes } = useLive();
  const all = useOrgs(scope === "installation").items;
  const orgs = useMemo(() => new Map(all?.map(({ id, name }) => [id, name])), [all]);
  return (id) => boxes.get(id)?.name ?? orgs.get(id) ?? nameOf(id);
}

function Entries(props: {
  readonly scope: Scope;
  readonly entries: readonly AuditEntry[];
  readonly open: (entry: AuditEntry) => void;
}) {
  const now = useNow();
  const nameOf = useNames(props.scope);
  return (
    <table className={`${parts.table} ${css.entries}`} aria-label="Audit entries">
      <thead>
        <tr>
          <th>When</th>
          <th>Who</th>
          <th>What</th>
          <th className={parts.wideOnly}>On</th>
          <th>Outcome</th>
        </tr>
      </thead>
      <tbody>
        {props.entries.map((entry) => (
          <tr key={entry.id} onClick={() => props.open(entry)}>
            <td className={`${parts.dim} ${parts.nowrap}`} title={fullTime(entry.at)}>
              {dayAndTime(entry.at, now)}
            </td>
            <td className={css.actor}>
              {entry.actor?.name ?? entry.actor?.id ?? <span className={parts.dim}>–</span>}
            </td>
            <td>
              <button
                type="button"
                className={css.verb}
                onClick={(event) => {
                  event.stopPropagation();
                  props.open(entry);
                }}
              >
                {entry.verb}
              </button>
            </td>
            <td className={`${parts.dim} ${parts.wideOnly} ${css.target}`}>
              {targetOf(entry, nameOf)}
            </td>
            <td>
              {entry.outcome === "ok" ? (
                <span className={parts.dim}>ok</span>
              ) : (
                <Badge
                  size="sm"
                  variant="light"
                  tt="none"
                  color={OUTCOME_COLORS[entry.outcome]}
                  styles={{ root: { maxWidth: "none" }, label: { overflow: "visible" } }}
                >
                  {entry.code ?? entry.outcome}
                </Badge>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
