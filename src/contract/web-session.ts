// Web sessions: how a browser is logged in. The answer sets a cookie that no script can read; a request that comes with
// it is heard only from the dashboard's own pages.

import { z } from "zod";
import { idSchema, timeSchema } from "./fields.ts";
import { whoSchema } from "./who.ts";

export const createWebSessionSchema = z
  .strictObject({ token: z.string().max(200).describe("An API token.") })
  .meta({ id: "CreateWebSession" });

export const webSessionSchema = z
  .object({
    id: idSchema("web"),
    user: whoSchema,
    expiresAt: timeSchema,
  })
  .meta({ id: "WebSession" });

export const endedWebSessionSchema = z
  .object({
    ended: z.boolean().describe("False: the request came with a token, not a session."),
    providerLogoutUrl: z
      .string()
      .nullable()
      .describe("Where to go on to log out at the identity provider too; null: nowhere."),
  })
  .meta({ id: "EndedWebSession" });
