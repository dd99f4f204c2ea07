// What a provider's groups mean here: a role at the organization, or in a team.

import { ActionIcon, Button, Select, TextInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useTeams } from "../data/people.ts";
import type { Provider } from "../data/types.ts";
import { Failed, Loading } from "../parts/empty.tsx";
import { FormDialog } from "../parts/form-dialog.tsx";
import parts from "../parts/parts.module.css";
import css from "./org.module.css";
import { ORG_ROLES, ROLE_WORDS, TEAM_ROLES } from "./roles.tsx";

interface Line {
  readonly group: string;
  readonly role: string;
  readonly team: string | null;
}

interface ProviderGroupsProps {
  readonly provider: Provider;
  readonly close: () => void;
}

export function ProviderGroups({ provider, close }: ProviderGroupsProps) {
  const key = ["providers", provider.id, "groups"];
  const said = useQuery({
    queryKey: key,
    queryFn: async () => (await berth.providers.groups(provider.id)).groups,
  });
  const [edited, setEdited] = useState<readonly Line[] | null>(null);
  const lines = edited ?? said.data ?? [];
  return (
    <FormDialog
      title={`Groups of ${provider.label}`}
      yes="Save"
      size="lg"
      isReady={edited?.every(({ group }) => group.trim() !== "") ?? false}
      close={close}
      send={async () => {
        const groups = lines.map((line) => ({ ...line, group: line.group.trim() }));
        await berth.providers.setGroups(provider.id, { groups } as never);
        await queries.invalidateQueries({ queryKey: key });
        close();
      }}
    >
      <p className={parts.dim} style={{ marginTop: 0 }}>
        Whoever is in such a group has its role from the next login on, for as long as they are in
        it. Groups that are not named give none.
      </p>
      {said.isPending ? <Loading rows={2} /> : null}
      {said.error ? <Failed error={said.error} /> : null}
      <div className={css.roles}>
        {lines.map((line, index) => (
          <GroupLine
            // biome-ignore lint/suspicious/noArrayIndexKey: lines have nothing else of their own
            key={index}
            line={line}
            change={(next) => setEdited(lines.map((one, at) => (at === index ? next : one)))}
            remove={() => setEdited(lines.filter((_, at) => at !== index))}
          />
        ))}
        <div>
          <Button
            variant="default"
            leftSection={<IconPlus size={14} />}
            onClick={() => setEdited([...lines, { group: "", role: "member", team: null }])}
          >
            Add a group
          </Button>
        </div>
      </div>
    </FormDialog>
  );
}

const WHOLE = "org";

function GroupLine(props: {
  readonly line: Line;
  readonly change: (line: Line) => void;
  readonly remove: () => void;
}) {
  const { line, change } = props;
  const teams = useTeams();
  const roles =
    line.team === null
      ? ORG_ROLES.map((role) => ({ value: role as string, label: ROLE_WORDS[role][0] }))
      : TEAM_ROLES.map((role) => ({ value: role as string, label: role }));
  return (
    <div className={css.toolbar} style={{ marginBottom: 0 }}>
      <TextInput
        className={css.grow}
        aria-label="Group"
        placeholder="engineering"
        value={line.group}
        onChange={(event) => change({ ...line, group: event.currentTarget.value })}
      />
      <Select
        w={170}
        aria-label="Where"
        allowDeselect={false}
        data={[
          { value: WHOLE, label: "In the organization" },
          ...teams.map(({ id, name }) => ({ value: id, label: `In team ${name}` })),
        ]}
        value={line.team ?? WHOLE}
        onChange={(value) =>
          change({ ...line, role: "member", team: value === WHOLE ? null : value })
        }
      />
      <Select
        w={140}
        aria-label="As"
        allowDeselect={false}
        data={roles}
        value={line.role}
        onChange={(role) => change({ ...line, role: role ?? "member" })}
      />
      <ActionIcon size="lg" aria-label={`Remove the group ${line.group}`} onClick={props.remove}>
        <IconX size={15} />
      </ActionIcon>
    </div>
  );
}
