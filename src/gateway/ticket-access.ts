// What a ticket lets its bearer do at this gateway.

import { Problem } from "#contract/errors.ts";
import type { Door } from "#contract/gateway-protocol.ts";
import { SESSION_ID, SESSION_MODES, type SessionMode } from "#contract/gateway-protocol.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import {
  expiredTicket,
  type Ticket,
  type TicketCheck,
  ticketCheck,
  ticketOpens,
} from "#trust/tickets.ts";
import { stillHolds } from "./entry.ts";
import type { Known } from "./known.ts";
import { toProblem } from "./refusal.ts";
import type { Access, Streams, Visitor } from "./streams.ts";

/** Checks with the keys that hold now, so that they can be replaced while the gateway runs. */
export function currentTicketCheck(known: Known): TicketCheck {
  let keys = known.settings.ticketKeysPem;
  let check = ticketCheck(keys);
  return (text, nowMs) => {
    if (known.settings.ticketKeysPem !== keys) {
      keys = known.settings.ticketKeysPem;
      check = ticketCheck(keys);
    }
    return check(text, nowMs);
  };
}

export interface TicketVisit {
  /** As it was shown. */
  readonly text: string;
  readonly door: Door;
  readonly address: string | undefined;
  /** What the ticket gives; throws. */
  readonly admit: (ticket: Ticket) => Access;
}

/** Throws; whose ticket it was is noted, if it was ever one of ours. */
export async function accessByTicket(
  { text, door, address, admit }: TicketVisit,
  { checkTicket, streams, clock, log }: TicketDoor,
): Promise<Access> {
  let ticket: Ticket | null = null;
  try {
    ticket = await checkTicket(text, clock.nowMs());
    return admit(ticket);
  } catch (error) {
    const shown = ticket ?? expiredTicket(error);
    if (shown) streams.turnAway(visitorOf(shown, address), door, toProblem(error, log).code);
    throw error;
  }
}

export interface TicketDoor {
  readonly checkTicket: TicketCheck;
  readonly streams: Pick<Streams, "turnAway">;
  readonly clock: Clock;
  readonly log: Log;
}

function visitorOf(
  { userId, boxId, credentialId, origin }: Ticket,
  address: string | undefined,
): Visitor {
  const via = origin === null ? ("ticket" as const) : ("page" as const);
  return { userId, boxId, credentialId, caller: { via, address: address ?? null } };
}

/** Throws when the ticket is not for that door. */
export function accessOf(ticket: Ticket, boxId: string, door: Door, address?: string): Access {
  if (ticket.boxId !== boxId)
    throw new Problem("forbidden", `this ticket is for ${ticket.boxId}, not for ${boxId}`);
  if (!ticketOpens(ticket, door))
    throw new Problem("forbidden", `this ticket does not open ${nameOf(door)}`);
  const { userId, epoch, credentialId } = ticket;
  const isLetIn = stillHolds(ticket.issuedAtMs, (known) => known.mayEnter(userId, boxId));
  const isStillGood = (known: Known) => !known.isRevoked(credentialId) && isLetIn(known);
  return { ...visitorOf(ticket, address), epoch, isStillGood };
}

/** Throws when the ticket is another gateway's. */
export function refuseOthers({ gatewayUrl }: Ticket, ownUrl: string): void {
  if (gatewayUrl !== null && gatewayUrl !== ownUrl)
    throw new Problem("forbidden", `this ticket is for the gateway ${gatewayUrl}; ask for another`);
}

function nameOf(door: Door): string {
  if ("console" in door) return "the console";
  return "port" in door ? `port ${door.port}` : `session ${door.session} for ${door.mode}`;
}

/** A door as clients name it, in an address or a message. */
export interface NamedDoor {
  readonly box?: unknown;
  readonly port?: unknown;
  readonly console?: unknown;
  readonly session?: unknown;
  readonly mode?: unknown;
}

/** Throws when it is not exactly one door of a box. */
export function readDoor(named: NamedDoor): { readonly boxId: string; readonly door: Door } {
  const { box, port, console: isConsole, session, mode, ...others } = named;
  const isOneDoor = [port, isConsole, session].filter((one) => one !== undefined).length === 1;
  if (typeof box !== "string" || !box || !isOneDoor || Object.keys(others).length > 0)
    throw new Problem(
      "invalid_request",
      "give `box`, and one of `port`, `console=1`, or `session` with `mode`",
    );
  if ((mode !== undefined) !== (session !== undefined))
    throw new Problem("invalid_request", "`session` and `mode` go together");
  return { boxId: box, door: readOneDoor(port, isConsole, session, mode) };
}

function readOneDoor(port: unknown, isConsole: unknown, session: unknown, mode: unknown): Door {
  if (session !== undefined) {
    if (typeof session !== "string" || !SESSION_ID.test(session) || !isMode(mode))
      throw new Problem("invalid_request", "`session` is an id, and `mode` is `read` or `write`");
    return { session, mode };
  }
  if (isConsole !== undefined) {
    if (isConsole !== "1" && isConsole !== true)
      throw new Problem("invalid_request", "`console` is 1, or not given");
    return { console: true };
  }
  if (!/^[1-9]\d{0,4}$/.test(String(port)) || Number(port) > 65_535)
    throw new Problem("invalid_request", "`port` must be a number from 1 to 65535");
  return { port: Number(port) };
}

function isMode(value: unknown): value is SessionMode {
  return SESSION_MODES.includes(value as SessionMode);
}
