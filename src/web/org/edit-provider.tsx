// Making an identity provider known, and changing it.

import { Checkbox, Modal, PasswordInput, Select, TagsInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useWho } from "../data/me.ts";
import type { OrgRole, Provider } from "../data/types.ts";
import { FormDialog } from "../parts/form-dialog.tsx";
import { Copyable, Facts } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import css from "./org.module.css";
import { ORG_ROLES, ROLE_WORDS } from "./roles.tsx";

/** What the provider asks for on its side. */
export function Registered(props: { readonly provider: Provider; readonly close: () => void }) {
  const { provider } = props;
  return (
    <Modal opened onClose={props.close} title={`Register Berth at ${provider.label}`} size="lg">
      <p className={parts.dim} style={{ marginTop: 0 }}>
        As a confidential client, for the authorization code flow (and the device flow, for
        <code> berth login</code>), with these addresses:
      </p>
      <Facts
        facts={[
          ["Redirect address", <Copyable key="redirect" text={provider.redirectUri} />],
          ["Back-channel log-out", <Copyable key="logout" text={provider.logoutUri} />],
          ["People log in at", <Copyable key="login" text={provider.loginUrl} />],
        ]}
      />
    </Modal>
  );
}

interface Draft {
  readonly name: string;
  readonly label: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly isOfInstallation: boolean;
  readonly admitsNewUsers: boolean;
  readonly emailDomains: readonly string[];
  readonly groupsClaim: string;
  readonly defaultRole: OrgRole | null;
}

const NEW: Draft = {
  ...{ name: "", label: "", issuer: "", clientId: "", clientSecret: "" },
  ...{ isOfInstallation: false, admitsNewUsers: true, emailDomains: [], groupsClaim: "groups" },
  defaultRole: "member",
};

async function send(draft: Draft, provider: Provider | null): Promise<Provider> {
  const { name, label, clientId, clientSecret, admitsNewUsers, defaultRole } = draft;
  const body = {
    ...{ name, label: label.trim(), clientId: clientId.trim(), admitsNewUsers, defaultRole },
    ...{ emailDomains: [...draft.emailDomains], groupsClaim: draft.groupsClaim.trim() },
    ...(clientSecret ? { clientSecret } : {}),
  };
  const { issuer, isOfInstallation } = draft;
  return provider
    ? berth.providers.update(provider.id, body)
    : berth.providers.create({ ...body, issuer: issuer.trim(), isOfInstallation });
}

interface EditProviderProps {
  readonly provider: Provider | null;
  readonly close: () => void;
  readonly made: (provider: Provider) => void;
}

export function EditProvider({ provider, close, made }: EditProviderProps) {
  const who = useWho();
  const [draft, setDraft] = useState<Draft>({
    ...NEW,
    ...(provider ? { ...provider, clientSecret: "" } : {}),
  });
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const field = (name: "name" | "label" | "issuer" | "clientId" | "groupsClaim") => ({
    value: draft[name],
    onChange: (event: { currentTarget: { value: string } }) =>
      set({ [name]: event.currentTarget.value }),
  });
  const isWhole = [draft.name, draft.label, draft.issuer, draft.clientId].every((one) =>
    one.trim(),
  );
  return (
    <FormDialog
      title={provider ? `Change ${provider.label}` : "New sign-in provider"}
      yes={provider ? "Save" : "Make it"}
      size="lg"
      isReady={isWhole}
      close={close}
      send={async () => {
        const sent = await send(draft, provider);
        await queries.invalidateQueries({ queryKey: ["providers"] });
        made(sent);
      }}
    >
      <div className={css.fields}>
        <TextInput data-autofocus label="Name" placeholder="corp" {...field("name")} />
        <TextInput label="What people see" placeholder="Corp" {...field("label")} />
      </div>
      <TextInput
        mt="sm"
        label="Issuer"
        description="As its discovery document writes it. Another issuer would be other people."
        placeholder="https://login.corp.example"
        disabled={provider !== null}
        {...field("issuer")}
      />
      <div className={css.fields} style={{ marginTop: 12 }}>
        <TextInput label="Client id" {...field("clientId")} />
        <PasswordInput
          label="Client secret"
          placeholder={provider?.hasClientSecret ? "Kept as it is" : "None: a public client"}
          autoComplete="off"
          value={draft.clientSecret}
          onChange={(event) => set({ clientSecret: event.currentTarget.value })}
        />
      </div>
      <div className={css.fields} style={{ marginTop: 12 }}>
        <TagsInput
          size="sm"
          label="Only these e-mail domains"
          placeholder={draft.emailDomains.length > 0 ? "" : "Any"}
          value={[...draft.emailDomains]}
          onChange={(emailDomains) => set({ emailDomains })}
        />
        <TextInput label="Claim with the groups" {...field("groupsClaim")} />
      </div>
      <Select
        mt="sm"
        label="Whom no group gives a role"
        placeholder="Is not let in"
        clearable
        data={ORG_ROLES.map((role) => ({ value: role, label: ROLE_WORDS[role][0] }))}
        value={draft.defaultRole}
        onChange={(role) => set({ defaultRole: role as OrgRole | null })}
      />
      <Checkbox
        mt="md"
        size="xs"
        label="Whoever signs in for the first time becomes a user"
        description="Else only who was invited, or is in the directory."
        checked={draft.admitsNewUsers}
        onChange={(event) => set({ admitsNewUsers: event.currentTarget.checked })}
      />
      {who?.isOperator && !provider ? (
        <Checkbox
          mt="sm"
          size="xs"
          label="For the whole installation"
          description="Everybody's login page shows it, and it is trusted."
          checked={draft.isOfInstallation}
          onChange={(event) => set({ isOfInstallation: event.currentTarget.checked })}
        />
      ) : null}
    </FormDialog>
  );
}
