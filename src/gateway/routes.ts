// Which node link leads to which box. Pure. Nodes announce; of those that may serve a box (placement.ts), the highest
// epoch ever announced wins, also over the node that still runs an older one and does not know that it was replaced.

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
  /** The highest that a node which may serve it announced. */
  epoch: number;
  /** Who announces it now, and as which placement. */
  readonly offers: Map<Link, number>;
  /** The link of that epoch was lost. */
  isAway: boolean;
}

export interface RoutesOptions<Link> {
  /** Asked at each look: what is known of a box changes. */
  readonly mayServe: (placement: Announced, link: Link) => boolean;
  /** Boxes at rest whose last epoch is remembered; over this, the longest unchanged are forgotten. */
  readonly maxRemembered: number;
}

const MAX_REMEMBERED = 100_000;

export class Routes<Link> {
  readonly #entries = new Map<string, Entry<Link>>();
  readonly #byLink = new Map<Link, ReadonlyMap<string, number>>();
  readonly #options: RoutesOptions<Link>;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(options: Partial<RoutesOptions<Link>> = {}) {
    this.#options = { mayServe: () => true, maxRemembered: MAX_REMEMBERED, ...options };
  }

  /** Takes a link's full set. Returns the placements whose streams must end. */
  announce(link: Link, boxes: readonly Announced[]): Announced[] {
    const ended: Announced[] = [];
    const before = this.#byLink.get(link) ?? new Map<string, number>();
    const after = new Map(boxes.map(({ boxId, epoch }) => [boxId, epoch]));
    this.#byLink.set(link, after);
    for (const [boxId, epoch] of before)
      if (after.get(boxId) !== epoch && this.#withdraw(boxId, link)) ended.push({ boxId, epoch });
    for (const [boxId, epoch] of after) {
      const entry = this.#entries.get(boxId) ?? { epoch: 0, offers: new Map(), isAway: false };
      entry.offers.set(link, epoch);
      const last = entry.epoch;
      this.#believe(boxId, entry);
      if (last !== 0 && last < entry.epoch) ended.push({ boxId, epoch: last });
      this.#touch(boxId, entry);
      for (const tell of this.#waiting.get(boxId) ?? []) tell();
    }
    this.#forget();
    return ended;
  }

  /** The link was lost: its boxes may well run on, and it may come back. */
  drop(link: Link): void {
    for (const [boxId, epoch] of this.#byLink.get(link) ?? []) {
      const entry = this.#entries.get(boxId);
      if (entry && this.#withdraw(boxId, link) && entry.epoch === epoch) entry.isAway = true;
    }
    this.#byLink.delete(link);
  }

  find(boxId: string): Route<Link> {
    const entry = this.#entries.get(boxId);
    if (!entry) return { kind: "nowhere" };
    const link = this.#believe(boxId, entry);
    const { epoch } = entry;
    if (link !== null) return { kind: "here", epoch, link };
    return entry.isAway ? { kind: "away", epoch } : { kind: "nowhere" };
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
    const all = [...this.#entries];
    return all.filter(([boxId, entry]) => this.#believe(boxId, entry) !== null).length;
  }

  /** The link that serves it now, or null; what is found newer than anything before becomes the least that counts. */
  #believe(boxId: string, entry: Entry<Link>): Link | null {
    let best: Link | null = null;
    for (const [link, epoch] of entry.offers) {
      if (epoch < entry.epoch || (epoch === entry.epoch && best !== null)) continue;
      if (!this.#options.mayServe({ boxId, epoch }, link)) continue;
      entry.epoch = epoch;
      best = link;
    }
    if (best !== null) entry.isAway = false;
    return best;
  }

  /** True when nobody offers what this link did any more. */
  #withdraw(boxId: string, link: Link): boolean {
    const entry = this.#entries.get(boxId);
    const epoch = entry?.offers.get(link);
    if (!entry || epoch === undefined) return false;
    entry.offers.delete(link);
    this.#touch(boxId, entry);
    return ![...entry.offers.values()].includes(epoch);
  }

  #touch(boxId: string, entry: Entry<Link>): void {
    this.#entries.delete(boxId); // So that the map's order is that of the last change.
    this.#entries.set(boxId, entry);
  }

  #forget(): void {
    let over = this.#entries.size - this.#options.maxRemembered;
    if (over <= 0) return;
    for (const [boxId, { offers }] of this.#entries) {
      if (over <= 0) return;
      if (offers.size > 0) continue;
      this.#entries.delete(boxId);
      over -= 1;
    }
  }
}
