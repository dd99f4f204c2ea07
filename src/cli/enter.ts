// The way into a box for every command that needs one: wakes the box, gets a ticket, opens a stream
// through a gateway. Between "running" and the gateway's knowing it lies a moment; it is waited for here.

import type { Duplex } from "node:stream";
import { ApiError } from "#sdk/api-error.ts";
import type { Box, Ticket } from "#sdk/client.ts";
import type { StreamDoor } from "#sdk/stream.ts";
import { CliError } from "./exit.ts";
import type { Session } from "./session.ts";
import { happening, waitForBoxes } from "./waiting.ts";

const WAKE_TIMEOUT_MS = 15 * 60_000;
/** The gateway hears of a box that came up within this. */
const SETTLE_MS = 20_000;
const RETRY_MS = 100;
/** What passes by itself when the box has just come up, or at another gateway. */
const PASSING = new Set(["box_not_here", "box_moved", "node_away", "port_closed", "unreachable"]);

/** Brings the box to running, with its progress on stderr; says nothing when it runs. */
export async function wake(session: Session, ref: string): Promise<Box> {
  const client = await session.client();
  const box = await client.boxes.get(ref);
  if (box.phase === "running") return box;
  if (box.desired === "deleted")
    throw new CliError(`${box.name} is ${happening(box)}.`, {
      next: "`berth list` shows what is there.",
    });
  if (box.desired !== "running")
    await (box.desired === "paused" ? client.boxes.resume(box.id) : client.boxes.start(box.id));
  const [running = box] = await waitForBoxes(
    session,
    [{ box: box.id, label: box.name, goal: "running" }],
    WAKE_TIMEOUT_MS,
  );
  return running;
}

/**
 * Opens one door of a box that was woken. A gateway that does not answer is passed over for the next; `first` says
 * which to begin with, for whoever was let down by one just now.
 */
export async function openDoor(
  session: Session,
  box: Pick<Box, "id">,
  door: StreamDoor,
  first = 0,
): Promise<Duplex> {
  const { clock, interrupted } = session.terminal;
  const { openStream } = await import("#sdk/stream.ts");
  const deadlineMs = clock.monotonicMs() + SETTLE_MS;
  for (let turn = first; ; turn += 1) {
    const ticket = await ticketFor(session, box, door);
    const { ticket: text, boxId, gatewayUrls } = ticket;
    const gatewayUrl = gatewayUrls[turn % gatewayUrls.length] ?? ticket.gatewayUrl;
    try {
      return await openStream({ gatewayUrl, ticket: text, boxId, door, signal: interrupted });
    } catch (error) {
      const isPassing = error instanceof ApiError && PASSING.has(error.code);
      if (!isPassing || clock.monotonicMs() > deadlineMs) throw error;
      const isLastOfRound = (turn - first + 1) % Math.max(1, gatewayUrls.length) === 0;
      if (isLastOfRound) await clock.sleep(RETRY_MS, interrupted);
    }
  }
}

/** The control plane does not answer; what it gave before opens running boxes for some minutes more. */
export function isAway(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status >= 500);
}

async function ticketFor(
  session: Session,
  box: Pick<Box, "id">,
  door: StreamDoor,
): Promise<Ticket> {
  const { terminal } = session;
  try {
    const { access } = await session.client();
    const { interrupted: signal } = terminal;
    const ticket = await access.ticket(box.id, scopeOf(door), { signal });
    session.tickets.set(ticketKey(box, door), ticket);
    return ticket;
  } catch (error) {
    const last = session.tickets.get(ticketKey(box, door));
    const isGood = last !== undefined && Date.parse(last.expiresAt) > terminal.clock.nowMs();
    if (isGood && isAway(error)) return last;
    throw error;
  }
}

/** Of `session.tickets`. */
export function ticketKey(box: Pick<Box, "id">, door: StreamDoor): string {
  return JSON.stringify([box.id, scopeOf(door)]);
}

/** A ticket that opens that door and no other. */
function scopeOf(door: StreamDoor) {
  if ("session" in door) return { session: { id: door.session, mode: door.mode } };
  return { ports: "port" in door ? [door.port] : [] };
}
