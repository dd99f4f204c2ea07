// What can be done to a row of a table: small buttons with a name each.

import { ActionIcon, Tooltip } from "@mantine/core";
import type { TablerIcon } from "@tabler/icons-react";
import css from "./parts.module.css";

export interface RowAction {
  /** Of the button, for whoever sees it and for whoever hears it: `Remove`. */
  readonly label: string;
  readonly icon: TablerIcon;
  readonly run: () => void;
}

/** What is null may not be done here. */
export function RowActions(props: {
  readonly of: string;
  readonly actions: readonly (RowAction | null)[];
}) {
  return (
    <span className={css.rowActions}>
      {props.actions
        .filter((action) => action !== null)
        .map(({ label, icon: Icon, run }) => (
          <Tooltip key={label} label={label}>
            <ActionIcon aria-label={`${label} ${props.of}`} onClick={run}>
              <Icon size={16} stroke={1.7} />
            </ActionIcon>
          </Tooltip>
        ))}
    </span>
  );
}
