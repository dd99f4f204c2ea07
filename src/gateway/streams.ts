// The open streams of a gateway: opened by who may enter, counted, ended when the box's placement does or when what
// let them in does not hold any more. Which door carries one is not known here.

import type { Duplex } from "node:stream";
import { Problem } from "#contract/errors.ts";
import type { Door } from "#contract/gateway-protocol.ts";
import type { Clock } from "#lib/clock.ts";
import { breakOff } from "#lib/splice.ts";
import type { Caller, NoteEntry } from "./entries.ts";
import type { Known } from "./known.ts";
import type { GatewayLimits } from "./limits.ts";
import type { NodeLink } from "./node-link.ts";
import { mayServe } from "./placement.ts";
import { reviewOnChange } from "./review.ts";
import type { Announced, Routes } from "./routes.ts";

/** Who comes to a box. */
export interface Visitor {
  /** Whose streams these count as; null: a visitor's, they count to the box. */
  readonly userId: string | null;
  readonly boxId: string;
  /** What they showed: a token, web session, key or link; null: nobody had to show any. */
  readonly credentialId: string | null;
  /** For the audit trail. */
  readonly caller: Caller;
}

/** The right to enter a box, whatever it was that proved it: a ticket, an SSH key, a preview pass. */
export interface Access extends Visitor {
  /** The only placement it is good for; null: whichever is current. */
  readonly epoch: number | null;
  /** Asked before a stream opens and at each change of what is known; a stream ends when it says no. */
  isStillGood(known: Known): boolean;
}

export interface StreamsOptions {
  readonly noteEntry?: NoteEntry | undefined;
  readonly routes: Routes<NodeLink>;
  readonly known: Known;
  readonly clock: Clock;
  readonly limits: GatewayLimits;
}

/** A stream that the box has answered. */
export interface OpenedStream {
  /** The box's side. It is destroyed with a Problem when the gateway ends the stream. */
  readonly box: Duplex;
  /** Why the box's side broke. */
  whyBroken(): Problem;
}

interface Open {
  readonly access: Access;
  readonly placement: Announced;
  readonly nodeId: string;
  end(problem: Problem): void;
}

export class Streams {
  readonly #options: StreamsOptions;
  readonly #open = new Set<Open>();
  readonly #perUser = new Map<string, number>();
  readonly #closed = new AbortController();
  readonly #stopReviewing: () => void;
  #count = 0;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#stopReviewing = reviewOnChange(this.#open, (open) => this.#review(open), options);
  }

  get count(): number {
    return this.#count;
  }

  /** Throws the Problem that it is refused with. */
  async open(access: Access, door: Door, signal: AbortSignal): Promise<OpenedStream> {
    try {
      const opened = await this.#enter(access, door, signal);
      this.#note(access, doorText(door), null);
      return opened;
    } catch (error) {
      if (error instanceof Problem && TELLING.has(error.code))
        this.turnAway(access, door, error.code);
      throw error;
    }
  }

  /** Somebody who is known was refused at a box's door before there was a stream to open. */
  turnAway(visitor: Visitor, door: Door | "login", code: string): void {
    this.#note(visitor, door === "login" ? door : doorText(door), code);
  }

  #note({ boxId, userId, credentialId, caller }: Visitor, door: string, code: string | null): void {
    this.#options.noteEntry?.({ ...caller, door, boxId, userId, credentialId, code });
  }

  async #enter(access: Access, door: Door, signal: AbortSignal): Promise<OpenedStream> {
    const { limits } = this.#options;
    const { epoch, link } = this.#route(access);
    const payer = access.userId ?? access.boxId;
    const ofPayer = this.#perUser.get(payer) ?? 0;
    if (ofPayer >= limits.streamsPerUser)
      throw new Problem("too_many_streams", `you have ${ofPayer} open streams at this gateway`);
    if (this.#count >= limits.streams)
      throw new Problem("too_many_streams", `this gateway has ${this.#count} open streams`);
    const release = this.#reserve(payer);
    const placement = { boxId: access.boxId, epoch };
    try {
      const box = await link.open({ ...placement, door }, signal);
      return this.#keep({ access, placement }, box, link, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  #keep(
    { access, placement }: Pick<Open, "access" | "placement">,
    box: Duplex,
    link: NodeLink,
    release: () => void,
  ): OpenedStream {
    let ended: Problem | null = null;
    const end = (problem: Problem) => {
      ended ??= problem;
      box.destroy(problem);
    };
    const open: Open = { access, placement, nodeId: link.nodeId, end };
    this.#open.add(open);
    const { credentialId } = access;
    const stopUsing = credentialId === null ? null : this.#options.known.use(credentialId);
    box.once("close", () => {
      this.#open.delete(open);
      stopUsing?.();
      release();
    });
    // What let it in may have ended while the box was answering.
    if (this.#closed.signal.aborted) end(stopping());
    else this.#review(open);
    const whyBroken = () =>
      ended ??
      (link.isOpen
        ? new Problem("port_closed", "the box broke the connection")
        : new Problem("node_away", "the connection to the box's node was lost"));
    return { box, whyBroken };
  }

  #route(access: Access): { epoch: number; link: NodeLink } {
    const { boxId } = access;
    const { routes, known } = this.#options;
    if (!access.isStillGood(known)) throw revoked();
    const route = routes.find(boxId);
    if (route.kind === "nowhere")
      throw new Problem("box_not_here", `no node of this gateway runs ${boxId} now`);
    if (access.epoch !== null && access.epoch < route.epoch)
      throw new Problem(
        "box_moved",
        `the ticket is for placement ${access.epoch} of ${boxId}; it is ${route.epoch} now`,
      );
    if (route.kind === "away")
      throw new Problem("node_away", `the node of ${boxId} is not connected to this gateway`);
    if (access.epoch !== null && access.epoch > route.epoch)
      throw new Problem(
        "node_away",
        `placement ${access.epoch} of ${boxId} has not been announced to this gateway yet`,
      );
    return route;
  }

  #reserve(payer: string): () => void {
    const change = (by: number) => {
      this.#count += by;
      const left = (this.#perUser.get(payer) ?? 0) + by;
      if (left > 0) this.#perUser.set(payer, left);
      else this.#perUser.delete(payer);
    };
    change(1);
    let isHeld = true;
    return () => {
      if (isHeld) change(-1);
      isHeld = false;
    };
  }

  /** Ends the streams of placements that are over. */
  endPlacements(placements: readonly Announced[]): void {
    if (placements.length === 0) return;
    const over = new Set(placements.map(({ boxId, epoch }) => `${boxId}/${epoch}`));
    for (const { placement, end } of this.#open)
      if (over.has(`${placement.boxId}/${placement.epoch}`)) end(moved());
  }

  #review({ access, placement, nodeId, end }: Open): void {
    const { known } = this.#options;
    if (!access.isStillGood(known)) end(revoked());
    else if (!mayServe(known, placement, nodeId)) end(moved());
  }

  close(): void {
    this.#closed.abort();
    this.#stopReviewing();
    for (const { end } of this.#open) end(stopping());
  }
}

/** Refusals for who came, not for where the box is now. */
const TELLING: ReadonlySet<string> = new Set(["revoked", "too_many_streams"]);

function doorText(door: Door): string {
  if ("console" in door) return "console";
  return "port" in door ? `port ${door.port}` : `session ${door.session} for ${door.mode}`;
}

function revoked(): Problem {
  return new Problem("revoked", "the key, token or share that opened it does not hold any more");
}

function moved(): Problem {
  return new Problem("box_not_here", "the box came to rest, or runs as another placement now");
}

function stopping(): Problem {
  return new Problem("node_away", "the gateway is stopping");
}

/** A side that was opened and is not wanted any more. */
export function abandon({ box }: OpenedStream): void {
  breakOff(box);
}
