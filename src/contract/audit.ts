// The audit trail: who did what, from where, how it ended; and what one needs to check that nothing of it was changed.

import { z } from "zod";
import { AUDIT_OUTCOMES } from "#domain/audit.ts";
import { line, pageOf, pageQuery, timeSchema } from "./fields.ts";

export const auditEntrySchema = z
  .object({
    id: z.number().int(),
    at: timeSchema,
    verb: z.string().describe("An operation (`boxes.create`), or a way into a box (`enter.ssh`)."),
    outcome: z.enum(AUDIT_OUTCOMES),
    code: z.string().nullable().describe("Of the error that it was refused or failed with."),
    actor: z
      .object({ id: z.string(), name: z.string().nullable(), roles: z.array(z.string()) })
      .nullable()
      .describe("Who, and as what; null: Berth itself, or nobody who was recognized."),
    credentialId: z.string().nullable(),
    address: z.string().nullable(),
    userAgent: z.string().nullable(),
    resource: z.record(z.string(), z.string()).describe("What the request named, as it came."),
    touched: z.array(z.string()).describe("Ids of what was made, changed or entered."),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    requestId: z.string().nullable(),
    seq: z.number().int().nullable().describe("Its place in the chain; null: not sealed yet."),
    hash: z.string().nullable(),
  })
  .meta({ id: "AuditEntry" });
export type AuditEntryShape = z.infer<typeof auditEntrySchema>;

export const auditPage = pageOf(auditEntrySchema, "AuditPage");

const scope = z
  .enum(["org", "installation"])
  .default("org")
  .describe("Your organization's trail, or (for those who run it) the installation's.");

export const auditScopeQuery = z.strictObject({ scope });

const auditFilter = {
  scope,
  actor: line(100).optional().describe("Id or name of a user."),
  resource: line(100).optional().describe("An id or name of what was acted on."),
  verb: z
    .string()
    .max(60)
    .regex(/^[a-z]\w*\.\w*$/i, "must be an operation, or the part before its point, with the point")
    .optional()
    .describe("`boxes.create`; `boxes.` for all of these."),
  outcome: z.enum(AUDIT_OUTCOMES).optional(),
  since: timeSchema.optional(),
  until: timeSchema.optional(),
  text: line(200).min(1).optional().describe("Anywhere in an entry, whatever the case."),
};

export const auditQuery = z.strictObject({
  ...pageQuery,
  ...auditFilter,
  order: z.enum(["newest", "oldest"]).default("newest"),
});

export const auditWatchQuery = z.strictObject({
  ...auditFilter,
  cursor: z.string().max(512).optional().describe("Continue after this entry; else it begins now."),
});

export const auditExportQuery = z.strictObject({
  scope,
  after: z.coerce.number().int().min(0).default(0).describe("The last `seq` that you have."),
});

const auditMarkSchema = z
  .object({
    kind: z.enum(["head", "anchor"]),
    chain: z.string(),
    seq: z.number().int(),
    hash: z.string(),
    at: timeSchema,
    signature: z.string().describe("Ed25519, in base64, over the canonical JSON of the rest."),
  })
  .meta({ id: "AuditMark" });

/** One line of an export: the chain's anchor, an entry with its seal, or (last) the head. */
export const auditLineSchema = z.record(z.string(), z.unknown()).meta({
  id: "AuditLine",
  description: "Canonical JSON: to the letter what was hashed or signed.",
});

export const auditHeadSchema = z
  .object({
    head: auditMarkSchema.describe("Of the chain as it is now."),
    anchor: auditMarkSchema.nullable().describe("Up to where retention has removed it."),
    exported: auditMarkSchema
      .nullable()
      .describe("The newest head in the object store, which the database's keeper cannot change."),
    publicKeyPem: z.string(),
  })
  .meta({ id: "AuditHead" });

export const auditPolicySchema = z
  .object({
    keepDays: z.number().int().nullable().describe("Null: for ever."),
    keepDaysMin: z.number().int().describe("What the installation demands at least."),
  })
  .meta({ id: "AuditPolicy" });

const days = z.number().int().min(1).max(36_500);

export const updateAuditPolicySchema = z
  .strictObject({
    keepDays: days.nullable().optional(),
    keepDaysMin: days.optional().describe("Only for those who run the installation."),
  })
  .meta({ id: "UpdateAuditPolicy" });
