// The way into a box for every command that needs one: wakes the box, gets a ticket, opens a stream
// through a gateway. Between "running" and the gateway's knowing it lies a moment; it is waited for here.

import type { Duplex } from "node:stream";
import { ApiError } from "#sdk/api-error.ts";
import type { Box, Ticket } from "#sdk/client.ts";
import type { StreamOptions } from "#sdk/stream.ts";
import { CliError } from "./exit.ts";
import type { Session } from "./session.ts";
import { happening, waitForBoxes } from "./waiting.ts";

const WAKE_TIMEOUT_MS = 15 * 60_000;
/** The gateway hears of a box that came up within this. */
const SETTLE_MS = 20_000;
const RETRY_MS = 100;
/** What passes by itself when the box has just come up. */
const PASSING = new Set(["box_not_here", "box_moved", "node_away", "port_closed"]);

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

/** Opens one door of a box that was woken. */
export async function openDoor(
  session: Session,
  box: Pick<Box, "id">,
  door: StreamOptions["door"],
): Promise<Duplex> {
  const { clock, interrupted } = session.terminal;
  const client = await session.client();
  const { openStream } = await import("#sdk/stream.ts");
  const deadlineMs = clock.monotonicMs() + SETTLE_MS;
  const ports = "port" in door ? [door.port] : [];
  for (;;) {
    const ticket = await client.access.ticket(box.id, { ports }, { signal: interrupted });
    try {
      return await openStream({ ...addressOf(ticket), door, signal: interrupted });
    } catch (error) {
      const isPassing = error instanceof ApiError && PASSING.has(error.code);
      if (!isPassing || clock.monotonicMs() > deadlineMs) throw error;
      await clock.sleep(RETRY_MS, interrupted);
    }
  }
}

export function addressOf({ gatewayUrl, ticket, boxId }: Ticket) {
  return { gatewayUrl, ticket, boxId };
}
