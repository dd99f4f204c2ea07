// Nothing here, or it could not be had: what that means and what to do next.

import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { wordsOf } from "../data/berth.ts";
import css from "./parts.module.css";

export function Empty(props: {
  readonly icon?: ReactNode;
  readonly title: string;
  readonly children?: ReactNode;
  /** What to do next, for whoever may. */
  readonly add?: { readonly label: string; readonly open: () => void } | null;
}) {
  return (
    <div className={css.empty}>
      {props.icon ? <div className={css.emptyIcon}>{props.icon}</div> : null}
      <div className={css.emptyTitle}>{props.title}</div>
      {props.children ? <div className={css.emptyText}>{props.children}</div> : null}
      {props.add ? (
        <Button variant="default" mt="xs" onClick={props.add.open}>
          {props.add.label}
        </Button>
      ) : null}
    </div>
  );
}

export function Failed(props: { readonly error: unknown; readonly retry?: () => void }) {
  return (
    <div className={css.empty} role="alert">
      <div className={css.emptyTitle}>This could not be loaded</div>
      <div className={css.emptyText}>{wordsOf(props.error)}</div>
      {props.retry ? (
        <Button variant="default" mt="sm" onClick={props.retry}>
          Try again
        </Button>
      ) : null}
    </div>
  );
}

/** Grey bars where rows will be, in their height. */
export function Loading({ rows = 5 }: { readonly rows?: number }) {
  return (
    <div className={css.loading} role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
        <div key={row} className={css.bone} style={{ width: `${92 - ((row * 17) % 40)}%` }} />
      ))}
    </div>
  );
}
