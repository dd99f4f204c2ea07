// Teams: members with boxes in common.

import { Button, Group, Select } from "@mantine/core";
import {
  IconPencil,
  IconTrash,
  IconUserMinus,
  IconUsers,
  IconUsersGroup,
} from "@tabler/icons-react";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useMay, useWho } from "../data/me.ts";
import { byName, newestFirst, useAll } from "../data/pages.ts";
import { useTeamList } from "../data/people.ts";
import { mayManageTeam } from "../data/rights.ts";
import type { Team, TeamMember, TeamRole } from "../data/types.ts";
import { count } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty } from "../parts/empty.tsx";
import { FormDialog, NameField } from "../parts/form-dialog.tsx";
import { type Find, ListCard, ListPage } from "../parts/list-card.tsx";
import { attempt } from "../parts/notify.ts";
import css from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Refusal, useSending } from "../parts/sending.tsx";
import { Sheet } from "../parts/sheet.tsx";
import { Ago } from "../parts/when.tsx";
import { PersonField } from "./person-field.tsx";
import { isTeamRole, TEAM_ROLE_WORDS, TEAM_ROLES } from "./roles.tsx";

const refresh = async () => {
  await queries.invalidateQueries({ queryKey: ["teams"] });
  await queries.invalidateQueries({ queryKey: ["system"] });
};

const FIND: Find<Team> = {
  what: "teams",
  textOf: ({ id, name }) => `${id} ${name}`,
  orders: {
    "By name": byName,
    "Most members": (one, other) => other.members - one.members,
    "Most boxes": (one, other) => other.boxes - one.boxes,
    "Newest first": newestFirst,
  },
};

type Dialog = { readonly kind: "make" } | { readonly kind: "rename" | "open"; readonly team: Team };

export function TeamsPage() {
  const may = useMay();
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const list = useTeamList();
  const close = () => setDialog(null);
  const add = may("team.manage")
    ? { label: "New team", open: () => setDialog({ kind: "make" }) }
    : null;
  return (
    <ListPage
      title="Teams"
      lead="A team's members see and enter the boxes that belong to it. It can have limits and a budget of its own."
      add={add}
      list={list}
      find={FIND}
      empty={
        <Empty
          icon={<IconUsersGroup size={34} stroke={1.4} />}
          title="No teams yet"
          add={add && { ...add, label: "Create the first one" }}
        >
          {add
            ? "Create one for people who work on the same boxes."
            : "An administrator can create one for people who work on the same boxes."}
        </Empty>
      }
      also={
        <>
          {dialog?.kind === "make" ? <NameTeam team={null} close={close} /> : null}
          {dialog?.kind === "rename" ? <NameTeam team={dialog.team} close={close} /> : null}
          <Sheet
            of={dialog?.kind === "open" ? dialog.team : null}
            close={close}
            title={({ name }) => `Team ${name}`}
          >
            {(team) => <TeamMembers team={team} />}
          </Sheet>
        </>
      }
    >
      {(teams) => <TeamTable teams={teams} setDialog={setDialog} />}
    </ListPage>
  );
}

function TeamTable(props: {
  readonly teams: readonly Team[];
  readonly setDialog: (dialog: Dialog) => void;
}) {
  const who = useWho();
  const mine = new Map(who?.teams.map(({ id, role }) => [id, role]));
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th className={css.number}>Members</th>
          <th className={css.number}>Boxes</th>
          <th className={css.wideOnly}>You are</th>
          <th className={css.wideOnly}>Created</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {props.teams.map((team) => {
          const isMine = who !== null && mayManageTeam(who, team.id);
          const open = () => props.setDialog({ kind: "open", team });
          return (
            <tr key={team.id} aria-label={team.name}>
              <td>
                <button type="button" className={css.plainLink} onClick={open}>
                  {team.name}
                </button>
              </td>
              <td className={css.number}>{team.members}</td>
              <td className={css.number}>{team.boxes}</td>
              <td className={`${css.dim} ${css.wideOnly}`}>{mine.get(team.id) ?? "–"}</td>
              <td className={`${css.dim} ${css.wideOnly}`}>
                <Ago at={team.createdAt} />
              </td>
              <td>
                <RowActions
                  of={team.name}
                  actions={[
                    { label: "Members of", icon: IconUsers, run: open },
                    isMine
                      ? {
                          label: "Rename",
                          icon: IconPencil,
                          run: () => props.setDialog({ kind: "rename", team }),
                        }
                      : null,
                    isMine
                      ? { label: "Delete", icon: IconTrash, run: () => void deleteTeam(team) }
                      : null,
                  ]}
                />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

async function deleteTeam(team: Team): Promise<void> {
  const boxes = count(team.boxes, "box", "boxes");
  const isSure = await confirm({
    title: `Delete the team ${team.name}?`,
    text: `Its ${boxes} stay with their owners; the team's members may not enter them any more.`,
    yes: "Delete",
    isDangerous: true,
  });
  if (!isSure) return;
  await attempt("The team was not deleted", () => berth.teams.delete(team.id));
  await refresh();
}

function NameTeam({ team, close }: { readonly team: Team | null; readonly close: () => void }) {
  const [name, setName] = useState(team?.name ?? "");
  return (
    <FormDialog
      title={team ? `Rename ${team.name}` : "New team"}
      yes={team ? "Rename" : "Create"}
      isReady={name !== ""}
      close={close}
      send={async () => {
        await (team ? berth.teams.update(team.id, { name }) : berth.teams.create({ name }));
        await refresh();
        close();
      }}
    >
      <NameField placeholder="web" name={name} setName={setName} />
    </FormDialog>
  );
}

function TeamMembers({ team }: { readonly team: Team }) {
  const who = useWho();
  const isMine = who !== null && mayManageTeam(who, team.id);
  const list = useAll(
    ["teams", team.id, "members"],
    (page) => berth.teams.members(team.id, page),
    byName,
  );
  const members = list.items ?? [];
  return (
    <div className={css.stack}>
      {isMine ? <AddMember team={team} members={members} /> : null}
      <ListCard
        list={list}
        empty={
          <Empty title="Nobody is in it yet">Its boxes are seen by administrators only.</Empty>
        }
      >
        {(items) => (
          <table className={css.table}>
            <tbody>
              {items.map((member) => (
                <TeamMemberRow
                  key={member.id}
                  team={team}
                  member={member}
                  mayChange={isMine}
                  isMe={member.id === who?.id}
                />
              ))}
            </tbody>
          </table>
        )}
      </ListCard>
    </div>
  );
}

function AddMember(props: { readonly team: Team; readonly members: readonly TeamMember[] }) {
  const [user, setUser] = useState("");
  const [role, setRole] = useState<TeamRole>("member");
  const sending = useSending();
  const add = async () => {
    const body = { user: user.trim(), role };
    if (await sending.send(() => berth.teams.setMember(props.team.id, body))) setUser("");
    await refresh();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <Group align="flex-end" gap="xs">
        <div style={{ flex: 1 }}>
          <PersonField
            label="Add a member"
            value={user}
            setValue={setUser}
            without={props.members.map(({ id }) => id)}
          />
        </div>
        <TeamRoleSelect label="As" role={role} setRole={setRole} />
        <Button size="sm" type="submit" disabled={!user.trim()} loading={sending.isSending}>
          Add
        </Button>
      </Group>
      <Refusal of={sending} />
    </form>
  );
}

function TeamRoleSelect(props: {
  readonly label: string;
  readonly isHidden?: boolean;
  readonly role: TeamRole;
  readonly setRole: (role: TeamRole) => void;
}) {
  return (
    <Select
      {...(props.isHidden ? { "aria-label": props.label, size: "xs" } : { label: props.label })}
      w={118}
      allowDeselect={false}
      data={TEAM_ROLES}
      value={props.role}
      title={TEAM_ROLE_WORDS[props.role]}
      comboboxProps={{ width: 260, position: "bottom-end" }}
      renderOption={({ option }) => (
        <span className={css.who}>
          <span>{option.label}</span>
          <span>{isTeamRole(option.value) ? TEAM_ROLE_WORDS[option.value] : ""}</span>
        </span>
      )}
      onChange={(role) => (isTeamRole(role) ? props.setRole(role) : undefined)}
    />
  );
}

function TeamMemberRow(props: {
  readonly team: Team;
  readonly member: TeamMember;
  readonly mayChange: boolean;
  readonly isMe: boolean;
}) {
  const { team, member, mayChange } = props;
  const setRole = async (role: TeamRole) => {
    await attempt("The role was not changed", () =>
      berth.teams.setMember(team.id, { user: member.id, role }),
    );
    await refresh();
  };
  const remove = async () => {
    await attempt("They are still in the team", () => berth.teams.removeMember(team.id, member.id));
    await refresh();
  };
  return (
    <tr aria-label={member.name}>
      <td>
        <span className={css.who}>
          <span>{member.name}</span>
          {member.email ? <span>{member.email}</span> : null}
        </span>
      </td>
      <td>
        {mayChange && !member.isManaged ? (
          <TeamRoleSelect
            label={`Role of ${member.name}`}
            isHidden
            role={member.role}
            setRole={(role) => void setRole(role)}
          />
        ) : (
          <span className={css.dim}>
            {member.role}
            {member.isManaged ? ", by the provider" : ""}
          </span>
        )}
      </td>
      <td>
        <RowActions
          of={member.name}
          actions={[
            (mayChange || props.isMe) && !member.isManaged
              ? {
                  label: props.isMe ? "Leave the team as" : "Take out of the team:",
                  icon: IconUserMinus,
                  run: () => void remove(),
                }
              : null,
          ]}
        />
      </td>
    </tr>
  );
}
