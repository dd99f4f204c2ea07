// The shapes that pages are made of: a page with its head, a card, facts, a text to copy.

import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { Fragment, type ReactNode, useEffect } from "react";
import css from "./parts.module.css";

/** What the browser's tab says. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Berth`;
  }, [title]);
}

export function Page(props: {
  readonly title: string;
  readonly lead?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}) {
  useTitle(props.title);
  return (
    <div className={css.page}>
      <div className={css.pageHead}>
        <h1>{props.title}</h1>
        <div>{props.actions}</div>
      </div>
      {props.lead ? <p className={css.pageLead}>{props.lead}</p> : null}
      {props.children}
    </div>
  );
}

export function Card(props: {
  readonly title?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <section className={css.card}>
      {props.title ? (
        <div className={css.cardHead}>
          <div>{props.title}</div>
          {props.actions ? <div>{props.actions}</div> : null}
        </div>
      ) : null}
      {props.children}
    </section>
  );
}

export type Fact = readonly [name: string, value: ReactNode];

/** What is null is left out. */
export function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl className={css.facts}>
      {facts
        .filter(([, value]) => value !== null)
        .map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
    </dl>
  );
}

export function Copyable({ text, label }: { readonly text: string; readonly label?: string }) {
  return (
    <span className={css.copy}>
      <span title={text}>{text}</span>
      <CopyIcon text={text} label={label ?? "Copy"} />
    </span>
  );
}

export function CopyIcon({
  text,
  label = "Copy",
}: {
  readonly text: string;
  readonly label?: string;
}) {
  return (
    <CopyButton value={text} timeout={1500}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? "Copied" : label}>
          <ActionIcon size="sm" onClick={copy} aria-label={label}>
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}
