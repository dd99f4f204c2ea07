// Links that open a preview for whoever has them, until they expire or are taken back.

import { ActionIcon, Alert, Button, Group, Modal, Select, Tooltip } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth } from "../data/berth.ts";
import type { Preview } from "../data/types.ts";
import { Failed, Loading } from "../parts/empty.tsx";
import { attempt } from "../parts/notify.ts";
import { Copyable } from "../parts/page.tsx";
import css from "../parts/parts.module.css";
import { Ago, Until } from "../parts/when.tsx";

const HOUR_MS = 3_600_000;
const LIFETIMES = [
  { value: String(HOUR_MS), label: "1 hour" },
  { value: String(24 * HOUR_MS), label: "1 day" },
  { value: String(7 * 24 * HOUR_MS), label: "7 days" },
];

interface ShareLinksProps {
  readonly preview: Preview | null;
  readonly close: () => void;
}

export function ShareLinks({ preview, close }: ShareLinksProps) {
  return (
    <Modal opened={preview !== null} onClose={close} title="Links that expire" size="lg">
      {preview ? <Links key={preview.id} preview={preview} /> : null}
    </Modal>
  );
}

function Links({ preview }: { readonly preview: Preview }) {
  const [lifetime, setLifetime] = useState(LIFETIMES[1]?.value ?? "");
  const [made, setMade] = useState<{ readonly id: string; readonly url: string } | null>(null);
  const links = useQuery({
    queryKey: ["previews", preview.id, "links"],
    queryFn: () => berth.previews.listLinks(preview.id, { limit: 200 }),
  });
  const make = () =>
    attempt("The link was not made", async () => {
      const link = await berth.previews.createLink(preview.id, { expiresInMs: Number(lifetime) });
      setMade(link);
      await links.refetch();
    });
  const remove = (linkId: string) =>
    attempt("The link was not taken back", async () => {
      await berth.previews.deleteLink(preview.id, linkId);
      await links.refetch();
    });
  return (
    <>
      <p className={css.dim} style={{ marginTop: 0 }}>
        Whoever has such a link sees port {preview.port} without logging in.
      </p>
      <Group align="flex-end" gap="xs">
        <Select
          label="Works for"
          w={140}
          allowDeselect={false}
          data={LIFETIMES}
          value={lifetime}
          onChange={(value) => setLifetime(value ?? "")}
        />
        <Button size="sm" onClick={() => void make()}>
          Create link
        </Button>
      </Group>
      {made && links.data?.items.some(({ id }) => id === made.id) ? (
        <Alert mt="md" color="tide" title="Shown only now" styles={{ body: { minWidth: 0 } }}>
          <Copyable text={made.url} label="Copy the link" />
        </Alert>
      ) : null}
      {links.isPending ? <Loading rows={2} /> : null}
      {links.error ? <Failed error={links.error} /> : null}
      {links.data?.items.length === 0 ? (
        <p className={css.dim} style={{ marginBottom: 0 }}>
          None yet.
        </p>
      ) : null}
      {links.data && links.data.items.length > 0 ? (
        <table className={css.table} style={{ marginTop: 12 }}>
          <tbody>
            {links.data.items.map((link) => (
              <tr key={link.id}>
                <td>
                  made <Ago at={link.createdAt} />
                </td>
                <td className={css.dim}>
                  expires <Until at={link.expiresAt} />
                </td>
                <td>
                  <Tooltip label="Take it back">
                    <ActionIcon
                      aria-label="Take the link back"
                      onClick={() => void remove(link.id)}
                    >
                      <IconTrash size={15} />
                    </ActionIcon>
                  </Tooltip>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
    </>
  );
}
