// The SSH keys that open one's boxes from machines without our CLI.

import { ActionIcon, Button, Group, Modal, Textarea, TextInput, Tooltip } from "@mantine/core";
import { IconKey, IconPlus, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useNow } from "../data/live.ts";
import { useSystem } from "../data/me.ts";
import type { SshKey } from "../data/types.ts";
import { ago, fullTime } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { attempt } from "../parts/notify.ts";
import { Card, Page } from "../parts/page.tsx";
import css from "../parts/parts.module.css";
import { nameOfKey } from "./key-name.ts";

const refresh = () => queries.invalidateQueries({ queryKey: ["keys"] });

export function KeysPage() {
  const [isAdding, setAdding] = useState(false);
  const { data: system } = useSystem();
  const list = useQuery({ queryKey: ["keys"], queryFn: () => berth.keys.list({ limit: 200 }) });
  const items = list.data?.items ?? [];
  const address = system?.sshAddress ?? null;
  return (
    <Page
      title="SSH keys"
      lead={
        address
          ? `A registered key enters your boxes by plain ssh, from any machine: ssh BOX@… at ${address}.`
          : "A registered key enters your boxes by plain ssh, from any machine."
      }
      actions={
        <Button leftSection={<IconPlus size={15} />} onClick={() => setAdding(true)}>
          Add key
        </Button>
      }
    >
      <Card>
        {list.isPending ? <Loading rows={3} /> : null}
        {list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : null}
        {list.data && items.length === 0 ? (
          <Empty icon={<IconKey size={34} stroke={1.4} />} title="No keys yet">
            With our CLI none is needed: it gets certificates that last minutes.
          </Empty>
        ) : null}
        {items.length > 0 ? <KeyTable keys={items} /> : null}
      </Card>
      <AddKey isOpen={isAdding} close={() => setAdding(false)} />
    </Page>
  );
}

function KeyTable({ keys }: { readonly keys: readonly SshKey[] }) {
  const now = useNow();
  const remove = async (key: SshKey) => {
    const text = "It opens nothing any more, and what it has open ends within seconds.";
    if (!(await confirm({ title: `Remove ${key.name}?`, text, yes: "Remove", isDangerous: true })))
      return;
    await attempt("The key was not removed", () => berth.keys.delete(key.id));
    await refresh();
  };
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th className={css.wideOnly}>Type</th>
          <th>Fingerprint</th>
          <th className={css.wideOnly}>Added</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key.id}>
            <td>{key.name}</td>
            <td className={`${css.dim} ${css.wideOnly}`}>{key.type}</td>
            <td style={{ overflowWrap: "anywhere" }}>
              <code>{key.fingerprint}</code>
            </td>
            <td className={`${css.dim} ${css.wideOnly}`} title={fullTime(key.createdAt)}>
              {ago(key.createdAt, now)}
            </td>
            <td>
              <Tooltip label="Remove">
                <ActionIcon aria-label={`Remove ${key.name}`} onClick={() => void remove(key)}>
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

function AddKey({ isOpen, close }: { readonly isOpen: boolean; readonly close: () => void }) {
  const [text, setText] = useState("");
  const [name, setName] = useState("");
  const add = async () => {
    const publicKey = text.trim();
    const isDone = await attempt("The key was not added", () =>
      berth.keys.create({ publicKey, name: name.trim() || nameOfKey(publicKey) }),
    );
    if (!isDone) return;
    setText("");
    setName("");
    close();
    await refresh();
  };
  return (
    <Modal opened={isOpen} onClose={close} title="Add an SSH key">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void add();
        }}
      >
        <Textarea
          data-autofocus
          label="Public key"
          description="As in ~/.ssh/id_ed25519.pub. Never the private one."
          placeholder="ssh-ed25519 AAAA… you@laptop"
          autosize
          minRows={3}
          maxRows={8}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          error={
            /PRIVATE KEY/.test(text)
              ? "This is a private key. Take the file that ends with .pub."
              : null
          }
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 12 } }}
        />
        <TextInput
          mt="md"
          label="Name"
          placeholder={nameOfKey(text)}
          value={name}
          maxLength={80}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" disabled={!text.trim() || /PRIVATE KEY/.test(text)}>
            Add key
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
