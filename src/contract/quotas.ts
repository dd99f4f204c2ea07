// Quotas: what an organization, a team or a user takes, beside what it may.

import { z } from "zod";
import { QUOTA_SCOPES } from "#domain/quota.ts";
import { idSchema, line, pageOf, pageQuery, refSchema } from "./fields.ts";

const amount = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const size = z.number().int().min(1).max(1_000_000_000);
const MAX_TEMPLATES = 100;

const WORDS = {
  boxes: "Boxes, in any state but deleted.",
  running: "Boxes that run, or come up, or come to rest.",
  cpus: "vCPUs of running boxes; template builds count.",
  memoryMib: "Memory of running boxes; template builds count.",
  gpus: "GPUs of running boxes; template builds count.",
  diskGib: "Disks of boxes in any state, at their full size.",
  snapshotBytes:
    "Bytes of snapshots. A checkpoint counts as the most that it can be until it is taken.",
  sharedPorts: "Open previews that are not private.",
  createsPerHour: "Boxes made in the last hour, also those that are deleted by now.",
} as const;

export const quotaUsageSchema = z
  .object({
    boxes: amount.describe(WORDS.boxes),
    running: amount.describe(WORDS.running),
    cpus: amount.describe(WORDS.cpus),
    memoryMib: amount.describe(WORDS.memoryMib),
    gpus: amount.describe(WORDS.gpus),
    diskGib: amount.describe(WORDS.diskGib),
    snapshotBytes: amount.describe(WORDS.snapshotBytes),
    sharedPorts: amount.describe(WORDS.sharedPorts),
    createsPerHour: amount.describe(WORDS.createsPerHour),
  })
  .meta({ id: "QuotaUsage" });

const limit = (words: string) => amount.nullable().describe(words);

export const quotaLimitsSchema = z
  .object({
    boxes: limit(WORDS.boxes),
    running: limit(WORDS.running),
    cpus: limit(WORDS.cpus),
    memoryMib: limit(WORDS.memoryMib),
    gpus: limit(WORDS.gpus),
    diskGib: limit(WORDS.diskGib),
    snapshotBytes: limit(WORDS.snapshotBytes),
    sharedPorts: limit(WORDS.sharedPorts),
    createsPerHour: limit(WORDS.createsPerHour),
    boxCpus: size.nullable().describe("vCPUs that one box may have."),
    boxMemoryMib: size.nullable().describe("Memory that one box may have."),
    boxDiskGib: size.nullable().describe("Disk that one box may have."),
    templates: z
      .array(idSchema("tpl"))
      .nullable()
      .describe("The only templates that boxes can be made from."),
  })
  .meta({ id: "QuotaLimits", description: "Null: no limit." });

const limitsForAll = quotaLimitsSchema.omit({ templates: true });

export const installationQuotasSchema = z
  .object({
    org: limitsForAll.describe("Of each organization."),
    team: limitsForAll.describe("Of each team of each organization."),
    user: limitsForAll.describe("Of each user, in each organization."),
  })
  .meta({
    id: "InstallationQuotas",
    description:
      "What holds wherever neither the one nor its organization has a limit of its own. Null: no limit.",
  });

export const updateInstallationQuotaSchema = limitsForAll
  .strict()
  .partial()
  .meta({ id: "UpdateInstallationQuota", description: "What is left out stays as it is." });

export const updateQuotaSchema = z
  .strictObject({
    ...quotaLimitsSchema.shape,
    templates: z
      .array(refSchema("template"))
      .max(MAX_TEMPLATES)
      .nullable()
      .describe("Ids or names of the only templates that boxes can be made from."),
  })
  .partial()
  .meta({
    id: "UpdateQuota",
    description:
      "What is left out stays as it is. Null takes the limit away: then the one for everybody holds, if there is one. A limit below what is taken ends nothing; it refuses more.",
  });

export const quotaSchema = z
  .object({
    scope: z.enum(QUOTA_SCOPES),
    id: z.string().describe("Of the organization, team or user."),
    name: z.string(),
    usage: quotaUsageSchema,
    limits: quotaLimitsSchema.describe("What holds: its own, else those for everybody."),
    ownLimits: quotaLimitsSchema.describe("Those that were set for just this one."),
  })
  .meta({ id: "Quota" });
export type Quota = z.infer<typeof quotaSchema>;

export const quotasSchema = z
  .object({
    user: quotaSchema.describe("What is yours."),
    teams: z.array(quotaSchema).describe("Of the teams that you are in."),
    org: quotaSchema.nullable().describe("Null without the permission quota.read."),
    everyTeam: quotaLimitsSchema.describe("For teams that have no limit of their own."),
    everyUser: quotaLimitsSchema.describe("For users that have no limit of their own."),
  })
  .meta({ id: "Quotas", description: "Every limit holds: they are not added up." });

const holders = z.enum(["team", "user"]);
export const quotaQuery = z.strictObject({ scope: holders.describe("Of whom."), ...pageQuery });
export const quotaPage = pageOf(quotaSchema, "QuotaPage");

export const quotaOrgParams = z.strictObject({ org: refSchema("organization") });
export const quotaTeamParams = z.strictObject({ team: refSchema("team") });
export const quotaUserParams = z.strictObject({
  user: line(200).min(1).describe("Id, name or email of the user."),
});
export const quotaInstallationParams = z.strictObject({ scope: z.enum(QUOTA_SCOPES) });
export const quotaDefaultParams = z.strictObject({ scope: holders });
