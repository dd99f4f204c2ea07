// The pages about an organization, and who is shown each.

import {
  IconCoin,
  IconGauge,
  IconHistory,
  IconLogin2,
  IconMail,
  IconReceipt2,
  IconRobot,
  IconScale,
  IconUsers,
  IconUsersGroup,
} from "@tabler/icons-react";
import type { Who } from "../data/types.ts";
import type { Section } from "../parts/section-frame.tsx";

export const SECTIONS = [
  { id: "members", label: "Members", icon: IconUsers, needs: "member.read" },
  { id: "teams", label: "Teams", icon: IconUsersGroup, needs: "team.read" },
  { id: "invitations", label: "Invitations", icon: IconMail, needs: "member.manage" },
  { id: "service-accounts", label: "Service accounts", icon: IconRobot, needs: "service.manage" },
  { id: "quotas", label: "Quotas", icon: IconGauge, needs: "org.read" },
  { id: "usage", label: "Usage & cost", icon: IconReceipt2, needs: "org.read" },
  { id: "budgets", label: "Budgets", icon: IconCoin, needs: "org.read" },
  { id: "audit", label: "Audit", icon: IconHistory, needs: "audit.read" },
  { id: "providers", label: "Sign-in providers", icon: IconLogin2, needs: "provider.manage" },
  { id: "rules", label: "Rules", icon: IconScale, needs: "org.manage" },
] as const satisfies readonly Section[];
export type SectionId = (typeof SECTIONS)[number]["id"];

/** Whom the organization gave nothing has nothing to look at in it. */
export function sectionsFor({ permissions }: Who): readonly Section[] {
  return SECTIONS.filter(({ needs }) => permissions.includes(needs));
}
