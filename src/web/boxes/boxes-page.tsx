// The list of boxes, live: search, views, selection, actions on one or many; all of it by keyboard too.

import { Button, Checkbox, TextInput } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { IconBox, IconPlus, IconSearch } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { type RefObject, useCallback, useDeferredValue, useMemo, useRef, useState } from "react";
import type { Box } from "#sdk/client.ts";
import { useBoxes, useLive } from "../data/live.ts";
import { mayOnListed, useSharesOf, useWho } from "../data/me.ts";
import { mayCreate } from "../data/rights.ts";
import { count } from "../format.ts";
import { Empty, Loading } from "../parts/empty.tsx";
import { useTitle } from "../parts/page.tsx";
import {
  ACTION_WORDS,
  type ACTIONS,
  allowedActions,
  isInView,
  mainAction,
  matches,
  VIEWS,
  type View,
} from "./actions.ts";
import { BoxRow } from "./box-row.tsx";
import css from "./boxes.module.css";
import { openCreateBox } from "./create-box.tsx";
import { doAction } from "./do-action.ts";
import { useWindowed } from "./windowed.ts";

const VIEW_WORDS: Readonly<Record<View, string>> = {
  all: "All",
  running: "Running",
  resting: "At rest",
  failed: "Needs attention",
};

export function BoxesPage() {
  useTitle("Boxes");
  const all = useBoxes();
  const { isLoaded } = useLive();
  const who = useWho();
  const isCreator = who !== null && mayCreate(who);
  useSharesOf(all);
  const [typed, setSearch] = useState("");
  // What is typed is seen at once; the rows follow.
  const search = useDeferredValue(typed);
  const [view, setView] = useState<View>("all");
  const found = useMemo(
    () => all.filter((box) => isInView(box, view) && (search === "" || matches(box, search))),
    [all, view, search],
  );
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const picked = found.filter((box) => chosen.has(box.id));
  const searchField = useRef<HTMLInputElement>(null);
  const toggle = useCallback((id: string) => setChosen((before) => toggled(before, id)), []);
  const cursor = useRowKeys(found, { toggle, picked, searchField });
  const rows = useRef<HTMLTableSectionElement>(null);
  const windowed = useWindowed(rows, {
    ...{ count: found.length, cursor, key: `${view} ${search}` },
  });
  const allPicked = found.length > 0 && picked.length === found.length;
  return (
    <div className={css.page}>
      <div className={css.head}>
        <h1>Boxes</h1>
        <Views all={all} view={view} setView={setView} />
        <TextInput
          ref={searchField}
          className={css.search}
          size="xs"
          placeholder="Search"
          aria-label="Search boxes"
          value={typed}
          leftSection={<IconSearch size={14} />}
          rightSection={<kbd>/</kbd>}
          onChange={(event) => setSearch(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setSearch("");
            if (event.key === "Escape" || event.key === "Enter") event.currentTarget.blur();
          }}
        />
        {isCreator ? (
          <Button leftSection={<IconPlus size={15} />} onClick={openCreateBox}>
            New box
          </Button>
        ) : null}
      </div>
      <div className={css.frame}>
        <table
          className={css.table}
          aria-label="Boxes"
          aria-busy={!isLoaded}
          aria-rowcount={found.length + 1}
        >
          <thead>
            <tr aria-rowindex={1} className={css.columns} data-picked={picked.length > 0}>
              <th scope="col">
                <Checkbox
                  size="xs"
                  aria-label="Select all"
                  checked={allPicked}
                  indeterminate={picked.length > 0 && !allPicked}
                  onChange={() => setChosen(new Set(allPicked ? [] : found.map((box) => box.id)))}
                />
              </th>
              {picked.length > 0 ? (
                <BulkActions picked={picked} clear={() => setChosen(new Set())} />
              ) : (
                <ColumnNames />
              )}
            </tr>
          </thead>
          <tbody
            ref={rows}
            style={{ paddingTop: windowed.spaceBefore, paddingBottom: windowed.spaceAfter }}
          >
            {windowed.indexes.map((index) => {
              const box = found[index];
              return box ? (
                <BoxRow
                  key={box.id}
                  box={box}
                  index={index}
                  isAtCursor={index === cursor}
                  isPicked={chosen.has(box.id)}
                  toggle={toggle}
                  possible={allowedActions(box, mayOnListed(box))}
                />
              ) : null;
            })}
          </tbody>
        </table>
        {isLoaded ? null : <Loading rows={6} />}
        {isLoaded && found.length === 0 ? (
          <Nothing hasBoxes={all.length > 0} isCreator={isCreator} />
        ) : null}
      </div>
      <Keys />
    </div>
  );
}

function toggled(before: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(before);
  if (!next.delete(id)) next.add(id);
  return next;
}

function ColumnNames() {
  return (
    <>
      <th scope="col">Name</th>
      <th scope="col">Phase</th>
      <th scope="col" className={css.template}>
        Template
      </th>
      <th scope="col" className={css.size}>
        Size
      </th>
      <th scope="col" className={css.node}>
        Node
      </th>
      <th scope="col" className={css.since}>
        Since
      </th>
      <th scope="col" aria-label="Actions" />
    </>
  );
}

function Views(props: {
  readonly all: readonly Box[];
  readonly view: View;
  readonly setView: (view: View) => void;
}) {
  return (
    <div className={css.views} role="tablist" aria-label="Which boxes">
      {VIEWS.map((view) => (
        <button
          key={view}
          type="button"
          role="tab"
          aria-selected={props.view === view}
          onClick={() => props.setView(view)}
        >
          {VIEW_WORDS[view]} <span>{props.all.filter((box) => isInView(box, view)).length}</span>
        </button>
      ))}
    </div>
  );
}

const BULK = ["resume", "pause", "start", "stop", "fork", "delete"] as const;

/** What at least one of them can be asked for. */
function BulkActions({
  picked,
  clear,
}: {
  readonly picked: readonly Box[];
  readonly clear: () => void;
}) {
  return (
    <th className={css.bulk}>
      <span>{count(picked.length, "box", "boxes")} selected</span>
      {BULK.filter((action) =>
        picked.some((box) => allowedActions(box, mayOnListed(box)).includes(action)),
      ).map((action) => (
        <Button
          key={action}
          size="compact-xs"
          variant={action === "delete" ? "light" : "default"}
          color={action === "delete" ? "red" : undefined}
          onClick={() => void doAction(action, picked).then((isDone) => isDone && clear())}
        >
          {ACTION_WORDS[action].label}
        </Button>
      ))}
      <Button size="compact-xs" variant="subtle" color="gray" onClick={clear}>
        Clear
      </Button>
    </th>
  );
}

function Nothing(props: { readonly hasBoxes: boolean; readonly isCreator: boolean }) {
  const { hasBoxes, isCreator } = props;
  if (hasBoxes) return <Empty title="No box matches">Change the search or the view above.</Empty>;
  return (
    <Empty icon={<IconBox size={34} stroke={1.4} />} title="No boxes yet">
      A box is a machine of your own: ready in a second, paused with every process alive, forked
      when you want to try something.
      {isCreator ? (
        <div style={{ marginTop: 14 }}>
          <Button leftSection={<IconPlus size={15} />} onClick={openCreateBox}>
            Create the first one
          </Button>
        </div>
      ) : (
        " Those that are shared with you appear here; to make your own, ask an administrator for a role."
      )}
    </Empty>
  );
}

function Keys() {
  const keys: readonly (readonly [string, string])[] = [
    ["j k", "move"],
    ["↵", "open"],
    ["x", "select"],
    ["c", "new box"],
    ["p", "pause or resume"],
    ["f", "fork"],
    ["/", "search"],
    ["⌘K", "everything"],
  ];
  return (
    <div className={css.keys}>
      {keys.map(([key, what]) => (
        <span key={key}>
          <kbd>{key}</kbd> {what}
        </span>
      ))}
    </div>
  );
}

interface RowKeys {
  readonly toggle: (id: string) => void;
  readonly picked: readonly Box[];
  readonly searchField: RefObject<HTMLInputElement | null>;
}

/** The row that keys act on; -1: none yet. */
function useRowKeys(found: readonly Box[], { toggle, picked, searchField }: RowKeys): number {
  const [atId, setAtId] = useState<string | null>(null);
  const navigate = useNavigate();
  const at = found.findIndex((box) => box.id === atId);
  const box = found[at];
  const move = (step: number) => {
    const next = found[Math.max(0, Math.min(found.length - 1, at + step))];
    if (next) setAtId(next.id);
  };
  const act = (action: (typeof ACTIONS)[number] | null) => {
    const targets = picked.length > 0 ? picked : box ? [box] : [];
    if (action) void doAction(action, targets);
  };
  const first = picked[0] ?? box;
  useHotkeys([
    ["/", () => searchField.current?.focus()],
    ["c", openCreateBox],
    ["j", () => move(1)],
    ["k", () => move(-1)],
    ["ArrowDown", () => move(1)],
    ["ArrowUp", () => move(-1)],
    ["x", () => box && toggle(box.id)],
    ["p", () => act(first ? mainAction(allowedActions(first, mayOnListed(first))) : null)],
    ["f", () => act("fork")],
    ["Delete", () => act("delete")],
    ["Escape", () => setAtId(null)],
  ]);
  useHotkeys(
    [["Enter", () => box && void navigate({ to: "/boxes/$box", params: { box: box.name } })]],
    ["INPUT", "TEXTAREA", "SELECT", "BUTTON", "A"],
  );
  return at;
}
