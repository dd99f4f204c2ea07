// The pages about one's organization, with the way from one to the other.

import { Link, Navigate, useParams } from "@tanstack/react-router";
import { type ComponentType, lazy, Suspense } from "react";
import { useWho } from "../data/me.ts";
import { Empty, Loading } from "../parts/empty.tsx";
import { NotFound } from "../parts/lost.tsx";
import { MembersPage } from "./members-page.tsx";
import css from "./org.module.css";
import { SECTIONS, type SectionId, sectionsFor } from "./sections.ts";

const PAGES: Readonly<Record<SectionId, ComponentType>> = {
  members: MembersPage,
  teams: lazy(() => import("./teams-page.tsx").then((one) => ({ default: one.TeamsPage }))),
  invitations: lazy(() =>
    import("./invitations-page.tsx").then((one) => ({ default: one.InvitationsPage })),
  ),
  "service-accounts": lazy(() =>
    import("./service-accounts-page.tsx").then((one) => ({ default: one.ServiceAccountsPage })),
  ),
  quotas: lazy(() => import("./quotas-page.tsx").then((one) => ({ default: one.QuotasPage }))),
  usage: lazy(() => import("./usage-page.tsx").then((one) => ({ default: one.UsagePage }))),
  budgets: lazy(() => import("./budgets-page.tsx").then((one) => ({ default: one.BudgetsPage }))),
  audit: lazy(() => import("./audit-page.tsx").then((one) => ({ default: one.AuditPage }))),
  providers: lazy(() =>
    import("./providers-page.tsx").then((one) => ({ default: one.ProvidersPage })),
  ),
  rules: lazy(() => import("./rules-page.tsx").then((one) => ({ default: one.RulesPage }))),
};

/** On a small screen they stand in a row that is longer than it is wide. */
function showWhole(link: HTMLAnchorElement | null): void {
  link?.scrollIntoView({ inline: "center", block: "nearest" });
}

export function OrgPage() {
  const { section } = useParams({ strict: false });
  const who = useWho();
  if (!who) return null;
  const open = sectionsFor(who.permissions);
  const shown = open.find(({ id }) => id === section);
  const first = open[0];
  if (!section && first)
    return <Navigate to="/org/$section" params={{ section: first.id }} replace />;
  const Body = shown ? PAGES[shown.id] : null;
  return (
    <div className={css.org}>
      <nav className={css.sections} aria-label={`Organization ${who.org.name}`}>
        <div className={css.orgName}>{who.org.name}</div>
        {open.map(({ id, label, icon: Icon }) => (
          <Link
            key={id}
            to="/org/$section"
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
          <NoSuch section={section ?? ""} />
        )}
      </div>
    </div>
  );
}

function NoSuch({ section }: { readonly section: string }) {
  const known = SECTIONS.find(({ id }) => id === section);
  if (!known) return <NotFound />;
  return (
    <Empty title="This page is not for you">
      {known.label} needs the permission {known.needs}. An owner or administrator of the
      organization can give you a role that has it.
    </Empty>
  );
}
