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
import { useState } from "react";
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

export function ActionMenu(props: { readonly box: Box; readonly possible: readonly Action[] }) {
  const { box, possible } = props;
  // A menu is much to draw, and most rows of a list are never asked for theirs.
  const [isWanted, setWanted] = useState(false);
  if (possible.length === 0) return null;
  const button = (
    <ActionIcon
      aria-label={`Actions for ${box.name}`}
      aria-haspopup="menu"
      aria-expanded={false}
      onClick={() => setWanted(true)}
    >
      <IconDots size={16} />
    </ActionIcon>
  );
  if (!isWanted) return button;
  return (
    <Menu defaultOpened position="bottom-end" width={190} shadow="md" withinPortal>
      <Menu.Target>{button}</Menu.Target>
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
