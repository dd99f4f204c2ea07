// The last way into a box that ssh was given, kept beside its certificate for the minutes that both last: by it ssh
// enters a running box also while the control plane is away.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Box, Ticket } from "#sdk/client.ts";
import { isAway } from "./enter.ts";
import type { Session } from "./session.ts";
import { replaceFile, sshPaths } from "./ssh-files.ts";

export interface LastWay {
  /** URL of the installation that it is of. */
  readonly server: string;
  readonly box: Pick<Box, "id" | "name">;
  readonly ticket?: Ticket;
  /** What `berth ssh` tells ssh. */
  readonly login?: { readonly user: string; readonly hostName: string };
}

function pathOf(session: Session, ref: string): string {
  return join(sshPaths(session.terminal.env).directory, `${ref}.way`);
}

/** What cannot be kept is got again next time. */
export async function keepWay(
  session: Session,
  { id, name }: LastWay["box"],
  part: Pick<LastWay, "ticket" | "login">,
): Promise<void> {
  const { url: server } = await session.credentials();
  const last = await readWay(session, id);
  const text = JSON.stringify({ ...last, server, box: { id, name }, ...part });
  for (const ref of [id, name]) await replaceFile(pathOf(session, ref), text).catch(() => {});
}

async function readWay(session: Session, ref: string): Promise<LastWay | null> {
  const { url } = await session.credentials();
  try {
    const way = JSON.parse(await readFile(pathOf(session, ref), "utf8")) as LastWay;
    return way.server === url ? way : null;
  } catch {
    return null;
  }
}

/**
 * After `error`: the way that was kept, which whoever waits is told of. Throws the error again when that is no sign of an
 * absent control plane, or nothing is kept that still holds.
 */
export async function lastWay(session: Session, ref: string, error: unknown): Promise<LastWay> {
  const way = isAway(error) ? await readWay(session, ref) : null;
  const untilMs = Date.parse(way?.ticket?.expiresAt ?? "");
  if (!way || !(untilMs > session.terminal.clock.nowMs())) throw error;
  return way;
}
