// Making an identity provider known, and changing it.

import {
  Checkbox,
  Modal,
  NumberInput,
  PasswordInput,
  Select,
  TagsInput,
  TextInput,
} from "@mantine/core";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useWho } from "../data/me.ts";
import type { OrgRole, Provider } from "../data/types.ts";
import { useFocusBack } from "../parts/focus-back.ts";
import { FormDialog } from "../parts/form-dialog.tsx";
import { Copyable, Facts } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import css from "./org.module.css";
import { ORG_ROLES, ROLE_WORDS } from "./roles.tsx";

/** What the provider asks for on its side. */
export function Registered(props: { readonly provider: Provider; readonly close: () => void }) {
  const { provider } = props;
  useFocusBack();
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
  readonly isTrusted: boolean;
  readonly admitsNewUsers: boolean;
  readonly emailDomains: readonly string[];
  readonly groupsClaim: string;
  readonly defaultRole: OrgRole | null;
  readonly sessionMaxMs: number;
  readonly memberMaxAgeMs: number | null;
}

const HOURS_MS = 3_600_000;
const DAYS_MS = 24 * HOURS_MS;
const NEW: Draft = {
  ...{ name: "", label: "", issuer: "", clientId: "", clientSecret: "" },
  ...{ isTrusted: false, admitsNewUsers: true, emailDomains: [], groupsClaim: "groups" },
  ...{ defaultRole: "member", sessionMaxMs: HOURS_MS * 12, memberMaxAgeMs: null },
};

interface SendOptions {
  readonly provider: Provider | null;
  readonly isOfInstallation: boolean;
  /** Whether somebody is asked who answers for it. */
  readonly isOperator: boolean;
}

async function send(draft: Draft, options: SendOptions): Promise<Provider> {
  const { provider, isOfInstallation, isOperator } = options;
  const { name, label, clientId, clientSecret, admitsNewUsers, defaultRole } = draft;
  const { isTrusted, sessionMaxMs, memberMaxAgeMs } = draft;
  const body = {
    ...{ name: name.trim(), label: label.trim(), clientId: clientId.trim() },
    ...{ admitsNewUsers, defaultRole, sessionMaxMs, memberMaxAgeMs },
    ...(isOperator && !isOfInstallation ? { isTrusted } : {}),
    ...{
      emailDomains: draft.emailDomains.map((domain) => domain.trim().toLowerCase()),
      groupsClaim: draft.groupsClaim.trim(),
    },
    ...(clientSecret ? { clientSecret } : {}),
  };
  return provider
    ? berth.providers.update(provider.id, body)
    : berth.providers.create({ ...body, issuer: draft.issuer.trim(), isOfInstallation });
}

interface EditProviderProps {
  readonly provider: Provider | null;
  readonly isOfInstallation: boolean;
  readonly close: () => void;
  readonly made: (provider: Provider) => void;
}

export function EditProvider({ provider, isOfInstallation, close, made }: EditProviderProps) {
  const isOperator = useWho()?.isOperator ?? false;
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
      yes={provider ? "Save" : "Create"}
      size="lg"
      isReady={isWhole}
      close={close}
      send={async () => {
        const sent = await send(draft, { provider, isOfInstallation, isOperator });
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
      <div className={css.fields} style={{ marginTop: 12 }}>
        <Select
          label="Whom no group gives a role"
          placeholder="Is not let in"
          clearable
          data={ORG_ROLES.map((role) => ({ value: role, label: ROLE_WORDS[role][0] }))}
          value={draft.defaultRole}
          onChange={(role) => set({ defaultRole: role as OrgRole | null })}
        />
        <NumberInput
          size="sm"
          label="No session is longer than"
          min={1}
          max={90 * 24}
          suffix=" hours"
          allowDecimal={false}
          allowNegative={false}
          value={draft.sessionMaxMs / HOURS_MS}
          onChange={(hours) => set({ sessionMaxMs: Math.max(1, Number(hours)) * HOURS_MS })}
        />
      </div>
      <NumberInput
        mt="sm"
        size="sm"
        label="Tokens and SSH keys work without a sign-in for"
        description="Then they wait for the next one. Empty: until the provider, or the directory, says that somebody has left."
        placeholder="No limit"
        min={1}
        max={3660}
        suffix=" days"
        allowDecimal={false}
        allowNegative={false}
        value={draft.memberMaxAgeMs === null ? "" : draft.memberMaxAgeMs / DAYS_MS}
        onChange={(days) =>
          set({ memberMaxAgeMs: days === "" ? null : Math.max(1, Number(days)) * DAYS_MS })
        }
      />
      <Checkbox
        mt="md"
        size="xs"
        label="Whoever signs in for the first time becomes a user"
        description="Else only who was invited, or is in the directory."
        checked={draft.admitsNewUsers}
        onChange={(event) => set({ admitsNewUsers: event.currentTarget.checked })}
      />
      {isOperator && !isOfInstallation ? (
        <Checkbox
          mt="sm"
          size="xs"
          label="The installation answers for it"
          description="It may be at a private address, and the e-mail addresses that it has verified are people's."
          checked={draft.isTrusted}
          onChange={(event) => set({ isTrusted: event.currentTarget.checked })}
        />
      ) : null}
    </FormDialog>
  );
}
