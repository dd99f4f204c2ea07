// What a gateway tells of those who came in through it: POST /node/v1/gateway/entries, in batches, at least once. The
// same id again is the same entry.

import { z } from "zod";

/** `ticket`: a program with a ticket; `page`: a page of the dashboard with one. */
export const ENTRY_WAYS = ["ticket", "page", "ssh", "preview"] as const;
export type EntryWay = (typeof ENTRY_WAYS)[number];

export const gatewayEntrySchema = z.object({
  entryId: z.string().min(1).max(64),
  atMs: z.number().int().nonnegative(),
  via: z.enum(ENTRY_WAYS),
  /** Which door of the box: "port 3000", "console", "session x for write". */
  door: z.string().max(200),
  boxId: z.string().max(64),
  /** Null: a visitor of a preview. */
  userId: z.string().max(64).nullable(),
  credentialId: z.string().max(64).nullable(),
  address: z.string().max(100).nullable(),
  /** Of the problem that it was refused with; null: it came in. */
  code: z.string().max(60).nullable(),
  /** How many alike this one stands for: many streams of one page are one visit. */
  count: z.number().int().positive(),
});
export type GatewayEntry = z.infer<typeof gatewayEntrySchema>;

export const MAX_ENTRIES = 500;

export const gatewayEntriesRequestSchema = z.object({
  entries: z.array(gatewayEntrySchema).max(MAX_ENTRIES),
  /** How many could not be kept since the last batch that was taken. */
  dropped: z.number().int().nonnegative(),
});
export type GatewayEntriesRequest = z.infer<typeof gatewayEntriesRequestSchema>;
