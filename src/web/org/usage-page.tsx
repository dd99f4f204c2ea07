// What was used and what it costs: over time, and by whom.

import { SegmentedControl, Select } from "@mantine/core";
import { IconReceipt2 } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth } from "../data/berth.ts";
import type { Usage } from "../data/types.ts";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { Card, Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { BarChart } from "./bar-chart.tsx";
import { amount, money } from "./money.ts";
import css from "./org.module.css";
import { PricesCard } from "./prices-card.tsx";
import { chartOf, type Measure, stepsOf, sumsOf } from "./usage-series.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const RANGES = [
  { value: "day", label: "24 hours", spanMs: DAY_MS, step: "hour" },
  { value: "week", label: "7 days", spanMs: 7 * DAY_MS, step: "day" },
  { value: "month", label: "30 days", spanMs: 30 * DAY_MS, step: "day" },
] as const;
type RangeId = (typeof RANGES)[number]["value"];

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
  const [rangeId, setRange] = useState<RangeId>("week");
  const [by, setBy] = useState<Holder>("user");
  const range = RANGES.find(({ value }) => value === rangeId) ?? RANGES[1];
  const from = new Date(openedMs - range.spanMs).toISOString();
  const usage = useQuery({
    queryKey: ["usage", rangeId, by],
    queryFn: () => berth.usage.get({ from, by, step: range.step }),
  });
  return (
    <Page
      title="Usage & cost"
      lead={
        usage.data?.isWhole === false
          ? "What you have used, and teams that you manage. Whoever may see the organization's usage sees all of it."
          : "What the organization uses, hour by hour. The present hour counts up to now."
      }
    >
      <div className={css.toolbar}>
        <SegmentedControl
          size="xs"
          aria-label="Time"
          value={rangeId}
          onChange={(value) => setRange(value as RangeId)}
          data={RANGES.map(({ value, label }) => ({ value, label }))}
        />
        <SegmentedControl
          size="xs"
          aria-label="By"
          value={by}
          onChange={(value) => setBy(value as Holder)}
          data={HOLDERS.map(({ value, label }) => ({ value, label }))}
        />
      </div>
      {usage.isPending ? <Loading rows={6} /> : null}
      {usage.error ? <Failed error={usage.error} retry={() => void usage.refetch()} /> : null}
      {usage.data ? <Shown usage={usage.data} isByHour={range.step === "hour"} by={by} /> : null}
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
}

function Shown({ usage, isByHour, by }: ShownProps) {
  const { currency, rows } = usage;
  const [asked, setMeasure] = useState<Measure | null>(null);
  const possible = ALL_MEASURES.filter((measure) =>
    measure === "cost"
      ? currency !== null && Number(usage.total) > 0
      : rows.some(({ resource }) => resource === measure),
  );
  const measure = asked && possible.includes(asked) ? asked : possible[0];
  if (!measure)
    return (
      <Card>
        <Empty icon={<IconReceipt2 size={34} stroke={1.4} />} title="Nothing was used in this time">
          Usage begins with the first box that runs.
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
          chart={chart}
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

const NO_ONE: Readonly<Record<Holder, string>> = {
  user: "nobody",
  team: "no team",
  template: "no template",
  box: "no box",
};

function SharesTable(props: {
  readonly usage: Usage;
  readonly measure: Measure;
  readonly by: Holder;
  readonly show: (value: number) => string;
}) {
  const sums = sumsOf(props.usage.rows, props.measure);
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
          {sums.map(({ id, name, total }) => (
            <tr key={id}>
              <td>
                {id === "none" ? <span className={parts.dim}>{NO_ONE[props.by]}</span> : name}
              </td>
              <td className={parts.wideOnly}>{Math.round((total / whole) * 100)} %</td>
              <td>{props.show(total)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
