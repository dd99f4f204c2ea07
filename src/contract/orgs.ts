// The caller's organization, and the rules that hold for all its members.

import { z } from "zod";
import { VISIBILITIES } from "#domain/box.ts";
import { idSchema } from "./fields.ts";

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
    maxVisibility: z
      .enum(VISIBILITIES)
      .describe("Previews that are wider are narrowed to it at once, and stay so."),
  })
  .meta({ id: "UpdateOrg" });
