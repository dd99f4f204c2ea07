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
    used: z.object({ boxes: z.number(), cpus: z.number(), memoryMib: z.number() }),
    createdAt: timeSchema,
  })
  .meta({ id: "Node" });
export type Node = z.infer<typeof nodeSchema>;

export const nodePage = pageOf(nodeSchema, "NodePage");
export const nodeQuery = z.strictObject(pageQuery);

export const updateNodeSchema = z
  .strictObject({
    schedulable: z.boolean().describe("False keeps new boxes away; running ones stay."),
  })
  .meta({ id: "UpdateNode" });

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
