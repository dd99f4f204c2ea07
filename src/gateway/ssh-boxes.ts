// What the SSH door asks of the rest of the gateway: which box a login means, and streams into it.

import type { Duplex } from "node:stream";
import { Problem } from "#contract/errors.ts";
import type { FeedBox } from "#contract/gateway-feed.ts";
import type { Door } from "#contract/gateway-protocol.ts";
import type { Phase } from "#domain/box.ts";
import type { DoorBase } from "./gateway.ts";
import type { Known } from "./known.ts";
import type { Login } from "./ssh-login.ts";
import type { Visitor } from "./streams.ts";

/** How long a login waits for its box: a boot under emulation takes its time. */
const WAKE_TIMEOUT_MS = 180_000;

export interface SshBoxes {
  readonly known: Known;
  /** Opens a stream; a box at rest is woken first. Throws Problem. */
  open(login: Login, box: FeedBox, door: Door, waiting: Waiting): Promise<Duplex>;
  /** Somebody who is known was refused. */
  turnAway(who: Pick<Visitor, "userId" | "boxId" | "credentialId">, refused: Refused): void;
}

export interface Refused {
  readonly address: string | null;
  readonly door: Door | "login";
  readonly code: string;
}

export interface Waiting {
  readonly signal: AbortSignal;
  /** The box is not running yet: what to tell who waits. */
  readonly onPhase?: (phase: Phase, reason: string | null) => void;
}

/** Throws Problem: a name that is none of this login's boxes. */
export function boxOf(
  login: Login,
  boxes: Pick<SshBoxes, "known" | "turnAway">,
  name: string,
): FeedBox {
  const { known } = boxes;
  const wanted = name.replace(/\.berth$/, "");
  const box = login.find(known, wanted);
  if (box) return box;
  const forbidden = login.lookFor(known, wanted);
  if (forbidden) {
    const { userId, credentialId, address = null } = login;
    const who = { userId, credentialId, boxId: forbidden.boxId };
    boxes.turnAway(who, { address, door: "login", code: "forbidden" });
  }
  throw new Problem("not_found", `you have no box ${JSON.stringify(name)} here`);
}

export function sshBoxes({ streams, known, wakeAndWait }: DoorBase): SshBoxes {
  return {
    known,
    turnAway: (who, { address, door, code }) =>
      streams.turnAway({ ...who, caller: { via: "ssh", address } }, door, code),
    open: async (login, box, door, { signal, onPhase }) => {
      const { userId } = login;
      const { boxId } = box;
      const credentialId = login.letIn(known, box);
      const caller = { via: "ssh" as const, address: login.address ?? null };
      if (credentialId === null) {
        streams.turnAway(
          { userId, boxId, credentialId: login.credentialId, caller },
          door,
          "revoked",
        );
        throw new Problem("revoked", `you may not enter ${box.name} any more`);
      }
      await wakeAndWait(
        boxId,
        { userId, credentialId, door: "ssh" },
        { signal, timeoutMs: WAKE_TIMEOUT_MS, ...(onPhase ? { onPhase } : {}) },
      );
      const isStillGood = (now: Known) => login.letIn(now, box) !== null;
      const access = { userId, boxId, credentialId, epoch: null, caller, isStillGood };
      return (await streams.open(access, door, signal)).box;
    },
  };
}
