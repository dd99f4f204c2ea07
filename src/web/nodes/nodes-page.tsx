// The hosts that run boxes: what they have, and how much of it is in use.

import { Badge, Button, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { Node } from "#sdk/client.ts";
import { berth, queries } from "../data/berth.ts";
import { useNow } from "../data/live.ts";
import { useSystem } from "../data/me.ts";
import { ago, count, memory } from "../format.ts";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { Meter } from "../parts/meter.tsx";
import { attempt } from "../parts/notify.ts";
import { Card, Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import css from "./nodes.module.css";

const LOOK_MS = 5000;

export function NodesPage() {
  const list = useQuery({
    queryKey: ["nodes"],
    queryFn: () => berth.nodes.list({ limit: 200 }),
    // What a node uses changes without an event.
    refetchInterval: LOOK_MS,
  });
  return (
    <Page title="Nodes" lead="The hosts that run boxes. A node dials in and listens nowhere.">
      {list.isPending ? <Loading rows={4} /> : null}
      {list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : null}
      {list.data?.items.length === 0 ? (
        <Empty title="No node has joined">
          <code>berth node token</code> makes a token that a node joins with.
        </Empty>
      ) : null}
      <div className={css.grid}>
        {list.data?.items.map((node) => (
          <NodeCard key={node.id} node={node} />
        ))}
      </div>
    </Page>
  );
}

function NodeCard({ node }: { readonly node: Node }) {
  const now = useNow();
  const { data: system } = useSystem();
  const state = nodeState(node);
  return (
    <Card
      title={
        <span className={css.name}>
          <span className={css.dot} data-tone={state.tone} />
          {node.name}
        </span>
      }
      actions={
        <Badge color="gray" variant="light" size="sm" tt="none">
          {node.region}
        </Badge>
      }
    >
      <div className={css.body}>
        <div className={parts.dim}>
          {state.text}
          {node.lastReportAt ? ` · reported ${ago(node.lastReportAt, now)}` : ""}
        </div>
        {node.capacity ? (
          <>
            <Meter label="vCPUs" used={node.used.cpus} of={node.capacity.cpus} />
            <Meter
              label="Memory"
              used={node.used.memoryMib}
              of={node.capacity.memoryMib}
              show={memory}
            />
          </>
        ) : null}
        <div className={css.line}>
          <span>
            {count(node.used.boxes, "box", "boxes")}
            {node.capacity ? ` · ${node.capacity.diskGib} GiB disk` : ""}
            {node.capacity?.gpus ? ` · ${count(node.capacity.gpus, "GPU")}` : ""}
          </span>
          <Tooltip
            label={node.acceleratorReason ?? "How it runs virtual machines"}
            multiline
            w={280}
          >
            <Badge
              color={node.accelerator === "tcg" ? "yellow" : "gray"}
              variant="light"
              size="sm"
              tt="none"
            >
              {node.driver}{" "}
              {node.accelerator && node.accelerator !== "none" ? node.accelerator : ""}
            </Badge>
          </Tooltip>
        </div>
        {Object.keys(node.labels).length > 0 ? (
          <div className={css.labels}>
            {Object.entries(node.labels).map(([key, value]) => (
              <code key={key}>
                {key}={value}
              </code>
            ))}
          </div>
        ) : null}
        {system?.user.isOperator ? <Cordon node={node} /> : null}
      </div>
    </Card>
  );
}

function nodeState(node: Node): { readonly tone: string; readonly text: string } {
  if (!node.reachable) return { tone: "bad", text: "Not reachable" };
  if (!node.schedulable) return { tone: "off", text: "Takes no new boxes" };
  return { tone: "good", text: "Ready" };
}

function Cordon({ node }: { readonly node: Node }) {
  const change = () =>
    attempt("The node was not changed", async () => {
      await berth.nodes.update(node.id, { schedulable: !node.schedulable });
      await queries.invalidateQueries({ queryKey: ["nodes"] });
    });
  return (
    <div>
      <Button size="compact-xs" variant="default" onClick={() => void change()}>
        {node.schedulable ? "Keep new boxes away" : "Let new boxes come"}
      </Button>
    </div>
  );
}
