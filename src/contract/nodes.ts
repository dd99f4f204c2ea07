// Nodes: the hosts that run boxes. How a node itself speaks is in node-protocol.ts.

import { z } from "zod";
import { idSchema, nameSchema, pageOf, pageQuery, timeSchema } from "./fields.ts";

export const nodeSchema = z
  .object({
    id: idSchema("node"),
    name: z.string(),
    region: z.string(),
    labels: z.record(z.string(), z.string()),
    /** Reachable and schedulable are separate facts. */
    reachable: z.boolean().describe("It reported within the last few seconds."),
    schedulable: z.boolean().describe("New boxes may be placed here; set by an operator."),
    lastReportAt: timeSchema.nullable(),
    driver: z.enum(["qemu", "fake"]).nullable(),
    accelerator: z.enum(["kvm", "tcg", "none"]).nullable(),
    acceleratorReason: z.string().nullable(),
    capacity: z
      .object({
        cpus: z.number(),
        memoryMib: z.number(),
        diskGib: z.number(),
        gpus: z.number(),
      })
      .nullable(),
    freeDiskGib: z.number().nullable().describe("Of its disk, as last reported; null: not known."),
    overcommit: z
      .object({ cpu: z.number(), memory: z.number(), disk: z.number() })
      .describe("How much may be promised for each unit that it has."),
    used: z.object({ boxes: z.number(), cpus: z.number(), memoryMib: z.number() }),
    createdAt: timeSchema,
  })
  .meta({ id: "Node" });
export type Node = z.infer<typeof nodeSchema>;

export const nodePage = pageOf(nodeSchema, "NodePage");
export const nodeQuery = z.strictObject(pageQuery);

const overcommitSchema = z.number().min(0.1).max(64).optional();

export const updateNodeSchema = z
  .strictObject({
    schedulable: z.boolean().optional().describe("False keeps new boxes away; running ones stay."),
    cpuOvercommit: overcommitSchema.describe("CPUs that may be promised for each that it has."),
    memoryOvercommit: overcommitSchema.describe(
      "Memory that may be promised for each byte that it has. Over 1, boxes can run out of it.",
    ),
    diskOvercommit: overcommitSchema.describe("Disk that may be promised for each byte it has."),
  })
  .refine((change) => Object.keys(change).length > 0, "changes nothing: give at least one field")
  .meta({ id: "UpdateNode" });

export const drainSchema = z
  .object({
    paused: z.number().describe("Boxes that this request asked to come to rest."),
    endedBuilds: z.number().describe("Builds of templates that this request ended."),
    live: z.number().describe("Boxes that are still on the node."),
    unsaved: z.number().describe("Boxes at rest there that the object store does not have yet."),
    waitsFor: z
      .array(z.object({ box: idSchema("box"), phase: z.string(), reason: z.string().nullable() }))
      .describe("Up to ten of those that are left."),
  })
  .meta({ id: "Drain" });

export const createJoinTokenSchema = z
  .strictObject({
    name: nameSchema.optional().describe("Only a node of this name may use it."),
    ttlMinutes: z.number().int().min(1).max(1440).default(60),
  })
  .meta({ id: "CreateJoinToken" });

export const joinTokenSchema = z
  .object({
    token: z.string().describe("Works once. Shown only here."),
    expiresAt: timeSchema,
  })
  .meta({ id: "JoinToken" });
