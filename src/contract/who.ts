// Who I am: the user that a credential stands for, and what it may do where it acts.

import { z } from "zod";
import { ORG_ROLES, PERMISSIONS, TEAM_ROLES } from "#domain/permission.ts";
import { idSchema } from "./fields.ts";

export const whoSchema = z
  .object({
    id: idSchema("usr"),
    name: z.string(),
    email: z.string().nullable(),
    org: z.object({ id: idSchema("org"), name: z.string() }).describe("Where the credential acts."),
    isOperator: z.boolean().describe("Runs the installation: nodes, organizations."),
    roles: z.array(z.enum(ORG_ROLES)),
    teams: z.array(z.object({ id: idSchema("team"), role: z.enum(TEAM_ROLES) })),
    permissions: z
      .array(z.enum(PERMISSIONS))
      .describe("Over everything of the organization, or over what is one's own."),
  })
  .meta({ id: "Who" });
export type Who = z.infer<typeof whoSchema>;
