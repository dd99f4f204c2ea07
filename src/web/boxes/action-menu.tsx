// Everything that can be asked of one box now.

import { ActionIcon, Menu } from "@mantine/core";
import {
  IconBookmark,
  IconDots,
  IconGitFork,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  IconPower,
  IconRefresh,
  IconTrash,
} from "@tabler/icons-react";
import { useEffect, useState } from "react";
import type { Box } from "#sdk/client.ts";
import { ACTION_WORDS, type Action } from "./actions.ts";
import { doAction } from "./do-action.ts";

const ICONS = {
  resume: IconPlayerPlay,
  start: IconPower,
  pause: IconPlayerPause,
  stop: IconPlayerStop,
  restart: IconRefresh,
  fork: IconGitFork,
  checkpoint: IconBookmark,
  delete: IconTrash,
} as const;

export function actionIcon(action: Action) {
  return ICONS[action];
}

interface MenuProps {
  readonly box: Box;
  readonly possible: readonly Action[];
}

/** A menu is much to draw, and most rows of a list are never asked for theirs. */
export function ActionMenu(props: MenuProps) {
  const [isWanted, setWanted] = useState(false);
  if (props.possible.length === 0) return null;
  if (isWanted) return <OpenMenu {...props} />;
  return (
    <ActionIcon
      aria-label={`Actions for ${props.box.name}`}
      aria-haspopup="menu"
      aria-expanded={false}
      onClick={() => setWanted(true)}
    >
      <IconDots size={16} />
    </ActionIcon>
  );
}

function OpenMenu({ box, possible }: MenuProps) {
  // Opened when its button is there and has the focus, which comes back to it.
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(true), []);
  return (
    <Menu
      opened={isOpen}
      onChange={setOpen}
      position="bottom-end"
      width={190}
      shadow="md"
      withinPortal
    >
      <Menu.Target>
        <ActionIcon autoFocus aria-label={`Actions for ${box.name}`}>
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {possible.map((action) => {
          const Icon = ICONS[action];
          return (
            <Menu.Item
              key={action}
              color={action === "delete" ? "var(--bad)" : undefined}
              leftSection={<Icon size={15} stroke={1.7} />}
              onClick={() => void doAction(action, [box])}
            >
              {ACTION_WORDS[action].label}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}
