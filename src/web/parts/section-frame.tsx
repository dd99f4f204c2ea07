// Pages about one thing, with the way from one to the other: of an organization, of the installation.

import type { TablerIcon } from "@tabler/icons-react";
import { Link, Navigate } from "@tanstack/react-router";
import { type ComponentType, Suspense } from "react";
import type { Permission } from "../data/types.ts";
import { Empty, Loading } from "./empty.tsx";
import { NotFound } from "./lost.tsx";
import css from "./section-frame.module.css";

export interface Section {
  readonly id: string;
  readonly label: string;
  readonly icon: TablerIcon;
  readonly needs: Permission;
}
export type PagesOf<Id extends string> = Readonly<Record<Id, ComponentType>>;

/** On a small screen they stand in a row that is longer than it is wide. */
function showWhole(link: HTMLAnchorElement | null): void {
  link?.scrollIntoView({ inline: "center", block: "nearest" });
}

export function SectionFrame(props: {
  readonly title: string;
  /** For whoever hears it. */
  readonly label: string;
  readonly to: "/org/$section" | "/installation/$section";
  readonly all: readonly Section[];
  /** Those that whoever is logged in may see. */
  readonly open: readonly Section[];
  readonly pages: PagesOf<string>;
  readonly section: string | undefined;
}) {
  const { open, section, to } = props;
  const [first] = open;
  if (!section && first) return <Navigate to={to} params={{ section: first.id }} replace />;
  const shown = open.find(({ id }) => id === section);
  const Body = shown ? props.pages[shown.id] : null;
  return (
    <div className={css.frame}>
      <nav className={css.sections} aria-label={props.label}>
        <div className={css.title}>{props.title}</div>
        {open.map(({ id, label, icon: Icon }) => (
          <Link
            key={id}
            to={to}
            params={{ section: id }}
            className={css.section}
            data-active={id === section}
            aria-current={id === section ? "page" : undefined}
            ref={id === section ? showWhole : undefined}
          >
            <Icon size={16} stroke={1.6} />
            {label}
          </Link>
        ))}
      </nav>
      <div className={css.body}>
        {Body ? (
          <Suspense fallback={<Loading rows={6} />}>
            <Body />
          </Suspense>
        ) : (
          <NotShown wanted={props.all.find(({ id }) => id === section)} />
        )}
      </div>
    </div>
  );
}

function NotShown({ wanted }: { readonly wanted: Section | undefined }) {
  if (!wanted) return <NotFound />;
  return (
    <Empty title="This page is not for you">
      {wanted.label} needs the permission {wanted.needs}. An owner or administrator of the
      organization can give you a role that has it; what is of the installation is for its
      operators.
    </Empty>
  );
}
