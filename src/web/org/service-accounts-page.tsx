// Service accounts: users that are programs, with tokens of their own.

import { TextInput } from "@mantine/core";
import { IconRobot, IconTicket, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { TokenDialogs, TokenTable } from "../account/token-table.tsx";
import { berth, queries } from "../data/berth.ts";
import { byName, useAll } from "../data/pages.ts";
import type { Member, OrgRole } from "../data/types.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty } from "../parts/empty.tsx";
import { FormDialog } from "../parts/form-dialog.tsx";
import { AddButton, ListCard, ListPage } from "../parts/list-card.tsx";
import { attempt } from "../parts/notify.ts";
import css from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Sheet } from "../parts/sheet.tsx";
import { Ago } from "../parts/when.tsx";
import { RoleBadges, RolesField } from "./roles.tsx";

const refresh = () => queries.invalidateQueries({ queryKey: ["service-accounts"] });

export function ServiceAccountsPage() {
  const [isMaking, setMaking] = useState(false);
  const [opened, setOpened] = useState<Member | null>(null);
  const list = useAll(
    ["service-accounts", "list"],
    (page) => berth.serviceAccounts.list(page),
    byName,
  );
  return (
    <ListPage
      title="Service accounts"
      lead="Users that are programs: a build server, a bot. They log in with tokens only, and have roles as people do."
      add={{ label: "New service account", open: () => setMaking(true) }}
      list={list}
      find={{
        what: "service accounts",
        textOf: ({ id, name, roles }) => `${id} ${name} ${roles.join(" ")}`,
      }}
      empty={
        <Empty
          icon={<IconRobot size={34} stroke={1.4} />}
          title="No service accounts yet"
          add={{ label: "Create the first one", open: () => setMaking(true) }}
        >
          A program with a person's token stops working when the person leaves. Give it an account.
        </Empty>
      }
      also={
        <>
          {isMaking ? <Make close={() => setMaking(false)} made={setOpened} /> : null}
          <Sheet
            of={opened}
            close={() => setOpened(null)}
            title={({ name }) => `Tokens of ${name}`}
          >
            {(account) => <AccountTokens account={account} />}
          </Sheet>
        </>
      }
    >
      {(accounts) => <AccountTable accounts={accounts} open={setOpened} />}
    </ListPage>
  );
}

function AccountTable(props: {
  readonly accounts: readonly Member[];
  readonly open: (account: Member) => void;
}) {
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th>Roles</th>
          <th className={`${css.number} ${css.wideOnly}`}>Boxes</th>
          <th className={css.wideOnly}>Created</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {props.accounts.map((account) => (
          <tr key={account.id} aria-label={account.name}>
            <td>
              <button type="button" className={css.plainLink} onClick={() => props.open(account)}>
                {account.name}
              </button>
            </td>
            <td>
              <RoleBadges roles={account.roles} />
            </td>
            <td className={`${css.number} ${css.dim} ${css.wideOnly}`}>{account.boxes}</td>
            <td className={`${css.dim} ${css.wideOnly}`}>
              <Ago at={account.since} />
            </td>
            <td>
              <RowActions
                of={account.name}
                actions={[
                  { label: "Tokens of", icon: IconTicket, run: () => props.open(account) },
                  { label: "Delete", icon: IconTrash, run: () => void remove(account) },
                ]}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

async function remove(account: Member): Promise<void> {
  const isSure = await confirm({
    title: `Delete ${account.name}?`,
    text: "Its tokens end within seconds. Its boxes stay.",
    yes: "Delete",
    isDangerous: true,
  });
  if (!isSure) return;
  await attempt("It was not deleted", () => berth.serviceAccounts.delete(account.id));
  await refresh();
}

function Make(props: { readonly close: () => void; readonly made: (account: Member) => void }) {
  const [name, setName] = useState("");
  const [roles, setRoles] = useState<OrgRole[]>(["member"]);
  return (
    <FormDialog
      title="New service account"
      yes="Create"
      isReady={name !== "" && roles.length > 0}
      close={props.close}
      send={async () => {
        const account = await berth.serviceAccounts.create({ name, roles });
        await refresh();
        props.close();
        props.made(account);
      }}
    >
      <TextInput
        data-autofocus
        mb="md"
        label="Name"
        placeholder="ci"
        value={name}
        onChange={(event) => setName(event.currentTarget.value.trim())}
      />
      <RolesField roles={roles} setRoles={setRoles} />
    </FormDialog>
  );
}

function AccountTokens({ account }: { readonly account: Member }) {
  const [isMaking, setMaking] = useState(false);
  const key = ["service-accounts", account.id, "tokens"];
  const list = useAll(key, (page) => berth.serviceAccounts.tokens(account.id, page));
  const again = () => queries.invalidateQueries({ queryKey: key });
  return (
    <>
      <ListCard
        title="Tokens"
        actions={<AddButton label="New token" open={() => setMaking(true)} />}
        list={list}
        empty={
          <Empty title="No tokens yet">
            Create one and give it to the program: it is shown once.
          </Empty>
        }
      >
        {(tokens) => (
          <TokenTable
            tokens={tokens}
            revoke={(token) => berth.serviceAccounts.deleteToken(account.id, token.id)}
            refresh={again}
          />
        )}
      </ListCard>
      <TokenDialogs
        isMaking={isMaking}
        close={() => setMaking(false)}
        make={async (body) => {
          const { token } = await berth.serviceAccounts.createToken(account.id, body);
          await again();
          return token;
        }}
      />
    </>
  );
}
