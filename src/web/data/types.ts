// Resources that the SDK has no name for of its own.

import type { components } from "#gen/api-types.ts";
import type { AnswerOf } from "#sdk/operations.ts";

type Schemas = components["schemas"];
export type SshKey = Schemas["SshKey"];
export type Token = Schemas["Token"];
export type Preview = Schemas["Preview"];
export type Who = Schemas["Who"];
export type Permission = Who["permissions"][number];
export type Member = Schemas["Member"];
export type OrgRole = Member["roles"][number];
export type Team = Schemas["Team"];
export type TeamMember = Schemas["TeamMember"];
export type TeamRole = TeamMember["role"];
export type Invitation = Schemas["Invitation"];
export type Share = Schemas["Share"];
export type BoxRole = Share["role"];
export type InstallationOrg = Schemas["InstallationOrg"];
export type Quota = Schemas["Quota"];
export type QuotaLimits = Schemas["QuotaLimits"];
export type Budget = Schemas["Budget"];
export type Provider = Schemas["Provider"];
export type ScimToken = Schemas["ScimToken"];
export type Usage = Schemas["Usage"];
export type AuditEntry = AnswerOf<"audit.list">["items"][number];
