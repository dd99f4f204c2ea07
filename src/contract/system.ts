// The installation as a whole: who I am, what runs, what to know.

import { z } from "zod";
import { timeSchema } from "./fields.ts";
import { whoSchema } from "./who.ts";

export const systemSchema = z
  .object({
    version: z.string(),
    time: timeSchema,
    user: whoSchema,
    gatewayUrl: z.string(),
    gatewayUrls: z.array(z.string()).describe("Every gateway that answers, best first."),
    sshAddress: z.string().nullable().describe("HOST:PORT of a gateway's SSH door; null: none."),
    dashboardUrl: z.string().describe("Where browsers reach the web app."),
    previewOrigin: z
      .string()
      .nullable()
      .describe("Origins of previews, with `*` for their first part; null: reduced mode."),
    nodes: z.object({ total: z.number(), reachable: z.number() }),
    boxes: z.record(z.string(), z.number()).describe("How many boxes are in each phase."),
    notices: z.array(z.string()).describe("What an operator should know, such as emulation."),
  })
  .meta({ id: "System" });
export type System = z.infer<typeof systemSchema>;
