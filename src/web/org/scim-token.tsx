// A token with which a directory says who is there: made here, and shown once.

import { TextInput } from "@mantine/core";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { FormDialog, MadeDialog } from "../parts/form-dialog.tsx";
import parts from "../parts/parts.module.css";

export function MakeScimToken({ close }: { readonly close: () => void }) {
  const [name, setName] = useState("");
  const [made, setMade] = useState<{ readonly token: string; readonly baseUrl: string } | null>(
    null,
  );
  if (made)
    return (
      <MadeDialog
        title="The directory's token"
        words="Copy both into the directory: the token is not shown again"
        secrets={[
          { label: "Copy the address", text: made.baseUrl },
          { label: "Copy the token", text: made.token },
        ]}
        close={close}
      />
    );
  return (
    <FormDialog
      title="New SCIM token"
      yes="Create"
      isReady={name.trim() !== ""}
      close={close}
      send={async () => {
        setMade(await berth.scimTokens.create({ name: name.trim() }));
        await queries.invalidateQueries({ queryKey: ["scim-tokens"] });
      }}
    >
      <TextInput
        data-autofocus
        label="Which directory"
        placeholder="Okta"
        maxLength={80}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <p className={parts.dim} style={{ marginBottom: 0 }}>
        Whoever has it decides who belongs to this organization.
      </p>
    </FormDialog>
  );
}
