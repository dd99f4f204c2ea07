// The audit trail: who did what, from where, and how it ended. Searched, and followed as it grows.

import { Badge, Button, Select, Switch, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconDownload, IconHistory, IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { berth, noteError } from "../data/berth.ts";
import { useLive, useNow } from "../data/live.ts";
import { useWho } from "../data/me.ts";
import { usePages } from "../data/pages.ts";
import { useNameOf } from "../data/people.ts";
import type { AuditEntry } from "../data/types.ts";
import { ago, clockTime, fullTime } from "../format.ts";
import { Empty } from "../parts/empty.tsx";
import { ListCard } from "../parts/list-card.tsx";
import { Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import css from "./audit.module.css";
import { EntryDrawer, OUTCOME_COLORS, targetOf } from "./audit-entry.tsx";
import org from "./org.module.css";

interface Filter {
  readonly text: string;
  readonly actor: string;
  readonly verb: string | null;
  readonly outcome: AuditEntry["outcome"] | null;
  readonly sinceMs: string | null;
}

const NO_FILTER: Filter = { text: "", actor: "", verb: null, outcome: null, sinceMs: null };
const HOUR_MS = 3_600_000;
const SINCE = [
  { value: String(HOUR_MS), label: "Last hour" },
  { value: String(24 * HOUR_MS), label: "Last day" },
  { value: String(7 * 24 * HOUR_MS), label: "Last 7 days" },
  { value: String(30 * 24 * HOUR_MS), label: "Last 30 days" },
];
/** The part of a verb before its point, and what people call it. */
const KINDS = [
  { value: "enter.", label: "Entries into boxes" },
  { value: "boxes.", label: "Boxes" },
  { value: "shares.", label: "Shares" },
  { value: "members.", label: "Members" },
  { value: "invitations.", label: "Invitations" },
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
];
const OUTCOMES = [
  { value: "ok", label: "Done" },
  { value: "refused", label: "Refused" },
  { value: "failed", label: "Failed" },
];

type Scope = "org" | "installation";

function queryOf(scope: Scope, filter: Filter, openedMs: number) {
  const { text, actor, verb, outcome, sinceMs } = filter;
  return {
    scope,
    ...(text.trim() ? { text: text.trim() } : {}),
    ...(actor.trim() ? { actor: actor.trim() } : {}),
    ...(verb ? { verb } : {}),
    ...(outcome ? { outcome } : {}),
    ...(sinceMs ? { since: new Date(openedMs - Number(sinceMs)).toISOString() } : {}),
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
  const [filter, setFilter] = useState(NO_FILTER);
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
          <Button
            component="a"
            href={`/v1/audit/export?scope=${scope}`}
            download={`audit-${scope}.jsonl`}
            variant="default"
            leftSection={<IconDownload size={14} />}
          >
            Export
          </Button>
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
        {(entries) => <Entries entries={entries} open={setOpened} />}
      </ListCard>
      <EntryDrawer entry={opened} close={() => setOpened(null)} />
    </Page>
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

function Filters(props: { readonly filter: Filter; readonly setFilter: (filter: Filter) => void }) {
  const { filter, setFilter } = props;
  return (
    <search className={org.toolbar}>
      <TextInput
        className={org.grow}
        size="xs"
        aria-label="Search the trail"
        placeholder="Anywhere in an entry: a name, an id, an address"
        leftSection={<IconSearch size={14} />}
        value={filter.text}
        onChange={(event) => setFilter({ ...filter, text: event.currentTarget.value })}
      />
      <TextInput
        size="xs"
        w={140}
        aria-label="Who"
        placeholder="By whom"
        value={filter.actor}
        onChange={(event) => setFilter({ ...filter, actor: event.currentTarget.value })}
      />
      <Select
        size="xs"
        w={160}
        aria-label="What"
        placeholder="Everything"
        clearable
        searchable
        data={KINDS}
        value={filter.verb}
        onChange={(verb) => setFilter({ ...filter, verb })}
      />
      <Select
        size="xs"
        w={110}
        aria-label="Outcome"
        placeholder="Any outcome"
        clearable
        data={OUTCOMES}
        value={filter.outcome}
        onChange={(outcome) =>
          setFilter({ ...filter, outcome: outcome as AuditEntry["outcome"] | null })
        }
      />
      <Select
        size="xs"
        w={120}
        aria-label="Since"
        placeholder="Any time"
        clearable
        data={SINCE}
        value={filter.sinceMs}
        onChange={(sinceMs) => setFilter({ ...filter, sinceMs })}
      />
    </search>
  );
}

/** Of members, teams and boxes that are there; of others the id is all there is. */
function useNames(): (id: string) => string {
  const nameOf = useNameOf();
  const { boxes } = useLive();
  const orgs = useOrgNames();
  return (id) => boxes.get(id)?.name ?? orgs.get(id) ?? nameOf(id);
}

/** Of other organizations nobody but an operator is told anything. */
function useOrgNames(): ReadonlyMap<string, string> {
  const isOperator = useWho()?.isOperator ?? false;
  const { data } = useQuery({
    queryKey: ["installation", "org-names"],
    queryFn: async () => (await berth.orgs.listAll({ limit: 200 })).items,
    enabled: isOperator,
  });
  return new Map(data?.map(({ id, name }) => [id, name]));
}

function Entries(props: {
  readonly entries: readonly AuditEntry[];
  readonly open: (entry: AuditEntry) => void;
}) {
  const now = useNow();
  const nameOf = useNames();
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
              {now - Date.parse(entry.at) < 24 * HOUR_MS ? clockTime(entry.at) : ago(entry.at, now)}
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
