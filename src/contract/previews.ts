// Previews: a port of a box at an address of its own, for browsers.

import { z } from "zod";
import { VISIBILITIES } from "#domain/box.ts";
import { idSchema, pageOf, pageQuery, refSchema, timeSchema } from "./fields.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MAX_LINK_MS = 7 * DAY_MS;

const visibilityField = z
  .enum(VISIBILITIES)
  .describe("`private`: the box's owner. `org`: the organization. `public`: everybody.");

export const previewSchema = z
  .object({
    id: idSchema("prv"),
    box: z.object({ id: idSchema("box"), name: z.string() }),
    port: z.number().int(),
    url: z.string().describe("Its own origin. Changes when its visibility is narrowed."),
    visibility: visibilityField,
    createdAt: timeSchema,
    closedAt: timeSchema.nullable(),
  })
  .meta({ id: "Preview" });
export type Preview = z.infer<typeof previewSchema>;

export const previewPage = pageOf(previewSchema, "PreviewPage");
export const previewQuery = z.strictObject({ ...pageQuery, box: refSchema("box").optional() });
export const previewParams = z.strictObject({ preview: refSchema("preview") });

export const openPreviewSchema = z
  .strictObject({
    port: z.number().int().min(2).max(65_535),
    visibility: visibilityField
      .optional()
      .describe("Without it: private, or as it is when the preview is open already."),
  })
  .meta({ id: "OpenPreview" });

export const updatePreviewSchema = z
  .strictObject({ visibility: visibilityField })
  .meta({ id: "UpdatePreview" });

export const previewLinkSchema = z
  .object({
    id: idSchema("lnk"),
    createdAt: timeSchema,
    expiresAt: timeSchema,
    owner: idSchema("usr"),
  })
  .meta({ id: "PreviewLink" });
export type PreviewLink = z.infer<typeof previewLinkSchema>;

export const createdPreviewLinkSchema = previewLinkSchema
  .extend({ url: z.string().describe("Opens the preview for whoever has it. Shown only here.") })
  .meta({ id: "CreatedPreviewLink" });

export const previewLinkPage = pageOf(previewLinkSchema, "PreviewLinkPage");
export const previewLinkQuery = z.strictObject(pageQuery);
export const previewLinkParams = z.strictObject({
  preview: refSchema("preview"),
  link: refSchema("link"),
});

export const createPreviewLinkSchema = z
  .strictObject({
    expiresInMs: z.number().int().min(MINUTE_MS).max(MAX_LINK_MS).default(DAY_MS),
  })
  .meta({ id: "CreatePreviewLink" });
