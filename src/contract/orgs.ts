// Organizations, and the rules that hold for all their members.

import { z } from "zod";
import { VISIBILITIES } from "#domain/box.ts";
import { ORG_ROLES } from "#domain/permission.ts";
import { idSchema, nameSchema, pageOf, pageQuery, refSchema, timeSchema } from "./fields.ts";
import { createdInvitationSchema } from "./members.ts";

export const orgSchema = z
  .object({
    id: idSchema("org"),
    name: z.string(),
    maxVisibility: z
      .enum(VISIBILITIES)
      .describe("No preview may be open to more people than this; links need `public`."),
  })
  .meta({ id: "Org" });

export const updateOrgSchema = z
  .strictObject({
    name: nameSchema.optional(),
    maxVisibility: z
      .enum(VISIBILITIES)
      .optional()
      .describe("Previews that are wider are narrowed to it at once, and stay so."),
  })
  .refine((body) => Object.keys(body).length > 0, { message: "names nothing to change" })
  .meta({ id: "UpdateOrg" });

export const myOrgSchema = z
  .object({ id: idSchema("org"), name: z.string(), roles: z.array(z.enum(ORG_ROLES)) })
  .meta({ id: "MyOrg" });
export const orgListSchema = z
  .object({ items: z.array(myOrgSchema.extend({ isCurrent: z.boolean() })) })
  .meta({ id: "OrgList" });
const howMany = z.number().int().min(0);
export const installationOrgSchema = z
  .object({
    id: idSchema("org"),
    name: z.string(),
    createdAt: timeSchema,
    members: howMany.describe("People and service accounts."),
    boxes: howMany,
    running: howMany.describe("Boxes that run, or come up, or come to rest."),
  })
  .meta({ id: "InstallationOrg" });
export const installationOrgPage = pageOf(installationOrgSchema, "InstallationOrgPage");
export const installationOrgQuery = z.strictObject(pageQuery);
export const orgParams = z.strictObject({ org: refSchema("organization") });
export const createOrgSchema = z
  .strictObject({
    name: nameSchema,
    inviteOwner: z
      .boolean()
      .default(false)
      .describe("Its first owner is whoever takes the invitation, not the caller."),
  })
  .meta({ id: "CreateOrg" });
export const createdOrgSchema = myOrgSchema
  .extend({ invitation: createdInvitationSchema.nullable() })
  .meta({ id: "CreatedOrg" });
