// The snapshots of a box: checkpoints to go back to, and what it rests in.

import { ActionIcon, Button, Group, Modal, NumberInput, TextInput, Tooltip } from "@mantine/core";
import { IconBookmark, IconGitFork, IconHistory, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Box, Snapshot } from "#sdk/client.ts";
import { allowedActions } from "../boxes/actions.ts";
import { berth, queries } from "../data/berth.ts";
import { live } from "../data/live.ts";
import { useMayOnBox } from "../data/me.ts";
import { bytes, count } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { attempt, notifyDone } from "../parts/notify.ts";
import { Card } from "../parts/page.tsx";
import css from "../parts/parts.module.css";
import { Ago } from "../parts/when.tsx";

export function SnapshotsTab({ box }: { readonly box: Box }) {
  const [dialog, setDialog] = useState<"checkpoint" | "fork" | null>(null);
  const may = useMayOnBox(box);
  const possible = allowedActions(box, may);
  const list = useQuery({
    queryKey: ["snapshots", box.id],
    queryFn: () => berth.snapshots.list({ box: box.id, limit: 200 }),
  });
  const items = (list.data?.items ?? []).filter((one) => one.state !== "deleted");
  return (
    <>
      <Card
        title="Snapshots"
        actions={
          <Group gap={6}>
            {may("box.enter") && may("box.create") ? (
              <Button
                variant="default"
                leftSection={<IconGitFork size={14} />}
                disabled={!possible.includes("fork")}
                onClick={() => setDialog("fork")}
              >
                Fork
              </Button>
            ) : null}
            {may("box.control") ? (
              <Button
                leftSection={<IconBookmark size={14} />}
                disabled={!possible.includes("checkpoint")}
                onClick={() => setDialog("checkpoint")}
              >
                Checkpoint
              </Button>
            ) : null}
          </Group>
        }
      >
        {list.isPending ? <Loading rows={4} /> : null}
        {list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : null}
        {list.data && items.length === 0 ? (
          <Empty title="No snapshots yet">
            A checkpoint keeps memory and disks of this instant, to go back to later. A paused box
            is one, too.
          </Empty>
        ) : null}
        {items.length > 0 ? <SnapshotTable box={box} snapshots={items} /> : null}
      </Card>
      <CheckpointDialog box={box} isOpen={dialog === "checkpoint"} close={() => setDialog(null)} />
      <ForkDialog box={box} isOpen={dialog === "fork"} close={() => setDialog(null)} />
    </>
  );
}

function SnapshotTable({
  box,
  snapshots,
}: {
  readonly box: Box;
  readonly snapshots: readonly Snapshot[];
}) {
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th>Kind</th>
          <th>State</th>
          <th className={css.wideOnly}>Size</th>
          <th className={css.wideOnly}>Created</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {snapshots.map((snapshot) => (
          <tr key={snapshot.id}>
            <td title={snapshot.id}>{snapshot.name ?? <span className={css.dim}>–</span>}</td>
            <td>
              {snapshot.kind}
              {snapshot.withMemory ? "" : ", disks only"}
            </td>
            <td className={css.dim}>{stateOf(snapshot)}</td>
            <td className={`${css.dim} ${css.wideOnly}`}>{sizeOf(snapshot)}</td>
            <td className={`${css.dim} ${css.wideOnly}`}>
              <Ago at={snapshot.createdAt} />
            </td>
            <td className={css.nowrap}>
              {snapshot.kind === "checkpoint" ? (
                <SnapshotActions box={box} snapshot={snapshot} />
              ) : null}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function stateOf(snapshot: Snapshot): string {
  if (snapshot.error) return snapshot.error;
  if (snapshot.state === "local")
    return `on its node, saved to ${Math.floor(snapshot.progress * 100)} %`;
  return snapshot.state;
}

function sizeOf({ storedBytes, allocatedBytes }: Snapshot): string {
  if (storedBytes !== null) return `${bytes(storedBytes)} stored`;
  return allocatedBytes === null ? "–" : bytes(allocatedBytes);
}

function SnapshotActions({ box, snapshot }: { readonly box: Box; readonly snapshot: Snapshot }) {
  const name = snapshot.name ?? snapshot.id;
  const restore = async () => {
    const text = `${box.name} goes back to ${name}. Its present state is kept as a checkpoint of its own.`;
    if (!(await confirm({ title: `Restore ${name}?`, text, yes: "Restore" }))) return;
    await attempt("The checkpoint was not restored", async () => {
      live.put((await berth.checkpoints.restore(box.id, { snapshot: snapshot.id })).box);
      notifyDone(`Restoring ${name}`);
    });
  };
  const remove = async () => {
    const text = "It cannot be gone back to any more. The box is not changed.";
    if (!(await confirm({ title: `Delete ${name}?`, text, yes: "Delete", isDangerous: true })))
      return;
    await attempt("The checkpoint was not deleted", () => berth.snapshots.delete(snapshot.id));
    await queries.invalidateQueries({ queryKey: ["snapshots"] });
  };
  const isReady = snapshot.state === "local" || snapshot.state === "durable";
  const may = useMayOnBox(box);
  return (
    <>
      {may("box.control") ? (
        <Tooltip label="Go back to it">
          <ActionIcon
            aria-label={`Restore ${name}`}
            disabled={!isReady}
            onClick={() => void restore()}
          >
            <IconHistory size={16} />
          </ActionIcon>
        </Tooltip>
      ) : null}
      {may("snapshot.delete") ? (
        <Tooltip label="Delete">
          <ActionIcon
            aria-label={`Delete ${name}`}
            disabled={!isReady}
            onClick={() => void remove()}
          >
            <IconTrash size={16} />
          </ActionIcon>
        </Tooltip>
      ) : null}
    </>
  );
}

interface DialogProps {
  readonly box: Box;
  readonly isOpen: boolean;
  readonly close: () => void;
}

function CheckpointDialog({ box, isOpen, close }: DialogProps) {
  const [name, setName] = useState("");
  const make = async () => {
    const isDone = await attempt("The checkpoint was not made", () =>
      berth.checkpoints.create(box.id, name.trim() ? { name: name.trim() } : {}),
    );
    if (!isDone) return;
    setName("");
    close();
    await queries.invalidateQueries({ queryKey: ["snapshots"] });
  };
  return (
    <Modal opened={isOpen} onClose={close} title={`Checkpoint of ${box.name}`} size="sm">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void make();
        }}
      >
        <TextInput
          data-autofocus
          label="Name"
          placeholder="before the upgrade"
          maxLength={80}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Group justify="flex-end" mt="lg" gap="xs">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit">Create</Button>
        </Group>
      </form>
    </Modal>
  );
}

const MAX_FORKS = 64;

function ForkDialog({ box, isOpen, close }: DialogProps) {
  const [number, setNumber] = useState<number | string>(1);
  const forks = Math.max(1, Math.min(MAX_FORKS, Math.round(Number(number) || 1)));
  const fork = async () => {
    const isDone = await attempt("The box was not forked", async () => {
      const answer = await berth.boxes.fork(box.id, { count: forks });
      for (const one of answer.forks) live.put(one.box);
      notifyDone(`Forking ${box.name}: ${answer.forks.map((one) => one.box.name).join(", ")}`);
    });
    if (isDone) close();
  };
  return (
    <Modal opened={isOpen} onClose={close} title={`Fork ${box.name}`} size="sm">
      <NumberInput
        label="How many"
        description="Each has the same processes and files, and an identity of its own."
        min={1}
        max={MAX_FORKS}
        value={number}
        onChange={setNumber}
        data-autofocus
      />
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
        <Button onClick={() => void fork()}>Make {count(forks, "fork")}</Button>
      </Group>
    </Modal>
  );
}
