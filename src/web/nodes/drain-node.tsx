// Draining a node: what will happen to its boxes, and then how far it is. It goes on by itself when nobody looks.

import { Alert, Button, Group, Modal } from "@mantine/core";
import { useEffect, useState } from "react";
import type { Drain, Node } from "#sdk/client.ts";
import { berth, noteError, queries, wordsOf } from "../data/berth.ts";
import { count } from "../format.ts";
import { FormDialog } from "../parts/form-dialog.tsx";
import { Meter } from "../parts/meter.tsx";
import { Copyable } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";

const ASK_MS = 1500;

export function DrainNode({ node, close }: { readonly node: Node; readonly close: () => void }) {
  const [isBegun, setBegun] = useState(false);
  if (isBegun) return <Progress node={node} close={close} />;
  return (
    <FormDialog
      title={`Drain ${node.name}?`}
      yes="Drain"
      isDangerous
      close={close}
      send={async () => {
        await berth.nodes.update(node.id, { schedulable: false });
        setBegun(true);
      }}
    >
      <ul className={parts.dim} style={{ margin: 0, paddingLeft: 18 }}>
        <li>
          {count(node.used.boxes, "box is paused", "boxes are paused")}, of whatever organization:
          programs and memory are kept, terminals and ports close.
        </li>
        <li>Whoever resumes one has it on another node, when the object store has its bytes.</li>
        <li>Builds of templates on it end, and can be started anew.</li>
        <li>No new boxes come, until you let them.</li>
      </ul>
      {node.reachable ? null : (
        <Alert color="yellow" mt="sm">
          The node does not answer: this waits until it does.
        </Alert>
      )}
    </FormDialog>
  );
}

interface Watched {
  readonly drain: Drain;
  /** The most that was left at any time. */
  readonly all: number;
}

/** Asked again until nothing is left: a box may come to it meanwhile, and one that fails to pause runs on. */
function useDrain(nodeId: string): { readonly seen: Watched | null; readonly error: unknown } {
  const [seen, setSeen] = useState<Watched | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      try {
        const drain = await berth.nodes.drain(nodeId);
        if (isOver) return;
        const left = drain.live + drain.unsaved;
        setSeen((before) => ({ drain, all: Math.max(left, before?.all ?? 0) }));
        setError(null);
        void queries.invalidateQueries({ queryKey: ["nodes"] });
        if (left === 0) return;
      } catch (failure) {
        noteError(failure);
        if (isOver) return;
        setError(failure);
      }
      timer = setTimeout(() => void ask(), ASK_MS);
    };
    void ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [nodeId]);
  return { seen, error };
}

function Progress({ node, close }: { readonly node: Node; readonly close: () => void }) {
  const { seen, error } = useDrain(node.id);
  const left = seen ? seen.drain.live + seen.drain.unsaved : null;
  return (
    <Modal opened onClose={close} title={`Draining ${node.name}`} closeOnClickOutside={false}>
      <div className={parts.stack} aria-live="polite">
        {left === 0 ? (
          <Alert color="tide" title="Every box is at rest and in the object store">
            The host can be stopped or repaired. Let new boxes come when it is back.
          </Alert>
        ) : null}
        {seen && left ? <Left watched={seen} /> : null}
        {error ? (
          <Alert color="yellow">{wordsOf(error)} It is asked again in a moment.</Alert>
        ) : null}
        {left === 0 ? null : (
          <div className={parts.dim}>
            Closing this stops nothing: what was asked stays asked. Boxes that come to it meanwhile
            are asked for while this is open.
          </div>
        )}
      </div>
      <Group justify="flex-end" mt="lg">
        <Button variant={left === 0 ? "filled" : "default"} onClick={close}>
          {left === 0 ? "Done" : "Close"}
        </Button>
      </Group>
    </Modal>
  );
}

function Left({ watched: { drain, all } }: { readonly watched: Watched }) {
  const { live, unsaved, waitsFor } = drain;
  const words = [
    ...(live > 0 ? [`${count(live, "box is", "boxes are")} not at rest`] : []),
    ...(unsaved > 0 ? [`${unsaved} not in the object store yet`] : []),
  ];
  return (
    <>
      <Meter label={words.join(", ")} used={all - live - unsaved} of={all} isGood />
      <table className={parts.table} aria-label="What it waits for">
        <tbody>
          {waitsFor.map(({ box, phase, reason }) => (
            <tr key={box}>
              <td>
                <Copyable text={box} label={`Copy ${box}`} />
              </td>
              <td className={parts.dim}>
                {phase}
                {reason ? `: ${reason}` : ""}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {live + unsaved > waitsFor.length ? (
        <div className={parts.dim}>and {live + unsaved - waitsFor.length} more</div>
      ) : null}
    </>
  );
}
