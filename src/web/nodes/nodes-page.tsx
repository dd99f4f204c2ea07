// The hosts that run boxes: what they have, how much of it is promised, and taking one out of service.

import { Badge, TextInput, Tooltip } from "@mantine/core";
import {
  IconArrowBarToDown,
  IconLock,
  IconLockOpen,
  IconServer,
  IconTrash,
} from "@tabler/icons-react";
import { useState } from "react";
import type { Node } from "#sdk/client.ts";
import { berth, queries } from "../data/berth.ts";
import { useNow } from "../data/live.ts";
import { byName, useAll } from "../data/pages.ts";
import { ago, count, memory } from "../format.ts";
import { confirm } from "../parts/confirm.tsx";
import { Empty } from "../parts/empty.tsx";
import { FormDialog, MadeDialog } from "../parts/form-dialog.tsx";
import { type Find, ListPage } from "../parts/list-card.tsx";
import { Meter } from "../parts/meter.tsx";
import { attempt } from "../parts/notify.ts";
import parts from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { DrainNode } from "./drain-node.tsx";
import css from "./nodes.module.css";

const LOOK_MS = 5000;
const refresh = () => queries.invalidateQueries({ queryKey: ["nodes"] });

type Dialog = { readonly kind: "join" } | { readonly kind: "drain"; readonly node: Node };

export function NodesPage() {
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const [token, setToken] = useState<string | null>(null);
  const list = useAll(["nodes"], (page) => berth.nodes.list(page), byName, { everyMs: LOOK_MS });
  const add = { label: "New node", open: () => setDialog({ kind: "join" }) };
  const close = () => setDialog(null);
  return (
    <ListPage
      title="Nodes"
      lead={wordsOf(list.items ?? [])}
      add={add}
      list={list}
      find={FIND}
      empty={
        <Empty
          icon={<IconServer size={34} stroke={1.4} />}
          title="No node has joined"
          add={{ ...add, label: "Let the first one join" }}
        >
          Without one no box can run.
        </Empty>
      }
      also={
        <>
          {dialog?.kind === "join" ? <Join close={close} made={setToken} /> : null}
          {dialog?.kind === "drain" ? <DrainNode node={dialog.node} close={close} /> : null}
          {token ? (
            <MadeDialog
              title="New node"
              words="Copy it now: it is not shown again"
              secrets={[{ label: "Copy the token", text: token }]}
              close={() => setToken(null)}
            >
              <p className={parts.dim}>
                It lets one node join, within an hour. On the host: set{" "}
                <code>BERTH_JOIN_TOKEN</code> to it and <code>BERTH_NODE_API_URL</code> to the node
                API of this installation, and run <code>berth node</code>.
              </p>
            </MadeDialog>
          ) : null}
        </>
      }
    >
      {(nodes) => <NodeTable nodes={nodes} drain={(node) => setDialog({ kind: "drain", node })} />}
    </ListPage>
  );
}

function wordsOf(nodes: readonly Node[]): string {
  const silent = nodes.filter(({ reachable }) => !reachable).length;
  const away = nodes.filter(({ reachable, schedulable }) => reachable && !schedulable).length;
  const boxes = nodes.reduce((sum, { used }) => sum + used.boxes, 0);
  return [
    "The hosts that run boxes. A node dials in and listens nowhere.",
    ...(nodes.length > 1
      ? [`${nodes.length} of them have ${count(boxes, "box", "boxes")} of all organizations.`]
      : []),
    ...(silent > 0 ? [`${count(silent, "node")} cannot be reached.`] : []),
    ...(away > 0 ? [`New boxes are kept away from ${count(away, "node")}.`] : []),
  ].join(" ");
}

/** What may be promised of it; 0: it has not said what it has. */
const cpusOf = ({ capacity, overcommit }: Node) => (capacity?.cpus ?? 0) * overcommit.cpu;
const memoryOf = ({ capacity, overcommit }: Node) => (capacity?.memoryMib ?? 0) * overcommit.memory;
const shareOf = (used: number, of: number) => (of > 0 ? used / of : 0);
/** By what is fuller of the two. */
const fullness = (node: Node) =>
  Math.max(shareOf(node.used.cpus, cpusOf(node)), shareOf(node.used.memoryMib, memoryOf(node)));
const health = ({ reachable, schedulable }: Node) => (reachable ? (schedulable ? 2 : 1) : 0);

const FIND: Find<Node> = {
  what: "nodes",
  textOf: (node) =>
    [
      ...[node.id, node.name, node.region, node.driver, node.accelerator, stateOf(node).text],
      ...Object.entries(node.labels).map((label) => label.join("=")),
    ].join(" "),
  orders: {
    "By name": byName,
    "Troubled first": (one, other) => health(one) - health(other) || byName(one, other),
    "Fullest first": (one, other) => fullness(other) - fullness(one),
    "Most boxes": (one, other) => other.used.boxes - one.used.boxes,
  },
};

function stateOf({ reachable, schedulable }: Node): {
  readonly tone: string;
  readonly text: string;
} {
  if (!reachable) return { tone: "bad", text: "Not reachable" };
  if (!schedulable) return { tone: "off", text: "Takes no new boxes" };
  return { tone: "good", text: "Ready" };
}

function NodeTable(props: {
  readonly nodes: readonly Node[];
  readonly drain: (node: Node) => void;
}) {
  return (
    <table className={parts.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th className={parts.wideOnly}>Region</th>
          <th className={parts.number}>Boxes</th>
          <th className={parts.wideOnly}>vCPUs promised</th>
          <th className={parts.wideOnly}>Memory promised</th>
          <th className={parts.wideOnly}>Free disk</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {props.nodes.map((node) => (
          <NodeRow key={node.id} node={node} drain={() => props.drain(node)} />
        ))}
      </tbody>
    </table>
  );
}

function NodeRow({ node, drain }: { readonly node: Node; readonly drain: () => void }) {
  const { capacity, overcommit, used, freeDiskGib } = node;
  const away = { label: "Keep new boxes away from", icon: IconLock };
  const back = { label: "Let new boxes come to", icon: IconLockOpen };
  return (
    <tr aria-label={node.name}>
      <td>
        <NodeName node={node} />
      </td>
      <td className={`${parts.wideOnly} ${css.region}`}>{node.region}</td>
      <td className={parts.number}>{used.boxes}</td>
      <td
        className={`${parts.wideOnly} ${css.meter}`}
        title={capacity ? `It has ${capacity.cpus}, each promised ${overcommit.cpu} times` : ""}
      >
        {capacity ? <Meter label="vCPUs" isBare used={used.cpus} of={cpusOf(node)} /> : "–"}
      </td>
      <td
        className={`${parts.wideOnly} ${css.meter}`}
        title={
          capacity
            ? `It has ${memory(capacity.memoryMib)}, promised ${overcommit.memory} times`
            : ""
        }
      >
        {capacity ? (
          <Meter label="Memory" isBare used={used.memoryMib} of={memoryOf(node)} show={memory} />
        ) : (
          "–"
        )}
      </td>
      <td className={`${parts.wideOnly} ${parts.nowrap}`}>
        {freeDiskGib === null ? "" : `${Math.round(freeDiskGib)} of `}
        {capacity ? `${capacity.diskGib} GiB` : "–"}
      </td>
      <td>
        <RowActions
          of={node.name}
          actions={[
            {
              ...(node.schedulable ? away : back),
              run: () => void setSchedulable(node, !node.schedulable),
            },
            { label: "Drain", icon: IconArrowBarToDown, run: drain },
            node.reachable
              ? null
              : { label: "Remove", icon: IconTrash, run: () => void remove(node) },
          ]}
        />
      </td>
    </tr>
  );
}

function NodeName({ node }: { readonly node: Node }) {
  const now = useNow();
  const state = stateOf(node);
  const reported = node.lastReportAt ? `reported ${ago(node.lastReportAt, now)}` : "never reported";
  return (
    <span className={parts.who}>
      <span className={css.name}>
        <span className={css.dot} data-tone={state.tone} />
        {node.name}
        <Tooltip label={node.acceleratorReason ?? "How it runs virtual machines"} multiline w={280}>
          <Badge
            color={node.accelerator === "tcg" ? "yellow" : "gray"}
            variant="light"
            size="xs"
            tt="none"
          >
            {node.driver ?? "not heard of yet"}{" "}
            {node.accelerator && node.accelerator !== "none" ? node.accelerator : ""}
          </Badge>
        </Tooltip>
      </span>
      <span>
        {state.text} · {reported}
        {node.capacity?.gpus ? ` · ${count(node.capacity.gpus, "GPU")}` : ""}
        {Object.entries(node.labels).map(([key, value]) => (
          <code key={key} className={css.label}>
            {key}={value}
          </code>
        ))}
      </span>
    </span>
  );
}

async function setSchedulable(node: Node, schedulable: boolean): Promise<void> {
  await attempt("The node was not changed", () => berth.nodes.update(node.id, { schedulable }));
  await refresh();
}

async function remove(node: Node): Promise<void> {
  const boxes = count(node.used.boxes, "box", "boxes");
  const isSure = await confirm({
    title: `Remove ${node.name}?`,
    text: `For a host that will not come back. Its ${boxes}, whosever they are, start elsewhere from what is durable; what was only on it is lost.`,
    yes: "Remove",
    isDangerous: true,
  });
  if (!isSure) return;
  await attempt("The node was not removed", () => berth.nodes.delete(node.id));
  await refresh();
}

function Join(props: { readonly close: () => void; readonly made: (token: string) => void }) {
  const [name, setName] = useState("");
  return (
    <FormDialog
      title="New node"
      yes="Create token"
      close={props.close}
      send={async () => {
        const { token } = await berth.nodes.createJoinToken(name ? { name } : {});
        props.close();
        props.made(token);
      }}
    >
      <TextInput
        data-autofocus
        label="Only for a node of this name"
        description="Left empty: for any. The token works once."
        placeholder="host-2"
        value={name}
        onChange={(event) => setName(event.currentTarget.value.trim())}
      />
    </FormDialog>
  );
}
