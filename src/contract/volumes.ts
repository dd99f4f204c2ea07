// Volumes: the home of a box, which outlives its root disk.

import { z } from "zod";
import { idSchema, pageOf, pageQuery, refSchema, timeSchema } from "./fields.ts";

export const volumeSchema = z
  .object({
    id: idSchema("vol"),
    name: z.string(),
    sizeGib: z.number().int(),
    box: z.object({ id: idSchema("box"), name: z.string() }).nullable(),
    createdAt: timeSchema,
  })
  .meta({ id: "Volume" });
export type Volume = z.infer<typeof volumeSchema>;

export const volumePage = pageOf(volumeSchema, "VolumePage");
export const volumeQuery = z.strictObject({ ...pageQuery, box: refSchema("box").optional() });
