// A list in a card: while it is read, when that failed, when there is nothing, and with more to read. A long one can be
// searched and put in order.

import { Button, Select, TextInput } from "@mantine/core";
import { IconPlus, IconSearch } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import { useAddress } from "../data/address.ts";
import type { Pages } from "../data/pages.ts";
import { Empty, Failed, Loading } from "./empty.tsx";
import { foundIn } from "./found.ts";
import { Card, Page } from "./page.tsx";
import css from "./parts.module.css";

export interface Find<Item> {
  /** What they are, of many: `members`. */
  readonly what: string;
  /** What a search looks in. */
  readonly textOf: (item: Item) => string;
  /** By what people call them; the first is how the list comes. */
  readonly orders?: Readonly<Record<string, (one: Item, other: Item) => number>>;
}

interface ListProps<Item> {
  readonly list: Pages<Item>;
  readonly empty: ReactNode;
  /** For lists that are read to their end. */
  readonly find?: Find<Item>;
  readonly children: (items: readonly Item[]) => ReactNode;
}

/** Fewer are seen at once. */
const FIND_FROM = 8;
/** So many rows are drawn at once. */
const DRAWN = 50;

export function ListCard<Item>(
  props: ListProps<Item> & { readonly title?: ReactNode; readonly actions?: ReactNode },
) {
  const { items, error, retry, more, isReadingMore } = props.list;
  const [drawn, setDrawn] = useState(DRAWN);
  const [asked, ask] = useAddress({ q: "", sort: "" });
  const { find } = props;
  const found = find ? foundIn(items ?? [], find, asked) : (items ?? []);
  const isLong = find !== undefined && items !== null && items.length >= FIND_FROM;
  const shown = find ? found.slice(0, drawn) : found;
  const isCut = shown.length < found.length;
  return (
    <Card title={props.title} actions={props.actions}>
      {items === null && !error ? <Loading rows={3} /> : null}
      {error ? <Failed error={error} retry={retry} /> : null}
      {items?.length === 0 && !error ? props.empty : null}
      {find && (isLong || asked.q) ? (
        <FindBar find={find} asked={asked} ask={ask}>
          {asked.q ? `${found.length} of ${items?.length ?? 0}` : `${found.length}`} {find.what}
          {more ? (isReadingMore ? ", reading on…" : " so far") : ""}
        </FindBar>
      ) : null}
      {shown.length > 0 ? <div className={css.scroll}>{props.children(shown)}</div> : null}
      {items && items.length > 0 && found.length === 0 ? (
        <Empty
          title={`No ${find?.what} match “${asked.q}”`}
          add={{ label: "Show all", open: () => ask({ q: "" }) }}
        />
      ) : null}
      {isCut || (more && !(find && isReadingMore)) ? (
        <div className={css.more}>
          <Button
            variant="subtle"
            color="gray"
            loading={isReadingMore}
            onClick={isCut ? () => setDrawn(drawn + 5 * DRAWN) : () => more?.()}
          >
            {isCut ? `Show more (${found.length - shown.length})` : "Show more"}
          </Button>
        </div>
      ) : null}
    </Card>
  );
}

interface FindBarProps<Item> {
  readonly find: Find<Item>;
  readonly asked: { readonly q: string; readonly sort: string };
  readonly ask: (change: { q?: string; sort?: string }) => void;
  readonly children: ReactNode;
}

function FindBar<Item>({ find, asked, ask, children }: FindBarProps<Item>) {
  const orders = Object.keys(find.orders ?? {});
  return (
    <search className={css.findBar}>
      <TextInput
        size="xs"
        aria-label={`Search ${find.what}`}
        placeholder={`Search ${find.what}`}
        leftSection={<IconSearch size={14} />}
        value={asked.q}
        onChange={(event) => ask({ q: event.currentTarget.value })}
      />
      {orders.length > 1 ? (
        <Select
          size="xs"
          w={150}
          aria-label="Order"
          allowDeselect={false}
          data={orders}
          value={orders.includes(asked.sort) ? asked.sort : orders[0]}
          onChange={(sort) => ask({ sort: sort === orders[0] ? "" : (sort ?? "") })}
        />
      ) : null}
      <output className={css.dim}>{children}</output>
    </search>
  );
}

/** A page that is one list, and a button that adds to it. */
export function ListPage<Item>(
  props: ListProps<Item> & {
    readonly title: string;
    readonly lead?: ReactNode;
    /** Without it there is no button. */
    readonly add?: { readonly label: string; readonly open: () => void } | null;
    /** Dialogs, and what else belongs to the page. */
    readonly also?: ReactNode;
  },
) {
  return (
    <Page
      title={props.title}
      lead={props.lead}
      actions={props.add ? <AddButton {...props.add} /> : null}
    >
      <ListCard list={props.list} empty={props.empty} {...(props.find ? { find: props.find } : {})}>
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
