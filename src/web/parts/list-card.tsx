// A list in a card: while it is read, when that failed, when there is nothing, and with more to read.

import { Button } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { Pages } from "../data/pages.ts";
import { Failed, Loading } from "./empty.tsx";
import { Card, Page } from "./page.tsx";
import css from "./parts.module.css";

export function ListCard<Item>(props: {
  readonly title?: ReactNode;
  readonly actions?: ReactNode;
  readonly list: Pages<Item>;
  readonly empty: ReactNode;
  readonly children: (items: readonly Item[]) => ReactNode;
}) {
  const { items, error, retry, more, isReadingMore } = props.list;
  return (
    <Card title={props.title} actions={props.actions}>
      {items === null && !error ? <Loading rows={3} /> : null}
      {error ? <Failed error={error} retry={retry} /> : null}
      {items?.length === 0 && !error ? props.empty : null}
      {items && items.length > 0 ? <div className={css.scroll}>{props.children(items)}</div> : null}
      {more ? (
        <div className={css.more}>
          <Button variant="subtle" color="gray" loading={isReadingMore} onClick={more}>
            Show more
          </Button>
        </div>
      ) : null}
    </Card>
  );
}

/** A page that is one list, and a button that adds to it. */
export function ListPage<Item>(props: {
  readonly title: string;
  readonly lead?: ReactNode;
  /** Without it there is no button. */
  readonly add?: { readonly label: string; readonly open: () => void } | null;
  readonly list: Pages<Item>;
  readonly empty: ReactNode;
  readonly children: (items: readonly Item[]) => ReactNode;
  /** Dialogs, and what else belongs to the page. */
  readonly also?: ReactNode;
}) {
  return (
    <Page
      title={props.title}
      lead={props.lead}
      actions={props.add ? <AddButton {...props.add} /> : null}
    >
      <ListCard list={props.list} empty={props.empty}>
        {props.children}
      </ListCard>
      {props.also}
    </Page>
  );
}

export function AddButton({ label, open }: { readonly label: string; readonly open: () => void }) {
  return (
    <Button leftSection={<IconPlus size={15} />} onClick={open}>
      {label}
    </Button>
  );
}
