// API tokens: what programs and the CLI show to be let in. Only a hash of one is kept.

import { z } from "zod";
import { PERMISSIONS } from "#domain/permission.ts";
import { idSchema, line, pageOf, pageQuery, refSchema, timeSchema } from "./fields.ts";

/** Of a token, a key or a SCIM token. */
export const madeWithSchema = z
  .object({ id: idSchema("tok"), name: z.string() })
  .nullable()
  .describe("The token that it was made with, and ends with; null: a login.");

const MINUTE_MS = 60_000;
const MAX_LIFETIME_MS = 3660 * 24 * 60 * MINUTE_MS;

export const tokenSchema = z
  .object({
    id: idSchema("tok"),
    name: z.string(),
    createdAt: timeSchema,
    expiresAt: timeSchema.nullable().describe("Null: never."),
    lastUsedAt: timeSchema.nullable().describe("To the minute; null: not yet."),
    scopes: z
      .array(z.enum(PERMISSIONS))
      .nullable()
      .describe("What it may be used for; null: all that its user may do."),
    madeWith: madeWithSchema,
    isCurrent: z.boolean().describe("This request came with it, or with a session got by it."),
  })
  .meta({ id: "Token" });
export type Token = z.infer<typeof tokenSchema>;

export const createdTokenSchema = tokenSchema
  .extend({ token: z.string().describe("The token itself. Shown only here.") })
  .meta({ id: "CreatedToken" });

export const deletedTokenSchema = tokenSchema
  .extend({
    ended: z
      .object({
        ...{ tokens: z.number().int(), sessions: z.number().int(), keys: z.number().int() },
        ...{ scimTokens: z.number().int(), invitations: z.number().int() },
        links: z.number().int(),
      })
      .describe(
        "What ended with it: tokens, SSH keys, SCIM tokens, open invitations and preview links made with it, and browsers logged in by it.",
      ),
  })
  .meta({ id: "DeletedToken" });
export type DeletedToken = z.infer<typeof deletedTokenSchema>;

export const deleteTokenQuery = z.strictObject({
  keep: z
    .enum(["made"])
    .optional()
    .describe(
      "`made`: what was made with it goes on. For a token that its successor was made with.",
    ),
});

export const tokenPage = pageOf(tokenSchema, "TokenPage");
export const tokenQuery = z.strictObject(pageQuery);
export const tokenParams = z.strictObject({ token: refSchema("token") });

export const createTokenSchema = z
  .strictObject({
    name: line(80).min(1).describe("What it is for; shown in lists."),
    expiresInMs: z
      .number()
      .int()
      .min(MINUTE_MS)
      .max(MAX_LIFETIME_MS)
      .optional()
      .describe("Without it the token lasts until it is deleted."),
    scopes: z
      .array(z.enum(PERMISSIONS))
      .min(1)
      .max(PERMISSIONS.length)
      .optional()
      .describe("What it may be used for, of what you may do. Without it: everything."),
  })
  .meta({ id: "CreateToken" });
