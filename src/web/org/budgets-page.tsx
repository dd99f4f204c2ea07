// What may be spent in a month, of the organization and of teams, and what happens then.

import { Alert, Badge, Select, TagsInput, TextInput } from "@mantine/core";
import { IconCoin, IconPencil, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useMay } from "../data/me.ts";
import { useTeams } from "../data/people.ts";
import type { Budget } from "../data/types.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { FormDialog } from "../parts/form-dialog.tsx";
import { AddButton } from "../parts/list-card.tsx";
import { Meter } from "../parts/meter.tsx";
import { attempt } from "../parts/notify.ts";
import { Card, Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { amount, money } from "./money.ts";
import css from "./org.module.css";

const refresh = () => queries.invalidateQueries({ queryKey: ["budgets"] });
const LOOK_MS = 30_000;

const POLICIES: Readonly<Record<Budget["policy"], string>> = {
  warn: "Only tell",
  refuse: "Let nothing start any more",
  pause: "Also pause what runs",
};

export function BudgetsPage() {
  const may = useMay();
  const [edited, setEdited] = useState<Budget | "new" | null>(null);
  const list = useQuery({
    queryKey: ["budgets"],
    queryFn: async () => (await berth.budgets.list()).items,
    // Time alone spends it.
    refetchInterval: LOOK_MS,
  });
  const mayManage = may("budget.manage");
  const open = () => setEdited("new");
  return (
    <Page
      title="Budgets"
      lead="What may be spent in a month. A spent budget can pause boxes, and never deletes anything."
      actions={mayManage ? <AddButton label="New budget" open={open} /> : null}
    >
      {list.isPending ? <Loading rows={4} /> : null}
      {list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : null}
      {list.data?.length === 0 ? (
        <Card>
          <Empty
            icon={<IconCoin size={34} stroke={1.4} />}
            title="No budgets yet"
            add={mayManage ? { label: "Create the first one", open } : null}
          >
            {mayManage
              ? "Set one for the organization or for a team, and be told before it is spent."
              : "Nobody has set one for the organization or your teams."}
          </Empty>
        </Card>
      ) : null}
      <div className={css.grid}>
        {list.data?.map((budget) => (
          <BudgetCard
            key={budget.id}
            budget={budget}
            edit={mayManage ? () => setEdited(budget) : null}
          />
        ))}
      </div>
      {edited ? (
        <EditBudget
          budget={edited === "new" ? null : edited}
          taken={list.data ?? []}
          close={() => setEdited(null)}
        />
      ) : null}
    </Page>
  );
}

const nameOf = ({ team }: Budget) => (team ? `Team ${team.name}` : "The organization");

function BudgetCard(props: { readonly budget: Budget; readonly edit: (() => void) | null }) {
  const { budget, edit } = props;
  const { currency } = budget;
  const show = (value: number) => (currency ? money(value, currency) : amount(value));
  const resets = new Date(budget.resetsAt).toLocaleDateString([], {
    ...{ day: "numeric", month: "long", timeZone: "UTC" },
  });
  return (
    <Card
      title={nameOf(budget)}
      actions={
        <RowActions
          of={`the budget: ${nameOf(budget)}`}
          actions={[
            edit ? { label: "Change", icon: IconPencil, run: edit } : null,
            edit ? { label: "Delete", icon: IconTrash, run: () => void remove(budget) } : null,
          ]}
        />
      }
    >
      <div className={css.meters}>
        <Meter
          label={`${budget.percent} % spent`}
          used={Number(budget.spent)}
          of={Number(budget.amount)}
          show={show}
          marks={budget.thresholds.map((percent) => percent / 100)}
        />
        <div className={parts.chips}>
          {budget.thresholds.map((percent) => (
            <Badge
              key={percent}
              size="sm"
              tt="none"
              variant="light"
              color={budget.told.includes(percent) ? "yellow" : "gray"}
            >
              {percent} %{budget.told.includes(percent) ? " · told" : ""}
            </Badge>
          ))}
        </div>
        {budget.isClosed ? (
          <Alert color="red" p="xs">
            It is spent: nothing starts until it is raised or the month ends.
          </Alert>
        ) : null}
        <div className={parts.dim}>
          {Number(budget.perHour) > 0
            ? `If it goes on like now, the month will have cost ${show(Number(budget.projected))}. `
            : ""}
          When it is spent: {POLICIES[budget.policy].toLowerCase()}. Begins anew on {resets}.
          {currency === null ? " Nothing has a price yet, so nothing is spent." : ""}
        </div>
      </div>
    </Card>
  );
}

async function remove(budget: Budget): Promise<void> {
  const isSure = await confirm({
    title: "Delete the budget?",
    text: `${nameOf(budget)} may spend without a limit then. What it has stopped may start again.`,
    yes: "Delete",
    isDangerous: true,
  });
  if (!isSure) return;
  await attempt("The budget was not deleted", () => berth.budgets.delete(budget.id));
  await refresh();
}

const WHOLE = "org";

function EditBudget(props: {
  readonly budget: Budget | null;
  readonly taken: readonly Budget[];
  readonly close: () => void;
}) {
  const { budget } = props;
  const teams = useTeams();
  const isTaken = (id: string) => props.taken.some(({ team }) => (team?.id ?? WHOLE) === id);
  const holders = [
    { value: WHOLE, label: "The organization" },
    ...teams.map(({ id, name }) => ({ value: id, label: `Team ${name}` })),
  ].filter(({ value }) => budget !== null || !isTaken(value));
  const [chosen, setHolder] = useState<string | null>(budget ? (budget.team?.id ?? WHOLE) : null);
  const holder = chosen ?? holders[0]?.value ?? null;
  const [sum, setSum] = useState(budget?.amount ?? "");
  const [policy, setPolicy] = useState<Budget["policy"]>(budget?.policy ?? "warn");
  const [thresholds, setThresholds] = useState((budget?.thresholds ?? [50, 80, 100]).map(String));
  const send = async () => {
    await berth.budgets.set({
      ...(holder && holder !== WHOLE ? { team: holder } : {}),
      ...{ amount: sum, policy },
      thresholds: [...new Set(thresholds.map(Number))].sort((a, b) => a - b),
    });
    await refresh();
    props.close();
  };
  return (
    <FormDialog
      title={budget ? `Budget: ${nameOf(budget)}` : "New budget"}
      yes="Save"
      isReady={holder !== null && sum !== ""}
      close={props.close}
      send={send}
    >
      {budget ? null : (
        <Select
          mb="md"
          label="Of"
          allowDeselect={false}
          data={holders}
          value={holder}
          onChange={setHolder}
          placeholder="Everybody has one already"
        />
      )}
      <TextInput
        data-autofocus
        label="For each month"
        description="In the currency of the prices; months of UTC."
        placeholder="250"
        inputMode="decimal"
        value={sum}
        onChange={(event) => setSum(event.currentTarget.value.trim().replace(",", "."))}
      />
      <TagsInput
        mt="md"
        size="sm"
        label="Tell at"
        description="Percent of it; told once a month."
        maxTags={10}
        value={thresholds}
        onChange={(all) => setThresholds(all.filter((one) => /^[1-9]\d{0,3}$/.test(one)))}
      />
      <Select
        mt="md"
        label="When it is spent"
        allowDeselect={false}
        data={Object.entries(POLICIES).map(([value, label]) => ({ value, label }))}
        value={policy}
        onChange={(value) => setPolicy((value ?? "warn") as Budget["policy"])}
      />
    </FormDialog>
  );
}
