// Which node link leads to which box. Pure. The highest epoch ever announced for a box wins, also over
// the node that still runs an older one and does not know that it has been replaced.

export interface Announced {
  readonly boxId: string;
  readonly epoch: number;
}

export type Route<Link> =
  | { readonly kind: "here"; readonly epoch: number; readonly link: Link }
  /** It ran on a node whose link was lost. */
  | { readonly kind: "away"; readonly epoch: number }
  | { readonly kind: "nowhere" };

interface Entry<Link> {
  readonly epoch: number;
  /** Null with `isAway`: its link was lost; null without: it is at rest. */
  readonly link: Link | null;
  readonly isAway: boolean;
}

/** Boxes at rest whose last epoch is remembered; over this, the longest unchanged are forgotten. */
const MAX_REMEMBERED = 100_000;

export class Routes<Link> {
  readonly #entries = new Map<string, Entry<Link>>();
  readonly #byLink = new Map<Link, Map<string, number>>();
  readonly #maxRemembered: number;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(maxRemembered = MAX_REMEMBERED) {
    this.#maxRemembered = maxRemembered;
  }

  /** Takes a link's full set. Returns the placements whose streams must end. */
  announce(link: Link, boxes: readonly Announced[]): Announced[] {
    const ended: Announced[] = [];
    const before = this.#byLink.get(link) ?? new Map<string, number>();
    const after = new Map(boxes.map(({ boxId, epoch }) => [boxId, epoch]));
    this.#byLink.set(link, after);
    for (const [boxId, epoch] of before) {
      if (after.get(boxId) === epoch) continue;
      const entry = this.#entries.get(boxId);
      if (entry?.link !== link || entry.epoch !== epoch) continue;
      ended.push({ boxId, epoch });
      this.#set(boxId, { epoch, link: null, isAway: false });
    }
    for (const [boxId, epoch] of after) {
      const entry = this.#entries.get(boxId);
      if (entry && entry.epoch > epoch) continue;
      if (entry && entry.epoch < epoch) ended.push({ boxId, epoch: entry.epoch });
      this.#set(boxId, { epoch, link, isAway: false });
      for (const tell of this.#waiting.get(boxId) ?? []) tell();
    }
    this.#forget();
    return ended;
  }

  /** The link was lost: its boxes may well run on, and it may come back. */
  drop(link: Link): void {
    for (const boxId of this.#byLink.get(link)?.keys() ?? []) {
      const entry = this.#entries.get(boxId);
      if (entry?.link === link) this.#set(boxId, { epoch: entry.epoch, link: null, isAway: true });
    }
    this.#byLink.delete(link);
  }

  find(boxId: string): Route<Link> {
    const entry = this.#entries.get(boxId);
    if (!entry) return { kind: "nowhere" };
    if (entry.link) return { kind: "here", epoch: entry.epoch, link: entry.link };
    return entry.isAway ? { kind: "away", epoch: entry.epoch } : { kind: "nowhere" };
  }

  /** Calls back whenever the box is announced; returns what ends that. */
  onAnnounced(boxId: string, tell: () => void): () => void {
    const waiting = this.#waiting.get(boxId) ?? new Set();
    this.#waiting.set(boxId, waiting.add(tell));
    return () => {
      waiting.delete(tell);
      if (waiting.size === 0) this.#waiting.delete(boxId);
    };
  }

  /** How many boxes can be entered now. */
  get boxes(): number {
    return [...this.#entries.values()].filter((entry) => entry.link !== null).length;
  }

  #set(boxId: string, entry: Entry<Link>): void {
    this.#entries.delete(boxId); // So that the map's order is that of the last change.
    this.#entries.set(boxId, entry);
  }

  #forget(): void {
    let over = this.#entries.size - this.#maxRemembered;
    if (over <= 0) return;
    for (const [boxId, entry] of this.#entries) {
      if (over <= 0) return;
      if (entry.link) continue;
      this.#entries.delete(boxId);
      over -= 1;
    }
  }
}
