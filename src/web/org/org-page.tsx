// The pages about one's organization.

import { useParams } from "@tanstack/react-router";
import { lazy } from "react";
import { useWho } from "../data/me.ts";
import { type PagesOf, SectionFrame } from "../parts/section-frame.tsx";
import { MembersPage } from "./members-page.tsx";
import { SECTIONS, type SectionId, sectionsFor } from "./sections.ts";

const PAGES: PagesOf<SectionId> = {
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

export function OrgPage() {
  const { section } = useParams({ strict: false });
  const who = useWho();
  if (!who) return null;
  return (
    <SectionFrame
      title={who.org.name}
      label={`Organization ${who.org.name}`}
      to="/org/$section"
      all={SECTIONS}
      open={sectionsFor(who)}
      pages={PAGES}
      section={section}
    />
  );
}
