// The pages about the installation, for those who run it.

import {
  IconBuildingSkyscraper,
  IconCoin,
  IconDoor,
  IconGauge,
  IconHistory,
  IconLogin2,
  IconServer,
} from "@tabler/icons-react";
import type { Who } from "../data/types.ts";
import type { Section } from "../parts/section-frame.tsx";

export const SECTIONS = [
  {
    ...{ id: "organizations", label: "Organizations", icon: IconBuildingSkyscraper },
    needs: "org.create",
  },
  { id: "nodes", label: "Nodes", icon: IconServer, needs: "node.read" },
  { id: "gateways", label: "Gateways", icon: IconDoor, needs: "system.read" },
  { id: "providers", label: "Sign-in providers", icon: IconLogin2, needs: "provider.manage" },
  { id: "limits", label: "Limits", icon: IconGauge, needs: "org.create" },
  { id: "prices", label: "Prices", icon: IconCoin, needs: "org.create" },
  { id: "audit", label: "Audit", icon: IconHistory, needs: "org.create" },
] as const satisfies readonly Section[];
export type SectionId = (typeof SECTIONS)[number]["id"];

export function sectionsFor({ isOperator, permissions }: Who): readonly Section[] {
  return isOperator ? SECTIONS.filter(({ needs }) => permissions.includes(needs)) : [];
}
