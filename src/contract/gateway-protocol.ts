// What a gateway asks of a node, over the connection that the node dialled (mTLS; wire/link.ts). It opens a stream by
// the name of what it wants:
//
//   /announcements                     lines of JSON: every box that can be entered, at each change
//   /boxes/ID/EPOCH/ports/PORT         a byte stream to a TCP port in the box
//   /boxes/ID/EPOCH/console            the last bytes of its console
//   /boxes/ID/EPOCH/sessions/SID/MODE  the exec server, opened for that one session: `read` only shows it
//
// A refusal is the JSON of `refusalSchema`.

import { z } from "zod";

/** Full state each time: a lost line costs time, never truth. */
export const announcementSchema = z.object({
  boxes: z.array(z.object({ boxId: z.string(), epoch: z.number().int().positive() })),
});
export type Announcement = z.infer<typeof announcementSchema>;

export const REFUSAL_CODES = [
  ...(["box_not_here", "box_moved", "port_closed", "too_many_streams", "internal"] as const),
] as const;

export const refusalSchema = z.object({ code: z.enum(REFUSAL_CODES), detail: z.string() });
export type Refusal = z.infer<typeof refusalSchema>;

/** As TLS names it (ALPN); another version of the link gets another number. */
export const LINK_PROTOCOL = "berth-link/1";
export const ANNOUNCEMENTS_PATH = "/announcements";

/** Exec sessions are named by whoever starts them. */
export const SESSION_ID = /^[a-z0-9][a-z0-9-]{0,63}$/;
export const SESSION_MODES = ["read", "write"] as const;
export type SessionMode = (typeof SESSION_MODES)[number];

/** A door of a box: a TCP port, its console, or one exec session. */
export type Door =
  | { readonly port: number }
  | { readonly console: true }
  | { readonly session: string; readonly mode: SessionMode };

export interface StreamTarget {
  readonly boxId: string;
  readonly epoch: number;
  readonly door: Door;
}

export function streamPath({ boxId, epoch, door }: StreamTarget): string {
  return `/boxes/${encodeURIComponent(boxId)}/${epoch}/${doorPath(door)}`;
}

function doorPath(door: Door): string {
  if ("console" in door) return "console";
  return "port" in door ? `ports/${door.port}` : `sessions/${door.session}/${door.mode}`;
}

const PATH =
  /^\/boxes\/([a-z0-9_]{1,64})\/([1-9]\d{0,9})\/(?:ports\/([1-9]\d{0,4})|(console)|sessions\/([a-z0-9][a-z0-9-]{0,63})\/(read|write))$/;

export function parseStreamPath(path: string): StreamTarget | null {
  const [, boxId = "", epoch, port, console, session, mode] = PATH.exec(path) ?? [];
  if (!boxId || Number(port ?? 1) > 65_535) return null;
  const target = { boxId, epoch: Number(epoch) };
  if (console !== undefined) return { ...target, door: { console: true } };
  if (port !== undefined) return { ...target, door: { port: Number(port) } };
  return { ...target, door: { session: session ?? "", mode: mode as SessionMode } };
}
