// The pages about the installation.

import { useParams } from "@tanstack/react-router";
import { lazy } from "react";
import { useWho } from "../data/me.ts";
import { type PagesOf, SectionFrame } from "../parts/section-frame.tsx";
import { OrgsPage } from "./orgs-page.tsx";
import { SECTIONS, type SectionId, sectionsFor } from "./sections.ts";

const PAGES: PagesOf<SectionId> = {
  organizations: OrgsPage,
  nodes: lazy(() => import("../nodes/nodes-page.tsx").then((one) => ({ default: one.NodesPage }))),
  gateways: lazy(() =>
    import("./gateways-page.tsx").then((one) => ({ default: one.GatewaysPage })),
  ),
  providers: lazy(() =>
    import("../org/providers-page.tsx").then((one) => ({ default: one.InstallationProviders })),
  ),
  limits: lazy(() => import("./limits-page.tsx").then((one) => ({ default: one.LimitsPage }))),
  prices: lazy(() => import("./prices-page.tsx").then((one) => ({ default: one.PricesPage }))),
  audit: lazy(() =>
    import("../org/audit-page.tsx").then((one) => ({ default: one.InstallationTrail })),
  ),
};

export function InstallationPage() {
  const { section } = useParams({ strict: false });
  const who = useWho();
  if (!who) return null;
  return (
    <SectionFrame
      title="Installation"
      label="Installation"
      to="/installation/$section"
      all={SECTIONS}
      open={sectionsFor(who)}
      pages={PAGES}
      section={section}
    />
  );
}
