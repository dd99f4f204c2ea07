// The SSH keys that open one's boxes from machines without our CLI.

import { Textarea, TextInput } from "@mantine/core";
import { IconKey, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useSystem } from "../data/me.ts";
import { newestFirst, useAll } from "../data/pages.ts";
import type { SshKey } from "../data/types.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty } from "../parts/empty.tsx";
import { FormDialog } from "../parts/form-dialog.tsx";
import { ListPage } from "../parts/list-card.tsx";
import { attempt } from "../parts/notify.ts";
import css from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Ago } from "../parts/when.tsx";
import { nameOfKey } from "./key-name.ts";

const refresh = () => queries.invalidateQueries({ queryKey: ["keys"] });

function sshCommand(address: string): string {
  const [, host, port] = /^(.*):(\d+)$/.exec(address) ?? [];
  return port === "22" ? `ssh BOX@${host}` : `ssh -p ${port} BOX@${host}`;
}

export function KeysPage() {
  const [isAdding, setAdding] = useState(false);
  const { data: system } = useSystem();
  const list = useAll(["keys"], (page) => berth.keys.list(page), newestFirst);
  const address = system?.sshAddress ?? null;
  return (
    <ListPage
      title="SSH keys"
      lead={
        <>
          A registered key enters your boxes by plain ssh, from any machine
          {address ? (
            <>
              : <code>{sshCommand(address)}</code>
            </>
          ) : null}
          .
        </>
      }
      add={{ label: "Add key", open: () => setAdding(true) }}
      list={list}
      empty={
        <Empty
          icon={<IconKey size={34} stroke={1.4} />}
          title="No keys yet"
          add={{ label: "Add the first one", open: () => setAdding(true) }}
        >
          Add the public key of a machine without our CLI. With the CLI none is needed: it gets
          certificates that last minutes.
        </Empty>
      }
      also={isAdding ? <AddKey close={() => setAdding(false)} /> : null}
    >
      {(keys) => <KeyTable keys={keys} />}
    </ListPage>
  );
}

function KeyTable({ keys }: { readonly keys: readonly SshKey[] }) {
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
            <td className={`${css.dim} ${css.wideOnly}`}>
              <Ago at={key.createdAt} />
              {key.madeWith ? ` with the token ${key.madeWith.name}` : null}
            </td>
            <td>
              <RowActions
                of={key.name}
                actions={[{ label: "Remove", icon: IconTrash, run: () => void remove(key) }]}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function AddKey({ close }: { readonly close: () => void }) {
  const [text, setText] = useState("");
  const [name, setName] = useState("");
  const isPrivate = /PRIVATE KEY/.test(text);
  const add = async () => {
    const publicKey = text.trim();
    await berth.keys.create({ publicKey, name: name.trim() || nameOfKey(publicKey) });
    await refresh();
    close();
  };
  return (
    <FormDialog
      title="Add an SSH key"
      yes="Add key"
      isReady={text.trim() !== "" && !isPrivate}
      close={close}
      send={add}
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
        error={isPrivate ? "This is a private key. Take the file that ends with .pub." : null}
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
    </FormDialog>
  );
}
