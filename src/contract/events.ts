// Events: the history of every resource, and the stream that `watch` follows.

import { z } from "zod";
import { idSchema, pageOf, pageQuery, refSchema, timeSchema } from "./fields.ts";

export const eventSchema = z
  .object({
    cursor: z.string().describe("Continue a watch after this event."),
    at: timeSchema,
    kind: z.string().describe("`box.created`, `box.phase`, `snapshot.durable`, …"),
    resource: z.object({ type: z.string(), id: z.string() }),
    boxId: idSchema("box").nullable().describe("The box that it concerns, if any."),
    message: z.string().describe("One sentence for people."),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "Event" });
export type Event = z.infer<typeof eventSchema>;

export const eventPage = pageOf(eventSchema, "EventPage");

export const eventQuery = z.strictObject({
  ...pageQuery,
  box: refSchema("box").optional(),
  order: z.enum(["newest", "oldest"]).default("newest"),
});

export const watchQuery = z.strictObject({
  cursor: z
    .string()
    .max(512)
    .optional()
    .describe("Continue after this event. Without it the stream begins now."),
  box: refSchema("box").optional().describe("Only events that concern this box."),
});
