// Who says who people are: identity providers of the organization or the installation, and directories.

import { Badge } from "@mantine/core";
import {
  IconAddressBook,
  IconLink,
  IconLogin2,
  IconPencil,
  IconTrash,
  IconUsersGroup,
} from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useWho } from "../data/me.ts";
import { byName, newestFirst, useAll } from "../data/pages.ts";
import type { Provider, ScimToken } from "../data/types.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty } from "../parts/empty.tsx";
import { AddButton, ListCard, ListPage } from "../parts/list-card.tsx";
import { attempt } from "../parts/notify.ts";
import { Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Ago } from "../parts/when.tsx";
import { EditProvider, Registered } from "./edit-provider.tsx";
import css from "./org.module.css";
import { ProviderGroups } from "./provider-groups.tsx";
import { MakeScimToken } from "./scim-token.tsx";

type Dialog =
  | { readonly kind: "make" | "scim" }
  | { readonly kind: "edit" | "groups" | "made"; readonly provider: Provider };

export function ProvidersPage() {
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const list = useAll(["providers"], (page) => berth.providers.list(page), byName);
  const scim = useAll(["scim-tokens"], (page) => berth.scimTokens.list(page), newestFirst);
  return (
    <Page
      title="Sign-in providers"
      lead="With an OpenID Connect provider people sign in with the account that they have. A directory (SCIM) says who is there and who has left."
      actions={<AddButton label="New provider" open={() => setDialog({ kind: "make" })} />}
    >
      <ListCard
        title="OpenID Connect"
        list={list}
        empty={
          <NoProvider add={() => setDialog({ kind: "make" })}>
            People log in with tokens and invitations.
          </NoProvider>
        }
      >
        {(providers) => <ProviderTable providers={providers} setDialog={setDialog} />}
      </ListCard>
      <div className={css.gap}>
        <ListCard
          title="Directories"
          actions={<AddButton label="New SCIM token" open={() => setDialog({ kind: "scim" })} />}
          list={scim}
          empty={
            <Empty icon={<IconAddressBook size={34} stroke={1.4} />} title="No directory yet">
              Create a token for yours: with it the directory adds people, and takes out who has
              left, whose sessions end within seconds.
            </Empty>
          }
        >
          {(tokens) => <ScimTable tokens={tokens} />}
        </ListCard>
      </div>
      <ProviderDialogs dialog={dialog} setDialog={setDialog} isOfInstallation={false} />
    </Page>
  );
}

/** Those of everybody. Only operators get here. */
export function InstallationProviders() {
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const all = useAll(["providers"], (page) => berth.providers.list(page), byName);
  const items = all.items?.filter(({ isOfInstallation }) => isOfInstallation) ?? null;
  const add = () => setDialog({ kind: "make" });
  return (
    <ListPage
      title="Sign-in providers"
      lead="Everybody's login page shows them. Whoever signs in by one can belong to several organizations and go from one to the other."
      add={{ label: "New provider", open: add }}
      list={{ ...all, items }}
      empty={
        <NoProvider add={add}>
          People log in with tokens, invitations and what their organizations have set up.
        </NoProvider>
      }
      also={<ProviderDialogs dialog={dialog} setDialog={setDialog} isOfInstallation />}
    >
      {(providers) => <ProviderTable providers={providers} setDialog={setDialog} />}
    </ListPage>
  );
}

function NoProvider(props: { readonly add: () => void; readonly children: ReactNode }) {
  return (
    <Empty
      icon={<IconLogin2 size={34} stroke={1.4} />}
      title="No provider yet"
      add={{ label: "Create the first one", open: props.add }}
    >
      {props.children} Keycloak, Okta, Entra ID, Google, Authentik, Dex: each will do.
    </Empty>
  );
}

interface DialogProps {
  readonly dialog: Dialog | null;
  readonly setDialog: (dialog: Dialog | null) => void;
  readonly isOfInstallation: boolean;
}

function ProviderDialogs({ dialog, setDialog, isOfInstallation }: DialogProps) {
  const close = () => setDialog(null);
  switch (dialog?.kind) {
    case "make":
      return (
        <EditProvider
          provider={null}
          isOfInstallation={isOfInstallation}
          close={close}
          made={(provider) => setDialog({ kind: "made", provider })}
        />
      );
    case "edit":
      return (
        <EditProvider
          provider={dialog.provider}
          isOfInstallation={dialog.provider.isOfInstallation}
          close={close}
          made={close}
        />
      );
    case "made":
      return <Registered provider={dialog.provider} close={close} />;
    case "groups":
      return <ProviderGroups provider={dialog.provider} close={close} />;
    case "scim":
      return <MakeScimToken close={close} />;
    default:
      return null;
  }
}

function ProviderTable(props: {
  readonly providers: readonly Provider[];
  readonly setDialog: (dialog: Dialog) => void;
}) {
  const who = useWho();
  return (
    <table className={parts.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th className={parts.wideOnly}>Issuer</th>
          <th>Of</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {props.providers.map((provider) => {
          const isMine = !provider.isOfInstallation || (who?.isOperator ?? false);
          return (
            <tr key={provider.id} aria-label={provider.name}>
              <td>
                <span className={parts.who}>
                  <span>{provider.label}</span>
                  <span>{provider.name}</span>
                </span>
              </td>
              <td className={parts.wideOnly} style={{ overflowWrap: "anywhere" }}>
                {provider.issuer}
              </td>
              <td>
                <Badge size="sm" variant="light" color="gray" tt="none">
                  {provider.isOfInstallation ? "installation" : "organization"}
                </Badge>
              </td>
              <td>
                <RowActions
                  of={provider.name}
                  actions={[
                    {
                      label: "Addresses to register at",
                      icon: IconLink,
                      run: () => props.setDialog({ kind: "made", provider }),
                    },
                    {
                      label: "Groups of",
                      icon: IconUsersGroup,
                      run: () => props.setDialog({ kind: "groups", provider }),
                    },
                    isMine
                      ? {
                          label: "Change",
                          icon: IconPencil,
                          run: () => props.setDialog({ kind: "edit", provider }),
                        }
                      : null,
                    isMine
                      ? { label: "Delete", icon: IconTrash, run: () => void remove(provider) }
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

async function remove(provider: Provider): Promise<void> {
  const isSure = await confirm({
    title: `Delete ${provider.label}?`,
    text: "Every session that it stands behind ends, and every role that it gave is taken.",
    yes: "Delete",
    isDangerous: true,
  });
  if (!isSure) return;
  await attempt("The provider was not deleted", () => berth.providers.delete(provider.id));
  await queries.invalidateQueries({ queryKey: ["providers"] });
}

function ScimTable({ tokens }: { readonly tokens: readonly ScimToken[] }) {
  const revoke = async (token: ScimToken) => {
    const text = "The directory is not heard any more. Whoever it has let in stays.";
    const question = { title: `Revoke ${token.name}?`, text, yes: "Revoke", isDangerous: true };
    if (!(await confirm(question))) return;
    await attempt("The token was not revoked", () => berth.scimTokens.delete(token.id));
    await queries.invalidateQueries({ queryKey: ["scim-tokens"] });
  };
  return (
    <table className={parts.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th>Last used</th>
          <th className={parts.wideOnly}>Created</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {tokens.map((token) => (
          <tr key={token.id}>
            <td>{token.name}</td>
            <td className={parts.dim}>
              {token.lastUsedAt ? <Ago at={token.lastUsedAt} /> : "never"}
            </td>
            <td className={`${parts.dim} ${parts.wideOnly}`}>
              <Ago at={token.createdAt} />
            </td>
            <td>
              <RowActions
                of={token.name}
                actions={[{ label: "Revoke", icon: IconTrash, run: () => void revoke(token) }]}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
