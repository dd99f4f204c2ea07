// Who belongs to an organization: members, teams, invitations, service accounts; and with whom a box is shared.

import { z } from "zod";
import { BOX_ROLES, ORG_ROLES, TEAM_ROLES } from "#domain/permission.ts";
import { personName } from "#domain/person-name.ts";
import {
  idSchema,
  line,
  nameSchema,
  pageOf,
  pageQuery,
  refSchema,
  text,
  timeSchema,
} from "./fields.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export const emailSchema = z.email("must be an e-mail address").max(254);
export const rolesSchema = z
  .array(z.enum(ORG_ROLES))
  .min(1)
  .max(ORG_ROLES.length)
  .refine((roles) => new Set(roles).size === roles.length, "names a role twice");
/** Members are named in many ways; what looks like none is refused before it is looked for. */
export const userRefSchema = text(254).min(1).describe("Id, e-mail address or name of a member.");

export const memberSchema = z
  .object({
    id: idSchema("usr"),
    name: z.string(),
    email: z.string().nullable(),
    kind: z.enum(["person", "service"]),
    roles: z.array(z.enum(ORG_ROLES)),
    managedRoles: z
      .array(z.enum(ORG_ROLES))
      .describe("Given by a provider or SCIM: they are changed there."),
    since: timeSchema,
    isDisabled: z.boolean(),
    isSuspended: z
      .boolean()
      .describe("Refused by their provider: tokens and SSH keys wait until they log in again."),
    boxes: z.number().int().describe("How many boxes are theirs here."),
  })
  .meta({ id: "Member" });
export type Member = z.infer<typeof memberSchema>;
export const memberPage = pageOf(memberSchema, "MemberPage");
export const memberQuery = z.strictObject(pageQuery);
export const memberParams = z.strictObject({ member: userRefSchema });
export const updateMemberSchema = z
  .strictObject({ roles: rolesSchema.describe("All that the member has, of those given here.") })
  .meta({ id: "UpdateMember" });

export const invitationSchema = z
  .object({
    id: idSchema("inv"),
    org: z.object({ id: idSchema("org"), name: z.string() }),
    email: z.string().nullable().describe("Only for this address; null: for whoever has the link."),
    roles: z.array(z.enum(ORG_ROLES)),
    team: idSchema("team").nullable(),
    createdAt: timeSchema,
    expiresAt: timeSchema,
  })
  .meta({ id: "Invitation" });
export type Invitation = z.infer<typeof invitationSchema>;
export const createdInvitationSchema = invitationSchema
  .extend({
    secret: z.string().describe("What the invited person shows. Shown only here."),
    url: z.string().describe("Where they go with a browser."),
  })
  .meta({ id: "CreatedInvitation" });
export const invitationPage = pageOf(invitationSchema, "InvitationPage");
export const invitationQuery = z.strictObject(pageQuery);
export const invitationParams = z.strictObject({ invitation: refSchema("invitation") });
export const createInvitationSchema = z
  .strictObject({
    email: emailSchema.optional().describe("Without it, whoever has the link may take it."),
    roles: rolesSchema.default(["member"]),
    team: refSchema("team").optional().describe("Also a member of this team."),
    expiresInMs: z
      .number()
      .int()
      .min(MINUTE_MS)
      .max(30 * DAY_MS)
      .default(7 * DAY_MS),
  })
  .meta({ id: "CreateInvitation" });
const secretSchema = z.string().min(1).max(200);
export const acceptInvitationSchema = z
  .strictObject({ secret: secretSchema })
  .meta({ id: "AcceptInvitation" });
export const registerSchema = z
  .strictObject({
    secret: secretSchema,
    name: line(80)
      .refine(
        (name) => personName(name) !== null,
        "must be up to 80 letters, digits and signs, without @ and without anything invisible",
      )
      .describe("What to be called. No e-mail address: nobody has proven that it is theirs."),
  })
  .meta({ id: "Register" });
export const registeredSchema = z
  .object({
    user: z.object({ id: idSchema("usr"), name: z.string() }),
    org: z.object({ id: idSchema("org"), name: z.string() }),
    token: z.string().describe("A token of the new user's. Shown only here."),
  })
  .meta({ id: "Registered" });

export const teamSchema = z
  .object({
    id: idSchema("team"),
    name: z.string(),
    members: z.number().int(),
    boxes: z.number().int(),
    createdAt: timeSchema,
  })
  .meta({ id: "Team" });
export type Team = z.infer<typeof teamSchema>;
export const teamPage = pageOf(teamSchema, "TeamPage");
export const teamQuery = z.strictObject(pageQuery);
export const teamParams = z.strictObject({ team: refSchema("team") });
export const createTeamSchema = z.strictObject({ name: nameSchema }).meta({ id: "CreateTeam" });
export const updateTeamSchema = z.strictObject({ name: nameSchema }).meta({ id: "UpdateTeam" });

export const teamMemberSchema = z
  .object({
    id: idSchema("usr"),
    name: z.string(),
    email: z.string().nullable(),
    role: z.enum(TEAM_ROLES),
    isManaged: z.boolean().describe("A provider or SCIM keeps it: it is changed there."),
  })
  .meta({ id: "TeamMember" });
export const teamMemberPage = pageOf(teamMemberSchema, "TeamMemberPage");
export const teamMemberParams = z.strictObject({ team: refSchema("team"), member: userRefSchema });
export const setTeamMemberSchema = z
  .strictObject({ user: userRefSchema, role: z.enum(TEAM_ROLES).default("member") })
  .meta({ id: "SetTeamMember" });

export const createServiceAccountSchema = z
  .strictObject({ name: nameSchema, roles: rolesSchema.default(["member"]) })
  .meta({ id: "CreateServiceAccount" });
export const accountParams = z.strictObject({ account: refSchema("service account") });
export const accountTokenParams = z.strictObject({
  account: refSchema("service account"),
  token: refSchema("token"),
});

export const shareSchema = z
  .object({
    id: idSchema("gr"),
    role: z.enum(BOX_ROLES),
    user: z.object({ id: idSchema("usr"), name: z.string() }).nullable(),
    team: z.object({ id: idSchema("team"), name: z.string() }).nullable(),
    createdAt: timeSchema,
  })
  .meta({ id: "Share" });
export type Share = z.infer<typeof shareSchema>;
export const shareListSchema = z.object({ items: z.array(shareSchema) }).meta({ id: "ShareList" });
export const createShareSchema = z
  .strictObject({
    user: userRefSchema.optional(),
    team: refSchema("team").optional(),
    role: z
      .enum(BOX_ROLES)
      .default("use")
      .describe("view: see it; use: also enter it; admin: also run, share and delete it."),
  })
  .refine(({ user, team }) => (user === undefined) !== (team === undefined), {
    message: "names a user or a team: one of the two",
  })
  .meta({ id: "CreateShare" });
