// Tokens in a table, and making one: a person's own, or a service account's.

import { Badge, Checkbox, MultiSelect, Select, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { useWho } from "../data/me.ts";
import type { Permission, Token } from "../data/types.ts";
import { count } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { FormDialog, MadeDialog } from "../parts/form-dialog.tsx";
import { attempt, notifyDone } from "../parts/notify.ts";
import css from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Ago, Until } from "../parts/when.tsx";

type Ended = Readonly<Record<"tokens" | "keys" | "scimTokens" | "invitations" | "links", number>>;

export function TokenTable(props: {
  readonly tokens: readonly Token[];
  readonly revoke: (token: Token) => Promise<{ readonly ended: Ended }>;
  readonly refresh: () => Promise<void>;
}) {
  const remove = async (token: Token) => {
    const text = token.isCurrent
      ? "This page was logged in with it: you are logged out, and what it has open ends."
      : "Whoever uses it is shut out, and what it has open ends within seconds.";
    const question = {
      ...{ title: `Revoke ${token.name}?`, yes: "Revoke", isDangerous: true },
      text: `${text} All tokens, SSH keys, invitations and links that were made with it end too.`,
    };
    if (!(await confirm(question))) return;
    await attempt("The token was not revoked", async () => {
      const { ended } = await props.revoke(token);
      const others = ended.scimTokens + ended.invitations + ended.links;
      if (ended.tokens + ended.keys + others > 0)
        notifyDone(
          `${count(ended.tokens, "token")} and ${count(ended.keys, "SSH key")} ended with it${others > 0 ? `, and ${count(others, "other thing")}` : ""}`,
        );
    });
    await props.refresh();
  };
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th className={css.wideOnly}>May</th>
          <th>Last used</th>
          <th>Expires</th>
          <th className={css.wideOnly}>Created</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {props.tokens.map((token) => (
          <tr key={token.id}>
            <td>
              {token.name}
              {token.isCurrent ? (
                <Badge ml={8} size="xs" variant="light" tt="none">
                  this one
                </Badge>
              ) : null}
            </td>
            <td className={`${css.dim} ${css.wideOnly}`} title={token.scopes?.join(", ")}>
              {scopeWords(token.scopes)}
            </td>
            <td className={css.dim}>
              {token.lastUsedAt ? <Ago at={token.lastUsedAt} /> : "never"}
            </td>
            <td className={css.dim}>
              {token.expiresAt ? <Until at={token.expiresAt} /> : "never"}
            </td>
            <td className={`${css.dim} ${css.wideOnly}`}>
              <Ago at={token.createdAt} />
              {token.madeWith ? ` with ${token.madeWith.name}` : null}
            </td>
            <td>
              <RowActions
                of={token.name}
                actions={[{ label: "Revoke", icon: IconTrash, run: () => void remove(token) }]}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function scopeWords(scopes: readonly string[] | null): string {
  if (scopes === null) return "everything";
  return scopes.length <= 2 ? scopes.join(", ") : count(scopes.length, "permission");
}

const DAY_MS = 86_400_000;
const LIFETIMES = [
  { value: String(DAY_MS), label: "1 day" },
  { value: String(30 * DAY_MS), label: "30 days" },
  { value: String(365 * DAY_MS), label: "1 year" },
  { value: "never", label: "No end" },
];

interface NewToken {
  readonly name: string;
  expiresInMs?: number;
  scopes?: Permission[];
}

interface TokenDialogsProps {
  readonly isMaking: boolean;
  readonly close: () => void;
  /** Answers with the token itself. */
  readonly make: (body: NewToken) => Promise<string>;
}

export function TokenDialogs({ isMaking, close, make }: TokenDialogsProps) {
  const [made, setMade] = useState<string | null>(null);
  const send = async (body: NewToken) => {
    setMade(await make(body));
    close();
  };
  return (
    <>
      {isMaking ? <MakeToken close={close} send={send} /> : null}
      {made ? (
        <MadeDialog
          title="New token"
          words="Copy it now: it is not shown again"
          secrets={[{ label: "Copy the token", text: made }]}
          close={() => setMade(null)}
        />
      ) : null}
    </>
  );
}

function MakeToken(props: {
  readonly close: () => void;
  readonly send: (body: NewToken) => Promise<void>;
}) {
  const who = useWho();
  const [name, setName] = useState("");
  const [lifetime, setLifetime] = useState(LIFETIMES[1]?.value ?? "");
  const [isNarrow, setNarrow] = useState(false);
  const [scopes, setScopes] = useState<string[]>([]);
  return (
    <FormDialog
      title="New token"
      yes="Create"
      isReady={name.trim() !== "" && (!isNarrow || scopes.length > 0)}
      close={props.close}
      send={() =>
        props.send({
          name: name.trim(),
          ...(lifetime === "never" ? {} : { expiresInMs: Number(lifetime) }),
          ...(isNarrow ? { scopes: scopes as Permission[] } : {}),
        })
      }
    >
      <TextInput
        data-autofocus
        label="What it is for"
        placeholder="laptop"
        maxLength={80}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <Select
        mt="md"
        label="Works for"
        allowDeselect={false}
        data={LIFETIMES}
        value={lifetime}
        onChange={(value) => setLifetime(value ?? "")}
      />
      <Checkbox
        mt="md"
        size="xs"
        label="Only for some things"
        description="A token that leaks can then do no more than these."
        checked={isNarrow}
        onChange={(event) => setNarrow(event.currentTarget.checked)}
      />
      {isNarrow ? (
        <MultiSelect
          mt="sm"
          size="sm"
          aria-label="What it may do"
          placeholder="box.read, box.enter…"
          searchable
          data={[...(who?.permissions ?? [])]}
          value={scopes}
          onChange={setScopes}
        />
      ) : null}
    </FormDialog>
  );
}
