// What a gateway asks of a node, over the connection that the node dialled (mTLS, reverse HTTP/2: the
// gateway is the HTTP/2 client).
//
//   GET  /announcements                     -> lines of JSON: every box that can be entered, at each change
//   POST /boxes/ID/EPOCH/ports/PORT         -> a byte stream to a TCP port in the box
//   POST /boxes/ID/EPOCH/console            -> the last bytes of its console
//
// A refusal is a status over 200 with a body of `refusalSchema`.

import { z } from "zod";

/** Full state each time: a lost line costs time, never truth. */
export const announcementSchema = z.object({
  boxes: z.array(z.object({ boxId: z.string(), epoch: z.number().int().positive() })),
});
export type Announcement = z.infer<typeof announcementSchema>;

export const REFUSAL_CODES = ["box_not_here", "box_moved", "port_closed", "internal"] as const;

export const refusalSchema = z.object({ code: z.enum(REFUSAL_CODES), detail: z.string() });
export type Refusal = z.infer<typeof refusalSchema>;

export const ANNOUNCEMENTS_PATH = "/announcements";

/** A door of a box: a TCP port, or its console. */
export type Door = { readonly port: number } | { readonly console: true };

export interface StreamTarget {
  readonly boxId: string;
  readonly epoch: number;
  readonly door: Door;
}

export function streamPath({ boxId, epoch, door }: StreamTarget): string {
  const end = "console" in door ? "console" : `ports/${door.port}`;
  return `/boxes/${encodeURIComponent(boxId)}/${epoch}/${end}`;
}

const PATH = /^\/boxes\/([a-z0-9_]{1,64})\/([1-9]\d{0,9})\/(?:ports\/([1-9]\d{0,4})|(console))$/;

export function parseStreamPath(path: string): StreamTarget | null {
  const [, boxId = "", epoch, port] = PATH.exec(path) ?? [];
  if (!boxId || Number(port ?? 1) > 65_535) return null;
  const door: Door = port === undefined ? { console: true } : { port: Number(port) };
  return { boxId, epoch: Number(epoch), door };
}
