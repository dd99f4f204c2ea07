// The ports of a box: what listens, at which address it is previewed, and for whom.

import { ActionIcon, Button, Group, NumberInput, Select, Tooltip } from "@mantine/core";
import { IconExternalLink, IconLink, IconWorld, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Box } from "#sdk/client.ts";
import { berth, queries } from "../data/berth.ts";
import { useMayOnBox, useSystem } from "../data/me.ts";
import type { Preview } from "../data/types.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { attempt, notifyDone } from "../parts/notify.ts";
import { Card, Copyable } from "../parts/page.tsx";
import css from "../parts/parts.module.css";
import boxCss from "./box.module.css";
import {
  listenerWords,
  narrows,
  type PortRow,
  portRows,
  VISIBILITY_WORDS,
  type Visibility,
} from "./port-rows.ts";
import { ShareLinks } from "./share-links.tsx";

const refresh = () => queries.invalidateQueries({ queryKey: ["previews"] });

export function PortsTab({ box }: { readonly box: Box }) {
  const previews = useQuery({
    queryKey: ["previews", box.id],
    queryFn: () => berth.previews.list({ box: box.id, limit: 200 }),
  });
  const { data: system } = useSystem();
  const mayShare = useMayOnBox(box)("preview.share");
  const rows = portRows(box.ports, previews.data?.items ?? []);
  const [sharedId, setSharedId] = useState<string | null>(null);
  const shared = previews.data?.items.find((preview) => preview.id === sharedId) ?? null;
  if (previews.error)
    return <Failed error={previews.error} retry={() => void previews.refetch()} />;
  // Until it is known what is previewed, every port would look as if it were not.
  if (previews.isPending) return <Loading rows={4} />;
  return (
    <>
      <Card title="Ports" actions={mayShare ? <OpenOther box={box} /> : null}>
        {rows.length === 0 ? (
          <Empty icon={<IconWorld size={34} stroke={1.4} />} title="Nothing listens">
            {box.phase === "running"
              ? "Start a server in the box: its port appears here by itself, whatever address it listens on."
              : `${box.name} is ${box.phase}. Its ports appear when it runs.`}
          </Empty>
        ) : (
          <table className={`${css.table} ${boxCss.ports}`}>
            <thead>
              <tr>
                <th>Port</th>
                <th>Program</th>
                <th>Preview</th>
                <th>Who may see it</th>
                <th aria-label="Actions" />
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <PortLine
                  key={row.port}
                  box={box}
                  row={row}
                  share={mayShare ? setSharedId : null}
                />
              ))}
            </tbody>
          </table>
        )}
      </Card>
      {system?.previewOrigin === null ? (
        <p className={css.dim}>
          Reduced mode: previews share the gateway's own host name, because no preview domain is
          set. Set BERTH_PREVIEW_ORIGIN to give each its own origin.
        </p>
      ) : null}
      <ShareLinks preview={shared} close={() => setSharedId(null)} />
    </>
  );
}

interface LineProps {
  readonly box: Box;
  readonly row: PortRow;
  /** Null: one may not open or close previews of the box. */
  readonly share: ((previewId: string) => void) | null;
}

function PortLine({ box, row, share }: LineProps) {
  const { preview } = row;
  return (
    <tr>
      <td className={boxCss.port}>{row.port}</td>
      <td className={row.isListening ? "" : css.dim}>
        {listenerWords(row, box)}
        {row.isLoopback ? <span className={css.dim}> · loopback</span> : null}
      </td>
      <td className={boxCss.address}>
        {preview ? (
          <Copyable text={preview.url} label="Copy the address" />
        ) : share ? (
          <OpenOne box={box} port={row.port} />
        ) : (
          <span className={css.dim}>none</span>
        )}
      </td>
      <td>
        {preview && share ? <VisibilityChoice preview={preview} /> : null}
        {preview && !share ? VISIBILITY_WORDS[preview.visibility] : null}
      </td>
      <td className={css.nowrap}>
        {preview ? <PreviewActions preview={preview} share={share} /> : null}
      </td>
    </tr>
  );
}

async function openPreview(box: Box, port: number): Promise<void> {
  const isOpen = await attempt("The preview was not opened", () =>
    berth.previews.open(box.id, { port }),
  );
  if (isOpen) notifyDone(`Port ${port} has an address now, for those who may enter the box`);
  await refresh();
}

function OpenOne({ box, port }: { readonly box: Box; readonly port: number }) {
  return (
    <Button
      size="compact-xs"
      variant="default"
      aria-label={`Open a preview of port ${port}`}
      onClick={() => void openPreview(box, port)}
    >
      Open preview
    </Button>
  );
}

/** For a port that nothing listens on yet. */
function OpenOther({ box }: { readonly box: Box }) {
  const [port, setPort] = useState<number | string>("");
  return (
    <form
      className={boxCss.other}
      onSubmit={(event) => {
        event.preventDefault();
        if (Number(port)) void openPreview(box, Number(port)).then(() => setPort(""));
      }}
    >
      <NumberInput
        size="xs"
        w={96}
        hideControls
        allowDecimal={false}
        clampBehavior="strict"
        placeholder="Other port"
        aria-label="Other port"
        min={2}
        max={65_535}
        value={port}
        onChange={setPort}
      />
      <Button type="submit" variant="default" disabled={!Number(port)}>
        Open
      </Button>
    </form>
  );
}

function VisibilityChoice({ preview }: { readonly preview: Preview }) {
  const { data: org } = useQuery({ queryKey: ["org"], queryFn: () => berth.org.get() });
  const [isChanging, setChanging] = useState(false);
  const change = async (visibility: Visibility) => {
    if (visibility === preview.visibility) return;
    const moves = narrows(preview.visibility, visibility);
    if (moves) {
      const text = "It moves to a new address; the old one and every link to it stop working.";
      const title = "Show it to fewer people?";
      if (!(await confirm({ title, text, yes: "Narrow it" }))) return;
    } else if (visibility === "public") {
      const text = `Anybody who knows ${preview.url} can then use what listens there, without logging in.`;
      if (!(await confirm({ title: "Open it to everybody?", text, yes: "Make it public" }))) return;
    }
    setChanging(true);
    const isDone = await attempt("This was not changed", () =>
      berth.previews.update(preview.id, { visibility }),
    );
    if (isDone && moves) notifyDone(`Port ${preview.port} has a new address now`);
    await refresh();
    setChanging(false);
  };
  const cap = org?.maxVisibility ?? "public";
  return (
    <Select
      size="xs"
      w={165}
      allowDeselect={false}
      disabled={isChanging}
      aria-label={`Who may see port ${preview.port}`}
      value={preview.visibility}
      data={(["private", "org", "public"] as const).map((value) => ({
        value,
        label: VISIBILITY_WORDS[value],
        disabled: narrows(value, cap),
      }))}
      onChange={(value) => void change(value as Visibility)}
    />
  );
}

function PreviewActions({
  preview,
  share,
}: {
  readonly preview: Preview;
  readonly share: ((previewId: string) => void) | null;
}) {
  const close = async () => {
    const text = "Its address stops working and is never used again. What listens goes on.";
    if (
      !(await confirm({
        title: `Close the preview of port ${preview.port}?`,
        text,
        yes: "Close it",
      }))
    )
      return;
    await attempt("The preview was not closed", () => berth.previews.close(preview.id));
    await refresh();
  };
  return (
    <Group gap={2} wrap="nowrap" justify="flex-end">
      <Tooltip label="Open in a new tab">
        <ActionIcon
          component="a"
          href={preview.url}
          target="_blank"
          rel="noopener noreferrer"
          aria-label={`Open port ${preview.port} in a new tab`}
        >
          <IconExternalLink size={16} />
        </ActionIcon>
      </Tooltip>
      {share ? (
        <Tooltip label="Links that expire">
          <ActionIcon
            aria-label={`Links to port ${preview.port}`}
            onClick={() => share(preview.id)}
          >
            <IconLink size={16} />
          </ActionIcon>
        </Tooltip>
      ) : null}
      {share ? (
        <Tooltip label="Close the preview">
          <ActionIcon aria-label={`Close port ${preview.port}`} onClick={() => void close()}>
            <IconX size={16} />
          </ActionIcon>
        </Tooltip>
      ) : null}
    </Group>
  );
}
