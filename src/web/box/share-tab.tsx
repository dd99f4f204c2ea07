// Whose a box is, and with whom it is shared.

import { Button, Group, Select } from "@mantine/core";
import { IconArrowRight, IconShare, IconUserMinus } from "@tabler/icons-react";
import { useState } from "react";
import type { Box } from "#sdk/client.ts";
import { berth, queries } from "../data/berth.ts";
import { live } from "../data/live.ts";
import { useMayOnBox, useShares, useWho } from "../data/me.ts";
import { useNameOf, useTeams } from "../data/people.ts";
import { mayByRole } from "../data/rights.ts";
import type { BoxRole, Share } from "../data/types.ts";
import { PersonField } from "../org/person-field.tsx";
import { confirm } from "../parts/confirm.tsx";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { FormDialog } from "../parts/form-dialog.tsx";
import { attempt, notifyDone } from "../parts/notify.ts";
import { Card, Facts } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Refusal, useSending } from "../parts/sending.tsx";
import { Ago } from "../parts/when.tsx";

const ROLES: Readonly<Record<BoxRole, readonly [label: string, means: string]>> = {
  view: ["Can view", "See it, its snapshots, ports and events"],
  use: ["Can use", "Also enter it: terminals, SSH, private previews; and fork it"],
  admin: ["Can run", "Also start, stop, share and delete it"],
};
const BOX_ROLES = Object.keys(ROLES) as BoxRole[];

export function ShareTab({ box }: { readonly box: Box }) {
  const who = useWho();
  const mayShare = useMayOnBox(box)("box.share");
  // A share does not give the box away.
  const mayHandOver = who !== null && mayByRole(who, box, "box.share");
  const shares = useShares(box);
  return (
    <div className={parts.stack}>
      <Whose box={box} mayHandOver={mayHandOver} />
      {mayShare ? <AddShare box={box} /> : null}
      <Card title="Shared with">
        {shares.isPending ? <Loading rows={2} /> : null}
        {shares.error ? <Failed error={shares.error} retry={() => void shares.refetch()} /> : null}
        {shares.data?.length === 0 ? (
          <Empty icon={<IconShare size={34} stroke={1.4} />} title="With nobody yet">
            {mayShare
              ? "Whoever it is shared with sees it among their boxes at once."
              : "Its owner, or who runs it, can share it."}
          </Empty>
        ) : null}
        {shares.data && shares.data.length > 0 ? (
          <ShareTable box={box} shares={shares.data} mayShare={mayShare} />
        ) : null}
      </Card>
    </div>
  );
}

const refresh = (box: Box) => queries.invalidateQueries({ queryKey: ["shares", box.id] });

function Whose({ box, mayHandOver }: { readonly box: Box; readonly mayHandOver: boolean }) {
  const who = useWho();
  const nameOf = useNameOf();
  const [isOpen, setOpen] = useState(false);
  const owner = box.owner === who?.id ? `${who.name} (you)` : nameOf(box.owner);
  return (
    <Card
      title="Whose it is"
      actions={
        mayHandOver ? (
          <Button
            size="compact-xs"
            variant="default"
            rightSection={<IconArrowRight size={13} />}
            onClick={() => setOpen(true)}
          >
            Hand over
          </Button>
        ) : null
      }
    >
      <Facts
        facts={[
          ["Owner", owner],
          ["Team", box.team ? nameOf(box.team) : "none: only the owner and whom it is shared with"],
        ]}
      />
      {isOpen ? <HandOver box={box} close={() => setOpen(false)} /> : null}
    </Card>
  );
}

const NO_TEAM = "none";

function HandOver({ box, close }: { readonly box: Box; readonly close: () => void }) {
  const teams = useTeams();
  const [owner, setOwner] = useState("");
  const [team, setTeam] = useState(box.team ?? NO_TEAM);
  const isOtherTeam = team !== (box.team ?? NO_TEAM);
  const send = async () => {
    const updated = await berth.boxes.update(box.id, {
      ...(owner.trim() ? { owner: owner.trim() } : {}),
      ...(isOtherTeam ? { team: team === NO_TEAM ? null : team } : {}),
    });
    live.put(updated);
    notifyDone(`${box.name} was handed over`);
    close();
  };
  return (
    <FormDialog
      title={`Hand ${box.name} over`}
      yes="Hand over"
      isReady={owner.trim() !== "" || isOtherTeam}
      close={close}
      send={send}
    >
      <PersonField label="New owner" value={owner} setValue={setOwner} without={[box.owner]} />
      <Select
        mt="md"
        label="Team"
        allowDeselect={false}
        data={[
          { value: NO_TEAM, label: "None" },
          ...teams.map(({ id, name }) => ({ value: id, label: name })),
        ]}
        value={team}
        onChange={(value) => setTeam(value ?? NO_TEAM)}
      />
      <p className={parts.dim} style={{ marginBottom: 0 }}>
        What it takes counts towards the new owner's and team's limits. You may lose the right to
        enter it.
      </p>
    </FormDialog>
  );
}

function AddShare({ box }: { readonly box: Box }) {
  const teams = useTeams();
  const [kind, setKind] = useState<"user" | "team">("user");
  const [user, setUser] = useState("");
  const [team, setTeam] = useState<string | null>(null);
  const [role, setRole] = useState<BoxRole>("use");
  const sending = useSending();
  const share = async () => {
    const whom = kind === "team" ? { team: team ?? "" } : { user: user.trim() };
    const isDone = await sending.send(() => berth.shares.create(box.id, { ...whom, role }));
    if (isDone) {
      setUser("");
      setTeam(null);
    }
    await refresh(box);
  };
  const isReady = kind === "team" ? team !== null : user.trim() !== "";
  return (
    <Card title="Share it">
      <form
        style={{ padding: "12px 16px 16px" }}
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) void share();
        }}
      >
        <Group align="flex-end" gap="xs">
          {teams.length > 0 ? (
            <Select
              w={110}
              label="With a"
              allowDeselect={false}
              data={[
                { value: "user", label: "member" },
                { value: "team", label: "team" },
              ]}
              value={kind}
              onChange={(value) => setKind(value === "team" ? "team" : "user")}
            />
          ) : null}
          <div style={{ flex: "1 1 180px" }}>
            {kind === "team" ? (
              <Select
                label="Team"
                placeholder="Choose one"
                searchable
                data={teams.map(({ id, name }) => ({ value: id, label: name }))}
                value={team}
                onChange={setTeam}
              />
            ) : (
              <PersonField label="Member" value={user} setValue={setUser} without={[box.owner]} />
            )}
          </div>
          <RoleSelect role={role} setRole={setRole} />
          <Button size="sm" type="submit" disabled={!isReady} loading={sending.isSending}>
            Share
          </Button>
        </Group>
        <Refusal of={sending} />
      </form>
    </Card>
  );
}

function RoleSelect(props: { readonly role: BoxRole; readonly setRole: (role: BoxRole) => void }) {
  return (
    <Select
      w={130}
      label="As"
      allowDeselect={false}
      data={BOX_ROLES.map((role) => ({ value: role, label: ROLES[role][0] }))}
      value={props.role}
      title={ROLES[props.role][1]}
      comboboxProps={{ width: 280, position: "bottom-end" }}
      renderOption={({ option }) => (
        <span className={parts.who}>
          <span>{option.label}</span>
          <span>{ROLES[option.value as BoxRole][1]}</span>
        </span>
      )}
      onChange={(role) => props.setRole((role ?? "use") as BoxRole)}
    />
  );
}

function ShareTable(props: {
  readonly box: Box;
  readonly shares: readonly Share[];
  readonly mayShare: boolean;
}) {
  const { box } = props;
  const who = useWho();
  const remove = async (share: Share, name: string) => {
    const isMine = share.user?.id === who?.id;
    const isSure = await confirm({
      title: isMine ? `Give up ${box.name}?` : `Take ${box.name} back from ${name}?`,
      text: "What was opened by the share ends within seconds.",
      yes: isMine ? "Give it up" : "Take it back",
      isDangerous: true,
    });
    if (!isSure) return;
    await attempt("The share was not taken back", () => berth.shares.delete(box.id, share.id));
    await refresh(box);
  };
  return (
    <table className={parts.table}>
      <tbody>
        {props.shares.map((share) => {
          const name = share.user?.name ?? `team ${share.team?.name ?? ""}`;
          const isMine = share.user?.id === who?.id;
          return (
            <tr key={share.id} aria-label={name}>
              <td>
                {share.team ? <span className={parts.dim}>Team </span> : null}
                {share.user?.name ?? share.team?.name}
              </td>
              <td title={ROLES[share.role][1]}>{ROLES[share.role][0]}</td>
              <td className={`${parts.dim} ${parts.wideOnly}`}>
                <Ago at={share.createdAt} />
              </td>
              <td>
                <RowActions
                  of={name}
                  actions={[
                    props.mayShare || isMine
                      ? {
                          label: isMine ? "Give up the share of" : "Take back from",
                          icon: IconUserMinus,
                          run: () => void remove(share, name),
                        }
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
