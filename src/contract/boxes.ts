// Boxes: what a user sees of one and may ask of it.

import { z } from "zod";
import { DESIRED_STATES, PHASES, SNAPSHOT_KINDS } from "#domain/box.ts";
import {
  idSchema,
  labelsSchema,
  line,
  nameSchema,
  pageOf,
  pageQuery,
  refSchema,
  text,
  timeSchema,
  versionNumber,
} from "./fields.ts";
import { operationSchema } from "./operations.ts";
import { envSchema } from "./templates.ts";
import { hourlyPriceSchema } from "./usage.ts";

const specSchema = z.object({
  cpus: z.number().int(),
  memoryMib: z.number().int(),
  rootDiskGib: z.number().int(),
  homeDiskGib: z.number().int(),
  gpus: z.number().int(),
});

const placementSchema = z.object({
  summary: z.string().describe("Why it is where it is, or why it is nowhere yet."),
  at: timeSchema,
  candidates: z.array(
    z.object({
      nodeId: idSchema("node"),
      nodeName: z.string(),
      fits: z.boolean(),
      score: z.number().nullable(),
      reasons: z.array(z.string()),
    }),
  ),
});

export const boxSchema = z
  .object({
    id: idSchema("box"),
    name: z.string(),
    phase: z.enum(PHASES),
    reason: z.string().nullable().describe("Why it is in this phase, in words."),
    since: timeSchema.describe("When the phase began."),
    next: z.string().nullable().describe("What will happen, and when, if nobody does anything."),
    desired: z.enum(DESIRED_STATES),
    generation: z.number().int().describe("Counts changes of intent; the ETag of the box."),
    observedGeneration: z.number().int().describe("Intent that has been made true."),
    epoch: z.number().int().describe("Counts placements."),
    template: z.object({
      id: idSchema("tpl"),
      name: z.string(),
      version: z.number().int(),
      versionId: idSchema("tv"),
    }),
    spec: specSchema,
    node: z.object({ id: idSchema("node"), name: z.string() }).nullable(),
    snapshot: z
      .object({
        id: idSchema("snap"),
        kind: z.enum(SNAPSHOT_KINDS),
        durable: z.boolean().describe("Every byte is in the object store."),
        progress: z.number().describe("Upload progress, 0 to 1."),
      })
      .nullable()
      .describe("The snapshot that a paused or stopped box is at rest in."),
    lastSafeAt: timeSchema
      .nullable()
      .describe("The newest state that survives the loss of the node; null: none yet."),
    fault: z
      .object({
        code: z.string(),
        message: z.string(),
        retryable: z.boolean(),
        attempts: z.number().int(),
        since: timeSchema,
        nextAttemptAt: timeSchema.nullable(),
      })
      .nullable(),
    notices: z.array(z.object({ code: z.string(), message: z.string(), at: timeSchema })),
    renewal: z
      .object({ renewed: z.array(z.string()), sshHostKey: z.string(), at: timeSchema })
      .nullable()
      .describe("What the guest renewed of its identity when this epoch came up."),
    started: z
      .object({
        how: z.enum(["adopted", "restored", "booted"]),
        phasesMs: z.record(z.string(), z.number()),
      })
      .nullable()
      .describe("How this epoch came up, with milliseconds by phase."),
    ports: z
      .array(
        z.object({
          port: z.number().int(),
          isLoopback: z
            .boolean()
            .describe("Listens on the box's loopback only; that is no hindrance."),
          program: z.string().nullable().describe("What listens, as far as the guest can tell."),
          previewUrl: z.string().nullable().describe("Where it is previewed; null: it is not."),
        }),
      )
      .describe("What listens in the box now. Empty while it does not run."),
    source: z.object({
      forkedFrom: z.object({ id: idSchema("box"), name: z.string().nullable() }).nullable(),
      snapshotId: idSchema("snap").nullable(),
    }),
    placement: placementSchema.nullable(),
    createdAt: timeSchema,
    owner: idSchema("usr"),
    team: idSchema("team").nullable().describe("The team that it belongs to."),
    org: idSchema("org"),
  })
  .meta({ id: "Box" });
export type Box = z.infer<typeof boxSchema>;

export const boxPage = pageOf(boxSchema, "BoxPage");

export const boxParams = z.strictObject({ box: refSchema("box") });

export const boxQuery = z.strictObject({
  ...pageQuery,
  template: refSchema("template").optional(),
});

export const createBoxSchema = z
  .strictObject({
    name: nameSchema
      .optional()
      .describe("Also its host name. Made up from the template's without."),
    template: refSchema("template"),
    version: versionNumber.optional().describe("Default: the newest ready version."),
    env: envSchema.default({}).describe("Added to the template's environment."),
    region: line(64).min(1).optional().describe("Only nodes of this region may run it."),
    team: refSchema("team")
      .optional()
      .describe("The team that it belongs to: its members may see it, and enter it."),
    labels: labelsSchema.default({}).describe("Only nodes that have all of these may run it."),
  })
  .meta({ id: "CreateBox" });
export type CreateBox = z.output<typeof createBoxSchema>;

export const MAX_FORKS = 64;

export const updateBoxSchema = z
  .strictObject({
    owner: text(254).min(1).optional().describe("Id, e-mail address or name of a member."),
    team: refSchema("team").nullable().optional().describe("Null: of no team."),
  })
  .refine((body) => Object.keys(body).length > 0, { message: "names nothing to change" })
  .meta({ id: "UpdateBox" });

export const forkBoxSchema = z
  .strictObject({
    count: z.number().int().min(1).max(MAX_FORKS).default(1),
    names: z
      .array(nameSchema)
      .max(MAX_FORKS)
      .optional()
      .describe("One for each fork. Made up from the box's name without."),
  })
  .refine(
    (fork) => fork.names === undefined || fork.names.length === fork.count,
    "`names` must hold `count` names",
  )
  .meta({ id: "ForkBox" });

export const boxAcceptedSchema = z
  .object({ box: boxSchema, operation: operationSchema })
  .meta({ id: "BoxAccepted" });

export const boxCreatedSchema = boxAcceptedSchema
  .extend({ hourlyPrice: hourlyPriceSchema.nullable().describe("Null: nothing has a price.") })
  .meta({ id: "BoxCreated" });

export const forksAcceptedSchema = z
  .object({ forks: z.array(z.object({ box: boxSchema, operation: operationSchema })) })
  .meta({ id: "ForksAccepted" });

/** `settled`: nothing is left to do for the latest intent. `durable`: at rest and in the object store. */
export const WAIT_GOALS = [
  "running",
  "paused",
  "stopped",
  "deleted",
  "settled",
  "durable",
] as const;
export type WaitGoal = (typeof WAIT_GOALS)[number];

export const MAX_WAIT_MS = 300_000;

export const waitQuery = z.strictObject({
  for: z.enum(WAIT_GOALS),
  timeoutMs: z.coerce.number().int().min(0).max(MAX_WAIT_MS).default(30_000),
});

export const waitResultSchema = z
  .object({
    reached: z.boolean(),
    hopeless: z.boolean().describe("The goal cannot be reached without a change of intent."),
    box: boxSchema,
  })
  .meta({ id: "WaitResult" });
