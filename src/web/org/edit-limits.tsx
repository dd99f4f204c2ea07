// Setting limits: a number each, or none.

import { MultiSelect, NumberInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import type { QuotaLimits } from "../data/types.ts";
import { FormDialog } from "../parts/form-dialog.tsx";
import parts from "../parts/parts.module.css";
import css from "./org.module.css";
import { LIMIT_NAMES, LIMITS, type LimitName } from "./resources.ts";

export interface LimitsOf {
  readonly scope: "org" | "team" | "user" | "default" | "installation";
  /** With the last two: `org`, `team` or `user`, of which each has them. */
  readonly id: string;
  readonly name: string;
  /** Without templates, where those cannot be limited. */
  readonly limits: Limits;
}

type Limits = Omit<QuotaLimits, "templates"> & Partial<Pick<QuotaLimits, "templates">>;

const sizeOf = (name: LimitName) => LIMITS[name].unit?.size ?? 1;

function send({ scope, id }: LimitsOf, limits: Partial<QuotaLimits>): Promise<unknown> {
  switch (scope) {
    case "org":
      return berth.quotas.setOrg(id, limits);
    case "team":
      return berth.quotas.setTeam(id, limits);
    case "user":
      return berth.quotas.setUser(id, limits);
    case "default":
      return berth.quotas.setDefault(id, limits);
    default:
      return berth.quotas.setInstallation(id, limits);
  }
}

export function EditLimits({ of, close }: { readonly of: LimitsOf; readonly close: () => void }) {
  // Only what is touched is sent: others may set the rest at the same time.
  const [changes, setChanges] = useState<Partial<QuotaLimits>>({});
  const now = { ...of.limits, ...changes };
  const change = (name: LimitName, value: string | number) => {
    const limit = value === "" ? null : Math.round(Number(value) * sizeOf(name));
    setChanges({ ...changes, [name]: limit });
  };
  return (
    <FormDialog
      title={`Limits: ${of.name}`}
      yes="Save"
      size="lg"
      close={close}
      isReady={Object.keys(changes).length > 0}
      send={async () => {
        await send(of, changes);
        await queries.invalidateQueries({ queryKey: ["quotas"] });
        close();
      }}
    >
      <p className={parts.dim} style={{ marginTop: 0 }}>
        Left empty: no limit of its own. A limit below what is taken ends nothing; it refuses more.
      </p>
      <div className={css.fields}>
        {LIMIT_NAMES.map((name) => {
          const { label, unit } = LIMITS[name];
          const value = now[name];
          return (
            <NumberInput
              key={name}
              size="sm"
              label={label}
              placeholder="No limit"
              min={0}
              allowNegative={false}
              decimalScale={unit && unit.size > 1 ? 2 : 0}
              suffix={unit ? ` ${unit.name}` : ""}
              value={value === null ? "" : value / sizeOf(name)}
              onChange={(next) => change(name, next)}
            />
          );
        })}
      </div>
      {now.templates === undefined ? null : (
        <TemplatesField
          value={now.templates}
          setValue={(templates) => setChanges({ ...changes, templates })}
        />
      )}
    </FormDialog>
  );
}

function TemplatesField(props: {
  readonly value: readonly string[] | null;
  readonly setValue: (templates: string[] | null) => void;
}) {
  const { data } = useQuery({
    queryKey: ["templates"],
    queryFn: () => berth.templates.list({ limit: 200 }),
  });
  return (
    <MultiSelect
      mt="md"
      size="sm"
      label="Only these templates"
      placeholder={props.value?.length ? "" : "All templates"}
      searchable
      clearable
      data={(data?.items ?? []).map(({ id, name }) => ({ value: id, label: name }))}
      value={[...(props.value ?? [])]}
      onChange={(templates) => props.setValue(templates.length > 0 ? templates : null)}
    />
  );
}
