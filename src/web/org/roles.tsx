// The roles of an organization: what each means, and choosing some.

import { Badge, Checkbox } from "@mantine/core";
import { useWho } from "../data/me.ts";
import type { OrgRole, TeamRole } from "../data/types.ts";
import css from "./org.module.css";

export const ROLE_WORDS: Readonly<Record<OrgRole, readonly [label: string, means: string]>> = {
  owner: ["Owner", "All there is; makes and unmakes owners"],
  admin: ["Admin", "Members, teams, limits, every box: all but making owners"],
  template_author: ["Template author", "What a member may, and makes templates"],
  member: ["Member", "Makes boxes, and runs and shares their own"],
  viewer: ["Viewer", "Sees boxes and changes nothing"],
  auditor: ["Auditor", "Sees boxes, the audit trail, quotas and usage"],
  billing: ["Billing", "Sees usage and quotas, sets budgets"],
};
export const ORG_ROLES = Object.keys(ROLE_WORDS) as OrgRole[];

export const TEAM_ROLE_WORDS: Readonly<Record<TeamRole, string>> = {
  admin: "Manages the team and its boxes",
  member: "Makes boxes in it, enters them",
  viewer: "Sees its boxes",
};
export const TEAM_ROLES = Object.keys(TEAM_ROLE_WORDS) as TeamRole[];

export function isTeamRole(role: string | null): role is TeamRole {
  return role !== null && role in TEAM_ROLE_WORDS;
}

export function RoleBadges(props: {
  readonly roles: readonly OrgRole[];
  readonly managed?: readonly OrgRole[];
}) {
  return (
    <span style={{ display: "inline-flex", flexWrap: "wrap", gap: 4 }}>
      {props.roles.map((role) => (
        <Badge
          key={role}
          size="sm"
          tt="none"
          variant="light"
          styles={{ root: { maxWidth: "none" }, label: { overflow: "visible" } }}
          color={role === "owner" || role === "admin" ? "tide" : "gray"}
          title={
            props.managed?.includes(role)
              ? `${ROLE_WORDS[role][1]}. Given by the sign-in provider or directory: change it there.`
              : ROLE_WORDS[role][1]
          }
        >
          {ROLE_WORDS[role][0]}
          {props.managed?.includes(role) ? " · managed" : ""}
        </Badge>
      ))}
    </span>
  );
}

/** Owners are made by owners; nobody is offered what would be refused. */
export function RolesField(props: {
  readonly roles: readonly OrgRole[];
  readonly setRoles: (roles: OrgRole[]) => void;
}) {
  const who = useWho();
  const isOwner = who?.roles.includes("owner") ?? false;
  return (
    <Checkbox.Group
      label="Roles"
      value={[...props.roles]}
      onChange={(roles) => props.setRoles(roles as OrgRole[])}
    >
      <div className={css.roles} style={{ marginTop: 8 }}>
        {ORG_ROLES.map((role) => (
          <Checkbox
            key={role}
            size="xs"
            value={role}
            label={ROLE_WORDS[role][0]}
            description={ROLE_WORDS[role][1]}
            disabled={role === "owner" && !isOwner}
          />
        ))}
      </div>
    </Checkbox.Group>
  );
}
