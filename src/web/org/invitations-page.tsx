// Inviting people: a link for each, which makes whoever opens it a member, once.

import { Select, TextInput } from "@mantine/core";
import { IconMail, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { newestFirst, useAll } from "../data/pages.ts";
import { useNameOf, useTeams } from "../data/people.ts";
import type { Invitation, OrgRole } from "../data/types.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty } from "../parts/empty.tsx";
import { FormDialog, MadeDialog } from "../parts/form-dialog.tsx";
import { ListPage } from "../parts/list-card.tsx";
import { attempt } from "../parts/notify.ts";
import css from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Ago, Until } from "../parts/when.tsx";
import { RoleBadges, RolesField } from "./roles.tsx";

const refresh = () => queries.invalidateQueries({ queryKey: ["invitations"] });
const DAY_MS = 86_400_000;
const LIFETIMES = [
  { value: String(DAY_MS), label: "1 day" },
  { value: String(7 * DAY_MS), label: "7 days" },
  { value: String(30 * DAY_MS), label: "30 days" },
];

export function InvitationsPage() {
  const [isMaking, setMaking] = useState(false);
  const [url, setUrl] = useState<string | null>(null);
  const list = useAll(["invitations"], (page) => berth.invitations.list(page), newestFirst);
  const open = () => setMaking(true);
  return (
    <ListPage
      title="Invitations"
      lead="A link makes whoever opens it a member, once. These can still be taken."
      add={{ label: "Invite somebody", open }}
      list={list}
      find={{
        what: "invitations",
        textOf: ({ email, roles }) => `${email ?? "whoever has the link"} ${roles.join(" ")}`,
      }}
      empty={
        <Empty
          icon={<IconMail size={34} stroke={1.4} />}
          title="No open invitations"
          add={{ label: "Invite the first one", open }}
        >
          Create a link and send it to a colleague.
        </Empty>
      }
      also={
        <>
          {isMaking ? <Invite close={() => setMaking(false)} made={setUrl} /> : null}
          {url ? (
            <MadeDialog
              title="The invitation"
              words="Copy the link now: it is not shown again"
              secrets={[{ label: "Copy the link", text: url }]}
              close={() => setUrl(null)}
            >
              <p className={css.dim}>Send it to whom you mean. It works once.</p>
            </MadeDialog>
          ) : null}
        </>
      }
    >
      {(items) => <InvitationTable items={items} />}
    </ListPage>
  );
}

function InvitationTable({ items }: { readonly items: readonly Invitation[] }) {
  const nameOf = useNameOf();
  const takeBack = async (invitation: Invitation) => {
    const text = "Its link leads nowhere any more.";
    const question = { title: "Take the invitation back?", text, yes: "Take it back" };
    if (!(await confirm({ ...question, isDangerous: true }))) return;
    await attempt("It was not taken back", () => berth.invitations.delete(invitation.id));
    await refresh();
  };
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th>For</th>
          <th>As</th>
          <th className={css.wideOnly}>Team</th>
          <th className={css.wideOnly}>Created</th>
          <th>Expires</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {items.map((invitation) => {
          const whom = invitation.email ?? "whoever has the link";
          return (
            <tr key={invitation.id}>
              <td>{whom}</td>
              <td>
                <RoleBadges roles={invitation.roles} />
              </td>
              <td className={css.wideOnly}>{invitation.team ? nameOf(invitation.team) : "–"}</td>
              <td className={`${css.dim} ${css.wideOnly}`}>
                <Ago at={invitation.createdAt} />
              </td>
              <td className={css.dim}>
                <Until at={invitation.expiresAt} />
              </td>
              <td>
                <RowActions
                  of={`the invitation for ${whom}`}
                  actions={[
                    { label: "Take back", icon: IconTrash, run: () => void takeBack(invitation) },
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

function Invite(props: { readonly close: () => void; readonly made: (url: string) => void }) {
  const teams = useTeams();
  const [email, setEmail] = useState("");
  const [roles, setRoles] = useState<OrgRole[]>(["member"]);
  const [team, setTeam] = useState<string | null>(null);
  const [lifetime, setLifetime] = useState(LIFETIMES[1]?.value ?? "");
  const send = async () => {
    const { url } = await berth.invitations.create({
      roles,
      expiresInMs: Number(lifetime),
      ...(email.trim() ? { email: email.trim() } : {}),
      ...(team ? { team } : {}),
    });
    props.close();
    props.made(url);
    await refresh();
  };
  return (
    <FormDialog
      title="Invite somebody"
      yes="Create link"
      isReady={roles.length > 0}
      close={props.close}
      send={send}
    >
      <TextInput
        label="E-mail address"
        description="Only who signs in with it may take the invitation; that needs a sign-in provider. Left empty: whoever has the link."
        placeholder="ada@example.com"
        type="email"
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
        data-autofocus
        mb="md"
      />
      <RolesField roles={roles} setRoles={setRoles} />
      <Select
        mt="md"
        label="Team"
        placeholder="None"
        clearable
        data={teams.map(({ id, name }) => ({ value: id, label: name }))}
        value={team}
        onChange={setTeam}
      />
      <Select
        mt="md"
        label="Works for"
        allowDeselect={false}
        data={LIFETIMES}
        value={lifetime}
        onChange={(value) => setLifetime(value ?? "")}
      />
    </FormDialog>
  );
}
