// The organization itself: its name, the rules that hold for all its members, for how long the audit trail is kept.

import { Button, NumberInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useMay } from "../data/me.ts";
import { Failed, Loading } from "../parts/empty.tsx";
import { notifyDone } from "../parts/notify.ts";
import { Card, Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { Refusal, useSending } from "../parts/sending.tsx";
import css from "./org.module.css";

const VISIBILITIES = {
  private: "Nobody but who may enter the box",
  org: "Members of the organization",
  public: "Everybody, and links that expire",
} as const;
type Visibility = keyof typeof VISIBILITIES;

export function RulesPage() {
  const may = useMay();
  const org = useQuery({ queryKey: ["org"], queryFn: () => berth.org.get() });
  return (
    <Page title="Rules" lead="What holds for everybody in the organization.">
      {org.isPending ? <Loading rows={3} /> : null}
      {org.error ? <Failed error={org.error} retry={() => void org.refetch()} /> : null}
      <div className={parts.stack}>
        {org.data ? <Name key={org.data.name} name={org.data.name} /> : null}
        {org.data ? <Previews now={org.data.maxVisibility as Visibility} /> : null}
        {may("audit.read") ? <Trail mayChange={may("audit.manage")} /> : null}
      </div>
    </Page>
  );
}

async function saved(): Promise<void> {
  notifyDone("Saved");
  for (const key of ["org", "orgs", "system", "previews", "audit-policy"])
    await queries.invalidateQueries({ queryKey: [key] });
}

function Rule(props: {
  readonly title: string;
  readonly means: string;
  readonly save: () => Promise<unknown>;
  readonly isReady: boolean;
  readonly children: ReactNode;
}) {
  const sending = useSending();
  return (
    <Card title={props.title}>
      <form
        className={css.meters}
        onSubmit={(event) => {
          event.preventDefault();
          void sending.send(() => props.save().then(saved));
        }}
      >
        <div className={parts.dim}>{props.means}</div>
        <div className={css.toolbar} style={{ marginBottom: 0 }}>
          {props.children}
          <Button
            type="submit"
            size="sm"
            variant="default"
            disabled={!props.isReady}
            loading={sending.isSending}
          >
            Save
          </Button>
        </div>
        <Refusal of={sending} />
      </form>
    </Card>
  );
}

function Name({ name }: { readonly name: string }) {
  const [value, setValue] = useState(name);
  return (
    <Rule
      title="Name"
      means="What the organization is called; also in its sign-in address."
      isReady={value !== "" && value !== name}
      save={() => berth.org.update({ name: value })}
    >
      <TextInput
        aria-label="Name of the organization"
        w={260}
        value={value}
        onChange={(event) => setValue(event.currentTarget.value.trim())}
      />
    </Rule>
  );
}

function Previews({ now }: { readonly now: Visibility }) {
  const [value, setValue] = useState<Visibility>(now);
  return (
    <Rule
      title="Previews"
      means="No preview of a port may be open to more people than this. Those that are wider are narrowed at once."
      isReady={value !== now}
      save={() => berth.org.update({ maxVisibility: value })}
    >
      <Select
        aria-label="Previews are open at most to"
        w={260}
        allowDeselect={false}
        data={Object.entries(VISIBILITIES).map(([id, label]) => ({ value: id, label }))}
        value={value}
        onChange={(next) => setValue((next ?? now) as Visibility)}
      />
    </Rule>
  );
}

function Trail({ mayChange }: { readonly mayChange: boolean }) {
  const { data } = useQuery({
    queryKey: ["audit-policy"],
    queryFn: () => berth.audit.getPolicy(),
  });
  const [days, setDays] = useState<string | number | null>(null);
  if (!data) return null;
  const shown = days ?? data.keepDays ?? "";
  return (
    <Rule
      title="Audit trail"
      means={`For how many days it is kept; left empty: for ever. The installation demands at least ${data.keepDaysMin}.`}
      isReady={mayChange && days !== null && shown !== (data.keepDays ?? "")}
      save={() => berth.audit.updatePolicy({ keepDays: shown === "" ? null : Number(shown) })}
    >
      <NumberInput
        aria-label="Days that the audit trail is kept"
        w={260}
        size="sm"
        placeholder="For ever"
        min={1}
        suffix=" days"
        disabled={!mayChange}
        value={shown}
        onChange={setDays}
      />
    </Rule>
  );
}
