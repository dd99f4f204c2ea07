// One box of the list.

import { ActionIcon, Checkbox, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { Box } from "#sdk/client.ts";
import { mayOnListed } from "../data/me.ts";
import { count, memory } from "../format.ts";
import { ShortAgo } from "../parts/when.tsx";
import { ActionMenu, actionIcon } from "./action-menu.tsx";
import { ACTION_WORDS, type Action, allowedActions, mainAction, noteOf } from "./actions.ts";
import css from "./boxes.module.css";
import { doAction } from "./do-action.ts";
import { PhaseLabel } from "./phase.tsx";

export function BoxRow(props: {
  readonly box: Box;
  readonly isAtCursor: boolean;
  readonly isPicked: boolean;
  readonly toggle: () => void;
}) {
  const { box } = props;
  const note = noteOf(box);
  const possible = allowedActions(box, mayOnListed(box));
  return (
    <tr
      id={`row-${box.id}`}
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
          onChange={props.toggle}
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
    <Tooltip label={ACTION_WORDS[action].label}>
      <ActionIcon
        className={css.mainAction}
        aria-label={`${ACTION_WORDS[action].label} ${box.name}`}
        onClick={() => void doAction(action, [box])}
      >
        <Icon size={16} stroke={1.7} />
      </ActionIcon>
    </Tooltip>
  );
}
