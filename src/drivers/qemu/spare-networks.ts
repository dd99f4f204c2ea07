// Networks made ahead of time: making one takes longer than everything else between a snapshot and its first
// instruction. A spare has a slot of its own, and is shut like every new network.

import type { Log } from "#lib/log.ts";
import type { Lull } from "./lull.ts";
import type { BoxNetworks } from "./network.ts";
import type { Slots } from "./slots.ts";

export const SPARE_PREFIX = "spare-";

export class SpareNetworks {
  readonly #networks: BoxNetworks;
  readonly #slots: Slots;
  readonly #uidBase: number;
  readonly #log: Log;
  readonly #lull: Lull;
  readonly #wanted: number;
  /** Slot by the name that it is claimed under, once its network stands. */
  readonly #ready = new Map<string, number>();
  /** Being made or handed over. */
  readonly #moving = new Set<string>();
  #filling: Promise<void> = Promise.resolve();
  #isClosed = false;
  #count = 0;

  constructor(
    networks: BoxNetworks,
    slots: Slots,
    options: { uidBase: number; log: Log; wanted: number; lull: Lull },
  ) {
    this.#networks = networks;
    this.#slots = slots;
    this.#uidBase = options.uidBase;
    this.#log = options.log;
    this.#lull = options.lull;
    this.#wanted = options.wanted;
  }

  /** A slot with a network for its owner; null when there is no spare one just now. */
  async take(owner: string): Promise<number | null> {
    const [next] = this.#ready;
    if (!next) return null;
    const [name, slot] = next;
    this.#ready.delete(name);
    this.#moving.add(name);
    try {
      await this.#slots.give(slot, name, owner);
    } finally {
      this.#moving.delete(name);
    }
    this.fill();
    return slot;
  }

  /** Makes what is missing, one after the other, in the background. */
  fill(): void {
    this.#filling = this.#filling.then(async () => {
      while (this.#ready.size < this.#wanted) {
        await this.#lull.comes(() => this.#isClosed);
        if (this.#isClosed) return;
        await this.#makeOne();
      }
    });
    this.#filling = this.#filling.catch((error: Error) =>
      this.#log.warn({ error: error.message }, "no spare network"),
    );
  }

  async #makeOne(): Promise<void> {
    const name = `${SPARE_PREFIX}${process.pid}-${this.#count++}`;
    this.#moving.add(name);
    try {
      const slot = await this.#slots.claim(name);
      await this.#networks.make(slot, this.#uidBase + slot);
      this.#ready.set(name, slot);
    } finally {
      this.#moving.delete(name);
    }
  }

  /** Resolves when what is wanted now is made, or could not be. */
  async settled(): Promise<void> {
    await this.#filling;
  }

  /** Is the claim of this name one of ours, and not what an agent before left? */
  holds(name: string): boolean {
    return this.#ready.has(name) || this.#moving.has(name);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#filling;
    for (const [name, slot] of this.#ready) {
      this.#ready.delete(name);
      await this.#networks.remove(slot);
      await this.#slots.release(slot);
    }
  }
}
