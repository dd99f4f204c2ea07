// Who belongs to the organization, and as what.

import { Badge } from "@mantine/core";
import { IconAdjustments, IconDoorExit, IconUserMinus, IconUsers } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useMay, useWho } from "../data/me.ts";
import { byName } from "../data/pages.ts";
import { useMembers } from "../data/people.ts";
import type { Member, OrgRole } from "../data/types.ts";
import { count } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty } from "../parts/empty.tsx";
import { FormDialog } from "../parts/form-dialog.tsx";
import { type Find, ListPage } from "../parts/list-card.tsx";
import { attempt, notifyDone } from "../parts/notify.ts";
import css from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Ago } from "../parts/when.tsx";
import { ROLE_WORDS, RoleBadges, RolesField } from "./roles.tsx";

const FIND: Find<Member> = {
  what: "members",
  textOf: ({ id, name, email, kind, roles, isDisabled, isSuspended }) =>
    [
      ...[id, name, email, kind, ...roles.map((role) => ROLE_WORDS[role][0])],
      ...[isDisabled ? "disabled" : "", isSuspended ? "refused" : ""],
    ].join(" "),
  orders: {
    "By name": byName,
    "Newest first": (one, other) => Date.parse(other.since) - Date.parse(one.since),
    "Most boxes": (one, other) => other.boxes - one.boxes,
  },
};
const refresh = () => queries.invalidateQueries({ queryKey: ["members"] });

export function MembersPage() {
  const may = useMay();
  const navigate = useNavigate();
  const [edited, setEdited] = useState<Member | null>(null);
  const list = useMembers();
  const invite = () => void navigate({ to: "/org/$section", params: { section: "invitations" } });
  return (
    <ListPage
      title="Members"
      lead="Whoever belongs to the organization. Roles add up; what somebody loses ends within seconds, open terminals too."
      add={may("member.manage") ? { label: "Invite somebody", open: invite } : null}
      list={list}
      find={FIND}
      empty={<Empty icon={<IconUsers size={34} stroke={1.4} />} title="Nobody yet" />}
      also={edited ? <EditRoles member={edited} close={() => setEdited(null)} /> : null}
    >
      {(members) => (
        <table className={css.table}>
          <thead>
            <tr>
              <th>Name</th>
              <th>Roles</th>
              <th className={`${css.number} ${css.wideOnly}`}>Boxes</th>
              <th className={css.wideOnly}>Since</th>
              <th aria-label="Actions" />
            </tr>
          </thead>
          <tbody>
            {members.map((member) => (
              <MemberRow key={member.id} member={member} edit={() => setEdited(member)} />
            ))}
          </tbody>
        </table>
      )}
    </ListPage>
  );
}

function MemberRow({ member, edit }: { readonly member: Member; readonly edit: () => void }) {
  const may = useMay();
  const who = useWho();
  const isMe = member.id === who?.id;
  // Only owners touch owners.
  const mayManage =
    may("member.manage") &&
    (!member.roles.includes("owner") || (who?.roles.includes("owner") ?? false));
  return (
    <tr aria-label={member.name}>
      <td>
        <span className={css.who}>
          <span>
            {member.name}
            {isMe ? <Tag text="you" /> : null}
            {member.kind === "service" ? <Tag text="service account" /> : null}
            {member.isDisabled ? <Tag text="disabled" /> : null}
            {member.isSuspended ? <Tag text="refused by their provider" /> : null}
          </span>
          {member.email ? <span>{member.email}</span> : null}
        </span>
      </td>
      <td>
        <RoleBadges roles={member.roles} managed={member.managedRoles} />
      </td>
      <td className={`${css.number} ${css.dim} ${css.wideOnly}`}>{member.boxes}</td>
      <td className={`${css.dim} ${css.wideOnly} ${css.nowrap}`}>
        <Ago at={member.since} />
      </td>
      <td>
        <RowActions
          of={member.name}
          actions={[
            mayManage ? { label: "Change the roles of", icon: IconAdjustments, run: edit } : null,
            isMe
              ? { label: "Leave as", icon: IconDoorExit, run: () => void remove(member, true) }
              : mayManage
                ? { label: "Remove", icon: IconUserMinus, run: () => void remove(member, false) }
                : null,
          ]}
        />
      </td>
    </tr>
  );
}

function Tag({ text }: { readonly text: string }) {
  return (
    <Badge ml={8} size="xs" variant="light" color="gray" tt="none">
      {text}
    </Badge>
  );
}

async function remove(member: Member, isMe: boolean): Promise<void> {
  const boxes =
    member.boxes > 0
      ? ` ${count(member.boxes, "box", "boxes")} of theirs stay, to be handed over.`
      : "";
  const isSure = await confirm({
    title: isMe ? "Leave this organization?" : `Remove ${member.name}?`,
    text: isMe
      ? "You are logged out of it at once. Your boxes stay here."
      : `Their logins, tokens and keys here end, and what they have open ends within seconds.${boxes}`,
    yes: isMe ? "Leave" : "Remove",
    isDangerous: true,
  });
  if (!isSure) return;
  const isDone = await attempt(isMe ? "You are still here" : `${member.name} was not removed`, () =>
    berth.members.remove(member.id),
  );
  if (isDone && !isMe) notifyDone(`${member.name} is out`);
  await refresh();
}

function EditRoles({ member, close }: { readonly member: Member; readonly close: () => void }) {
  const given = member.roles.filter((role) => !member.managedRoles.includes(role));
  const [roles, setRoles] = useState<OrgRole[]>(given);
  return (
    <FormDialog
      title={`Roles of ${member.name}`}
      yes="Save"
      isReady={roles.length > 0}
      close={close}
      send={async () => {
        await berth.members.update(member.id, { roles });
        await refresh();
        close();
      }}
    >
      <RolesField roles={roles} setRoles={setRoles} />
      {member.managedRoles.length > 0 ? (
        <p className={css.dim} style={{ marginBottom: 0 }}>
          Also, by the sign-in provider or directory: {member.managedRoles.join(", ")}. Those are
          changed there.
        </p>
      ) : null}
    </FormDialog>
  );
}
