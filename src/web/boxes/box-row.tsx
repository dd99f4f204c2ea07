// One box of the list.

import { ActionIcon, Checkbox } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { memo } from "react";
import type { Box } from "#sdk/client.ts";
import { count, memory } from "../format.ts";
import { ShortAgo } from "../parts/when.tsx";
import { ActionMenu, actionIcon } from "./action-menu.tsx";
import { ACTION_WORDS, type Action, mainAction, noteOf } from "./actions.ts";
import css from "./boxes.module.css";
import { doAction } from "./do-action.ts";
import { PhaseLabel } from "./phase.tsx";

interface RowProps {
  readonly box: Box;
  /** Among those that are found. */
  readonly index: number;
  readonly isAtCursor: boolean;
  readonly isPicked: boolean;
  readonly toggle: (id: string) => void;
  /** What may be asked of it. */
  readonly possible: readonly Action[];
}

/** Drawn again only when something in it is new: many of them are on the page, which changes often. */
export const BoxRow = memo(Row, (before, now) => {
  const { possible, ...others } = now;
  const isSame = Object.entries(others).every(
    ([key, value]) => before[key as keyof RowProps] === value,
  );
  return isSame && possible.join() === before.possible.join();
});

function Row(props: RowProps) {
  const { box, possible } = props;
  const note = noteOf(box);
  return (
    <tr
      aria-rowindex={props.index + 2}
      className={css.row}
      aria-label={box.name}
      data-cursor={props.isAtCursor}
      data-picked={props.isPicked}
    >
      <td>
        <Checkbox
          size="xs"
          aria-label={`Select ${box.name}`}
          checked={props.isPicked}
          onChange={() => props.toggle(box.id)}
        />
      </td>
      <td className={css.name}>
        <Link to="/boxes/$box" params={{ box: box.name }}>
          {box.name}
        </Link>
        {box.source.forkedFrom ? (
          <span className={css.from}>from {box.source.forkedFrom.name ?? "a deleted box"}</span>
        ) : null}
      </td>
      <td className={css.phase}>
        <PhaseLabel phase={box.phase} />
        {note ? (
          <span className={css.note} title={note} data-bad={box.fault !== null}>
            {note}
          </span>
        ) : null}
      </td>
      <td className={css.template}>
        {box.template.name}
        <span className={css.version}>v{box.template.version}</span>
      </td>
      <td className={css.size}>
        {count(box.spec.cpus, "vCPU")} · {memory(box.spec.memoryMib)}
      </td>
      <td className={css.node}>{box.node?.name ?? "–"}</td>
      <Since iso={box.since} />
      <td className={css.actions}>
        <MainAction box={box} action={mainAction(possible)} />
        <ActionMenu box={box} possible={possible} />
      </td>
    </tr>
  );
}

function Since({ iso }: { readonly iso: string }) {
  return (
    <td className={css.since}>
      <ShortAgo at={iso} />
    </td>
  );
}

function MainAction({ box, action }: { readonly box: Box; readonly action: Action | null }) {
  if (!action) return null;
  const Icon = actionIcon(action);
  return (
    <ActionIcon
      className={css.mainAction}
      title={ACTION_WORDS[action].label}
      aria-label={`${ACTION_WORDS[action].label} ${box.name}`}
      onClick={() => void doAction(action, [box])}
    >
      <Icon size={16} stroke={1.7} />
    </ActionIcon>
  );
}
