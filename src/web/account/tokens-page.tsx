// API tokens: what programs and the CLI show to be let in.

import {
  ActionIcon,
  Alert,
  Badge,
  Button,
  Group,
  Modal,
  Select,
  TextInput,
  Tooltip,
} from "@mantine/core";
import { IconPlus, IconTicket, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useNow } from "../data/live.ts";
import type { Token } from "../data/types.ts";
import { ago, until } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { attempt } from "../parts/notify.ts";
import { Card, Copyable, Page } from "../parts/page.tsx";
import css from "../parts/parts.module.css";

const refresh = () => queries.invalidateQueries({ queryKey: ["tokens"] });

export function TokensPage() {
  const [isMaking, setMaking] = useState(false);
  const list = useQuery({ queryKey: ["tokens"], queryFn: () => berth.tokens.list({ limit: 200 }) });
  const items = list.data?.items ?? [];
  return (
    <Page
      title="Tokens"
      lead="What programs and the CLI show to be let in. Revoking one also logs out the browsers that logged in with it."
      actions={
        <Button leftSection={<IconPlus size={15} />} onClick={() => setMaking(true)}>
          New token
        </Button>
      }
    >
      <Card>
        {list.isPending ? <Loading rows={3} /> : null}
        {list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : null}
        {list.data && items.length === 0 ? (
          <Empty icon={<IconTicket size={34} stroke={1.4} />} title="No tokens" />
        ) : null}
        {items.length > 0 ? <TokenTable tokens={items} /> : null}
      </Card>
      <MakeToken isOpen={isMaking} close={() => setMaking(false)} />
    </Page>
  );
}

function TokenTable({ tokens }: { readonly tokens: readonly Token[] }) {
  const now = useNow();
  const remove = async (token: Token) => {
    const text = token.isCurrent
      ? "This page was logged in with it: you are logged out, and what it has open ends."
      : "Whoever uses it is shut out, and what it has open ends within seconds.";
    if (
      !(await confirm({ title: `Revoke ${token.name}?`, text, yes: "Revoke", isDangerous: true }))
    )
      return;
    await attempt("The token was not revoked", () => berth.tokens.delete(token.id));
    await refresh();
  };
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th>Last used</th>
          <th>Expires</th>
          <th className={css.wideOnly}>Made</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {tokens.map((token) => (
          <tr key={token.id}>
            <td>
              {token.name}
              {token.isCurrent ? (
                <Badge ml={8} size="xs" variant="light" tt="none">
                  this one
                </Badge>
              ) : null}
            </td>
            <td className={css.dim}>{token.lastUsedAt ? ago(token.lastUsedAt, now) : "never"}</td>
            <td className={css.dim}>{token.expiresAt ? until(token.expiresAt, now) : "never"}</td>
            <td className={`${css.dim} ${css.wideOnly}`}>{ago(token.createdAt, now)}</td>
            <td>
              <Tooltip label="Revoke">
                <ActionIcon aria-label={`Revoke ${token.name}`} onClick={() => void remove(token)}>
                  <IconTrash size={16} />
                </ActionIcon>
              </Tooltip>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const DAY_MS = 86_400_000;
const LIFETIMES = [
  { value: String(DAY_MS), label: "1 day" },
  { value: String(30 * DAY_MS), label: "30 days" },
  { value: String(365 * DAY_MS), label: "1 year" },
  { value: "never", label: "No end" },
];

function MakeToken({ isOpen, close }: { readonly isOpen: boolean; readonly close: () => void }) {
  const [name, setName] = useState("");
  const [lifetime, setLifetime] = useState(LIFETIMES[1]?.value ?? "");
  const [made, setMade] = useState<string | null>(null);
  const leave = () => {
    close();
    setMade(null);
    setName("");
  };
  const make = () =>
    attempt("The token was not made", async () => {
      const expires = lifetime === "never" ? {} : { expiresInMs: Number(lifetime) };
      setMade((await berth.tokens.create({ name: name.trim(), ...expires })).token);
      await refresh();
    });
  return (
    <Modal opened={isOpen} onClose={leave} title="New token">
      {made ? (
        <>
          <Alert color="tide" title="Copy it now: it is not shown again">
            <Copyable text={made} label="Copy the token" />
          </Alert>
          <Group justify="flex-end" mt="lg">
            <Button onClick={leave}>Done</Button>
          </Group>
        </>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void make();
          }}
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
          <Group justify="flex-end" mt="lg" gap="xs">
            <Button variant="default" onClick={leave}>
              Cancel
            </Button>
            <Button type="submit" disabled={!name.trim()}>
              Make it
            </Button>
          </Group>
        </form>
      )}
    </Modal>
  );
}
