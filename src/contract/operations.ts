// Operations: the receipt of a mutation. It is done when what was asked has been made true.

import { z } from "zod";
import { OPERATION_STATES } from "#domain/operation.ts";
import { idSchema, timeSchema } from "./fields.ts";

export const operationSchema = z
  .object({
    id: idSchema("op"),
    kind: z.string().describe("What was asked: `box.create`, `box.pause`, `template.build`, …"),
    state: z
      .enum(OPERATION_STATES)
      .describe("`superseded`: a later request changed the goal before this one was reached."),
    resource: z.object({ type: z.string(), id: z.string() }),
    generation: z.number().int().nullable().describe("Generation of the intent it wrote."),
    error: z
      .object({ code: z.string(), message: z.string(), retryable: z.boolean() })
      .nullable()
      .describe("The last failure on the way; it is still being retried while `running`."),
    createdAt: timeSchema,
    finishedAt: timeSchema.nullable(),
  })
  .meta({ id: "Operation" });
export type Operation = z.infer<typeof operationSchema>;
