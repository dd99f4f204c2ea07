// What a login by a provider is started with.

import { z } from "zod";
import { line, refSchema } from "./fields.ts";

const wanted = {
  org: refSchema("organization").optional().describe("Where to log in to."),
  invitation: line(200).optional().describe("The secret of an invitation, to take with the login."),
};

export const providersQuerySchema = z.object({ org: refSchema("organization").optional() });

export const loginQuerySchema = z.object({
  ...wanted,
  next: z.string().max(2000).optional().describe("Path of the dashboard to go to afterwards."),
});

export const deviceStartSchema = z.strictObject({
  ...wanted,
  provider: refSchema("provider").optional(),
});

export const devicePollSchema = z.strictObject({ handle: z.string().max(4000) });
