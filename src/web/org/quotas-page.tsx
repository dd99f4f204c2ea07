// What is taken, beside what may be: mine, my teams', the organization's; and the limits of each.

import { Alert, Button, SegmentedControl } from "@mantine/core";
import { IconAdjustments, IconGauge } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { berth } from "../data/berth.ts";
import { useMay, useWho } from "../data/me.ts";
import { byName, useAll } from "../data/pages.ts";
import type { Quota, QuotaLimits } from "../data/types.ts";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { type Find, ListCard } from "../parts/list-card.tsx";
import { Meter } from "../parts/meter.tsx";
import { Card, Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { EditLimits, type LimitsOf } from "./edit-limits.tsx";
import css from "./org.module.css";
import {
  COUNTED,
  COUNTED_NAMES,
  type Counted,
  isWorthShowing,
  limitWords,
  waysToFree,
} from "./resources.ts";

const LOOK_MS = 10_000;
type Holders = "team" | "user";

export function QuotasPage() {
  const may = useMay();
  const who = useWho();
  const [edited, setEdited] = useState<LimitsOf | null>(null);
  const quotas = useQuery({
    queryKey: ["quotas", "mine"],
    queryFn: () => berth.quotas.get(),
    // What is used changes without an event.
    refetchInterval: LOOK_MS,
  });
  const { data } = quotas;
  const mayManage = may("quota.manage");
  const ofQuota = (quota: Quota): LimitsOf => ({
    ...{ scope: quota.scope, id: quota.id, name: quota.name },
    limits: quota.ownLimits,
  });
  const editorOf = (quota: Quota, isAllowed: boolean) =>
    isAllowed ? () => setEdited(ofQuota(quota)) : null;
  return (
    <Page
      title="Quotas"
      lead="What is taken, beside what may be. Every limit holds by itself: yours, your team's and the organization's."
    >
      {quotas.isPending ? <Loading rows={6} /> : null}
      {quotas.error ? <Failed error={quotas.error} retry={() => void quotas.refetch()} /> : null}
      {data ? (
        <div className={css.grid}>
          <QuotaCard title="Yours" quota={data.user} edit={editorOf(data.user, mayManage)} />
          {data.teams.map((team) => (
            <QuotaCard
              key={team.id}
              title={`Team ${team.name}`}
              quota={team}
              edit={editorOf(team, mayManage)}
            />
          ))}
          {data.org ? (
            <QuotaCard
              title={`Organization ${data.org.name}`}
              quota={data.org}
              edit={editorOf(data.org, who?.isOperator ?? false)}
              hint={who?.isOperator ? null : "Set by whoever runs the installation."}
            />
          ) : null}
        </div>
      ) : null}
      {data ? (
        <Defaults
          everyTeam={data.everyTeam}
          everyUser={data.everyUser}
          edit={mayManage ? setEdited : null}
        />
      ) : null}
      {may("quota.read") ? (
        <HoldersCard edit={mayManage ? (quota) => setEdited(ofQuota(quota)) : null} />
      ) : null}
      {edited ? <EditLimits of={edited} close={() => setEdited(null)} /> : null}
    </Page>
  );
}

function EditButton({ label, edit }: { readonly label: string; readonly edit: () => void }) {
  return (
    <Button
      size="compact-xs"
      variant="default"
      leftSection={<IconAdjustments size={13} />}
      aria-label={label}
      onClick={edit}
    >
      Limits
    </Button>
  );
}

export function QuotaCard(props: {
  readonly title: string;
  readonly quota: Quota;
  readonly edit: (() => void) | null;
  readonly hint?: ReactNode;
}) {
  const { quota, edit, title } = props;
  return (
    <Card
      title={title}
      actions={edit ? <EditButton label={`Set the limits: ${title}`} edit={edit} /> : null}
    >
      <div className={css.meters}>
        {COUNTED_NAMES.filter((name) => isWorthShowing(quota, name)).map((name) => (
          <Meter
            key={name}
            label={COUNTED[name].label}
            used={quota.usage[name]}
            of={quota.limits[name]}
            show={COUNTED[name].show}
          />
        ))}
        {waysToFree(quota).map((words) => (
          <Alert key={words} color="yellow" p="xs">
            {words}
          </Alert>
        ))}
        {props.hint ? <div className={parts.dim}>{props.hint}</div> : null}
      </div>
    </Card>
  );
}

function Defaults(props: {
  readonly everyTeam: QuotaLimits;
  readonly everyUser: QuotaLimits;
  readonly edit: ((of: LimitsOf) => void) | null;
}) {
  const lines = [
    { id: "user", name: "Every user", limits: props.everyUser },
    { id: "team", name: "Every team", limits: props.everyTeam },
  ] as const;
  return (
    <LimitsCard
      title="Without limits of their own"
      scope="default"
      lines={lines}
      edit={props.edit}
    />
  );
}

/** Who may how much, a line each. */
export function LimitsCard(props: {
  readonly title: string;
  readonly scope: LimitsOf["scope"];
  readonly lines: readonly Omit<LimitsOf, "scope">[];
  readonly edit: ((of: LimitsOf) => void) | null;
}) {
  const { scope, edit } = props;
  return (
    <Card title={props.title}>
      <table className={parts.table}>
        <tbody>
          {props.lines.map((line) => (
            <tr key={line.id} aria-label={line.name}>
              <td className={parts.lineName}>{line.name}</td>
              <td className={parts.dim} style={{ textAlign: "left" }}>
                {limitWords(line.limits)}
              </td>
              {edit ? (
                <td>
                  <EditButton
                    label={`Set the limits: ${line.name}`}
                    edit={() => edit({ scope, ...line })}
                  />
                </td>
              ) : null}
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

const mostFirst = (name: Counted) => (one: Quota, other: Quota) =>
  other.usage[name] - one.usage[name] || byName(one, other);

const FIND: Omit<Find<Quota>, "what"> = {
  textOf: ({ id, name }) => `${id} ${name}`,
  orders: {
    "Most boxes": mostFirst("boxes"),
    "Most running": mostFirst("running"),
    "Most memory": mostFirst("memoryMib"),
    "Most disk": mostFirst("diskGib"),
    "Most snapshots": mostFirst("snapshotBytes"),
    "By name": byName,
  },
};

function HoldersCard({ edit }: { readonly edit: ((quota: Quota) => void) | null }) {
  const [scope, setScope] = useState<Holders>("user");
  const list = useAll(
    ["quotas", "holders", scope],
    (page) => berth.quotas.list({ scope, ...page }),
    mostFirst("boxes"),
  );
  return (
    <div className={css.gap}>
      <ListCard
        title="Who takes it"
        actions={
          <SegmentedControl
            size="xs"
            aria-label="Of whom"
            value={scope}
            onChange={(value) => setScope(value === "team" ? "team" : "user")}
            data={[
              { value: "user", label: "Users" },
              { value: "team", label: "Teams" },
            ]}
          />
        }
        list={list}
        find={{ ...FIND, what: scope === "team" ? "teams" : "users" }}
        empty={
          <Empty icon={<IconGauge size={34} stroke={1.4} />} title="Nobody takes anything">
            {scope === "team" ? "There is no team yet." : null}
          </Empty>
        }
      >
        {(quotas) => <HolderTable quotas={quotas} edit={edit} />}
      </ListCard>
    </div>
  );
}

const COLUMNS = ["boxes", "running", "cpus", "memoryMib", "diskGib", "snapshotBytes"] as const;

const columnOf = (name: (typeof COLUMNS)[number]) =>
  name === "boxes" ? parts.number : `${parts.number} ${parts.wideOnly}`;

function HolderTable(props: {
  readonly quotas: readonly Quota[];
  readonly edit: ((quota: Quota) => void) | null;
}) {
  return (
    <table className={parts.table}>
      <thead>
        <tr>
          <th>Name</th>
          {COLUMNS.map((name) => (
            <th key={name} className={columnOf(name)}>
              {COUNTED[name].label}
            </th>
          ))}
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {props.quotas.map((quota) => (
          <tr key={quota.id} aria-label={quota.name}>
            <td>{quota.name}</td>
            {COLUMNS.map((name) => {
              const limit = quota.limits[name];
              const { show } = COUNTED[name];
              return (
                <td key={name} className={columnOf(name)}>
                  {quota.usage[name] === 0 ? (
                    <span className={parts.dim}>0</span>
                  ) : (
                    show(quota.usage[name])
                  )}
                  {limit === null ? null : <span className={parts.dim}> / {show(limit)}</span>}
                </td>
              );
            })}
            <td>
              <RowActions
                of={quota.name}
                actions={[
                  props.edit
                    ? {
                        label: "Set the limits of",
                        icon: IconAdjustments,
                        run: () => props.edit?.(quota),
                      }
                    : null,
                ]}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
