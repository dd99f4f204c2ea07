// What was used and what it costs: over time, and by whom.

import { Button, SegmentedControl, Select } from "@mantine/core";
import { IconDownload, IconReceipt2 } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useAddress } from "../data/address.ts";
import { berth } from "../data/berth.ts";
import type { Usage } from "../data/types.ts";
import { csvOf, download } from "../parts/download.ts";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { Card, Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { BarChart } from "./bar-chart.tsx";
import { amount, money } from "./money.ts";
import css from "./org.module.css";
import { PricesCard } from "./prices-card.tsx";
import { chartOf, type Measure, NOBODY, type Series, stepsOf, sumsOf } from "./usage-series.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const RANGES = [
  { value: "day", label: "24 hours", step: "hour" },
  { value: "week", label: "7 days", step: "day" },
  { value: "month", label: "30 days", step: "day" },
  // As budgets have it.
  { value: "this", label: "This month", step: "day" },
  { value: "last", label: "Last month", step: "day" },
] as const;
type RangeId = (typeof RANGES)[number]["value"];

function periodOf(range: RangeId, nowMs: number): { readonly from: string; readonly to?: string } {
  const monthAt = (offset: number) => {
    const now = new Date(nowMs);
    return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1)).toISOString();
  };
  // Days are whole, of UTC: the first of them is the one so many days ago.
  const daysAgo = (days: number) =>
    new Date(Math.floor(nowMs / DAY_MS) * DAY_MS - days * DAY_MS).toISOString();
  switch (range) {
    case "day":
      return { from: new Date(nowMs - DAY_MS).toISOString() };
    case "week":
      return { from: daysAgo(6) };
    case "month":
      return { from: daysAgo(29) };
    case "this":
      return { from: monthAt(0) };
    default:
      return { from: monthAt(-1), to: monthAt(0) };
  }
}

const HOLDERS = [
  { value: "user", label: "User" },
  { value: "team", label: "Team" },
  { value: "template", label: "Template" },
  { value: "box", label: "Box" },
] as const;
type Holder = (typeof HOLDERS)[number]["value"];

const MEASURES: Readonly<Record<Measure, string>> = {
  cost: "Cost",
  vcpu: "vCPU-hours",
  memory: "Memory, GiB-hours",
  gpu: "GPU-hours",
  disk_running: "Disk while running, GiB-hours",
  disk_paused: "Disk while paused, GiB-hours",
  disk_stopped: "Disk while stopped, GiB-hours",
  snapshot: "Snapshots, GiB-hours",
  egress: "Bytes out, GiB",
};
const ALL_MEASURES = Object.keys(MEASURES) as Measure[];

export function UsagePage() {
  const [openedMs] = useState(() => Date.now());
  const [asked, ask] = useAddress({ time: "week", by: "user", measure: "" });
  const by = HOLDERS.find(({ value }) => value === asked.by)?.value ?? "user";
  const range = RANGES.find(({ value }) => value === asked.time) ?? RANGES[1];
  const usage = useQuery({
    queryKey: ["usage", range.value, by],
    queryFn: () => berth.usage.get({ ...periodOf(range.value, openedMs), by, step: range.step }),
  });
  return (
    <Page
      title="Usage & cost"
      lead={
        usage.data?.isWhole === false
          ? "What you have used, and teams that you manage. Whoever may see the organization's usage sees all of it."
          : "What the organization uses, hour by hour. The present hour counts up to now; days and months are those of UTC."
      }
      actions={
        usage.data ? (
          <Button
            variant="default"
            leftSection={<IconDownload size={14} />}
            onClick={() => downloadUsage(usage.data, by)}
          >
            Export CSV
          </Button>
        ) : null
      }
    >
      <div className={css.toolbar}>
        <SegmentedControl
          size="xs"
          aria-label="Time"
          value={range.value}
          onChange={(time) => ask({ time })}
          data={RANGES.map(({ value, label }) => ({ value, label }))}
        />
        <SegmentedControl
          size="xs"
          aria-label="By"
          value={by}
          onChange={(value) => ask({ by: value })}
          data={HOLDERS.map(({ value, label }) => ({ value, label }))}
        />
      </div>
      {usage.isPending ? <Loading rows={6} /> : null}
      {usage.error ? <Failed error={usage.error} retry={() => void usage.refetch()} /> : null}
      {usage.data ? (
        <Shown
          usage={usage.data}
          isByHour={range.step === "hour"}
          by={by}
          asked={asked.measure}
          setMeasure={(measure) => ask({ measure })}
        />
      ) : null}
      <div className={css.gap}>
        <PricesCard />
      </div>
    </Page>
  );
}

interface ShownProps {
  readonly usage: Usage;
  readonly isByHour: boolean;
  readonly by: Holder;
  readonly asked: string;
  readonly setMeasure: (measure: Measure) => void;
}

function downloadUsage({ rows, currency }: Usage, by: Holder): void {
  const heads = ["at", by, "id", "resource", "amount", "unit", "cost", "currency"];
  const lines = rows.map(({ at, name, id, resource, amount: used, unit, cost }) => [
    ...[at, name, id, resource, Number(used), unit, Number(cost), currency],
  ]);
  download(`usage-by-${by}.csv`, csvOf(heads, lines));
}

function Shown({ usage, isByHour, by, asked, setMeasure }: ShownProps) {
  const { currency, rows } = usage;
  const possible = ALL_MEASURES.filter((measure) =>
    measure === "cost"
      ? currency !== null && Number(usage.total) > 0
      : rows.some(({ resource }) => resource === measure),
  );
  const measure = possible.find((one) => one === asked) ?? possible[0];
  if (!measure)
    return (
      <Card>
        <Empty icon={<IconReceipt2 size={34} stroke={1.4} />} title="Nothing was used in this time">
          Usage begins with the first box that runs: choose a longer time, or start one.
        </Empty>
      </Card>
    );
  const show = (value: number) =>
    measure === "cost" && currency ? money(value, currency) : amount(value);
  const chart = chartOf(rows, measure, stepsOf(usage.from, usage.to, isByHour ? HOUR_MS : DAY_MS));
  const every = Math.ceil(chart.bars.length / 8);
  const words = (at: string) =>
    new Date(at).toLocaleString([], {
      ...(isByHour ? { hour: "2-digit", minute: "2-digit", hour12: false } : { timeZone: "UTC" }),
      ...(isByHour ? {} : { day: "numeric", month: "short" }),
    });
  return (
    <>
      <Card
        title={
          currency && Number(usage.total) > 0
            ? `${money(usage.total, currency)} in this time`
            : "In this time"
        }
        actions={
          <Select
            size="xs"
            w={230}
            aria-label="What is shown"
            allowDeselect={false}
            data={possible.map((value) => ({ value, label: MEASURES[value] }))}
            value={measure}
            onChange={(value) => setMeasure(value as Measure)}
          />
        }
      >
        <BarChart
          label={`${MEASURES[measure]} by ${by}`}
          chart={{ ...chart, series: chart.series.map((one) => named(one, by)) }}
          show={show}
          tick={(at, index) => (index % every === 0 ? words(at) : null)}
          titleOf={words}
        />
      </Card>
      <div className={css.gap}>
        <SharesTable usage={usage} measure={measure} by={by} show={show} />
      </div>
    </>
  );
}

const TOP = 20;
const named = (series: Series, by: Holder): Series =>
  series.id === NOBODY ? { ...series, name: NO_ONE[by] } : series;

const NO_ONE: Readonly<Record<Holder, string>> = {
  user: "nobody",
  team: "no team",
  template: "no template",
  box: "no box",
};

const shareWords = (share: number) => (share < 0.01 ? "under 1 %" : `${Math.round(share * 100)} %`);

function SharesTable(props: {
  readonly usage: Usage;
  readonly measure: Measure;
  readonly by: Holder;
  readonly show: (value: number) => string;
}) {
  const [isWholeShown, setWholeShown] = useState(false);
  const sums = sumsOf(props.usage.rows, props.measure);
  const shown = isWholeShown ? sums : sums.slice(0, TOP);
  const whole = sums.reduce((sum, { total }) => sum + total, 0);
  return (
    <Card>
      <table className={parts.table} aria-label={`By ${props.by}`}>
        <thead>
          <tr>
            <th>{HOLDERS.find(({ value }) => value === props.by)?.label}</th>
            <th className={parts.wideOnly}>Share</th>
            <th>{MEASURES[props.measure]}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({ id, name, total }) => (
            <tr key={id}>
              <td>
                {id === NOBODY ? <span className={parts.dim}>{NO_ONE[props.by]}</span> : name}
              </td>
              <td className={parts.wideOnly}>{shareWords(total / whole)}</td>
              <td>{props.show(total)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < sums.length ? (
        <div className={parts.more}>
          <Button variant="subtle" color="gray" onClick={() => setWholeShown(true)}>
            Show all {sums.length}
          </Button>
        </div>
      ) : null}
    </Card>
  );
}
