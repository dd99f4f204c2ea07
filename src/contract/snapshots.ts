// Snapshots, and checkpoints: the snapshots that a user keeps.

import { z } from "zod";
import { SNAPSHOT_KINDS } from "#domain/box.ts";
import { idSchema, line, pageOf, pageQuery, refSchema, timeSchema } from "./fields.ts";

export const SNAPSHOT_STATES = [
  "requested",
  "local",
  "durable",
  "failed",
  "deleting",
  "deleted",
] as const;

export const snapshotSchema = z
  .object({
    id: idSchema("snap"),
    kind: z.enum(SNAPSHOT_KINDS),
    name: z.string().nullable().describe("Name of a checkpoint, given by the user."),
    state: z
      .enum(SNAPSHOT_STATES)
      .describe("`local`: complete on its node. `durable`: every byte is in the object store."),
    durable: z.boolean(),
    progress: z.number().min(0).max(1).describe("Upload progress."),
    withMemory: z.boolean(),
    box: z.object({ id: idSchema("box"), name: z.string() }),
    allocatedBytes: z.number().nullable(),
    storedBytes: z.number().nullable().describe("Bytes that it added to the object store."),
    error: z.string().nullable(),
    createdAt: timeSchema,
  })
  .meta({ id: "Snapshot" });
export type Snapshot = z.infer<typeof snapshotSchema>;

export const snapshotPage = pageOf(snapshotSchema, "SnapshotPage");

export const snapshotQuery = z.strictObject({
  ...pageQuery,
  box: refSchema("box").optional(),
  kind: z.enum(SNAPSHOT_KINDS).optional(),
});

export const createCheckpointSchema = z
  .strictObject({
    name: line(80).min(1).optional().describe("What to call it; shown in lists."),
  })
  .meta({ id: "CreateCheckpoint" });
export type CreateCheckpoint = z.infer<typeof createCheckpointSchema>;

export const restoreCheckpointSchema = z
  .strictObject({
    snapshot: refSchema("snapshot").describe("Id of the checkpoint to go back to."),
  })
  .meta({ id: "RestoreCheckpoint" });
