// A slot is a box's number on this host, for its uid, addresses and interface names. Several drivers
// may share a host, so slots are claimed by files in one directory that a reboot empties.

import { link, mkdir, readdir, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

export const SLOTS_MAX = 32_768;

export interface Slots {
  /** Gives the box a slot of its own: the one it has, else `preferred`, else the next free one. */
  claim(box: string, preferred?: number | null): Promise<number>;
  release(slot: number): Promise<void>;
  /** Hands a claim over, at once. */
  give(slot: number, from: string, to: string): Promise<void>;
  /** This owner's slots: box by slot. */
  mine(): Promise<Map<number, string>>;
}

/** `owner` stands for one driver's state directory; `directory` is the same for all drivers of the host. */
export async function openSlots(directory: string, owner: string): Promise<Slots> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = (slot: number) => join(directory, String(slot));

  async function taken(): Promise<Map<number, string>> {
    const claims = new Map<number, string>();
    for (const name of await readdir(directory)) {
      if (!/^\d+$/.test(name)) continue;
      const text = await readFile(join(directory, name), "utf8").catch(() => null);
      if (text !== null) claims.set(Number(name), text);
    }
    return claims;
  }

  /** Atomic and with its content: by a hard link to a file that is complete. */
  async function take(slot: number, box: string): Promise<boolean> {
    const draft = join(directory, `.${owner}.${box}`);
    await writeFile(draft, `${owner} ${box}`);
    try {
      await link(draft, path(slot));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    } finally {
      await unlink(draft);
    }
  }

  let last = -1;
  return {
    async claim(box, preferred = null) {
      const claims = await taken();
      for (const [slot, claim] of claims) if (claim === `${owner} ${box}`) return slot;
      if (preferred !== null && (await take(preferred, box))) return preferred;
      // Round robin: a freed slot's addresses rest as long as possible before another box has them.
      if (last < 0) last = Math.max(-1, ...claims.keys());
      for (let step = 1; step <= SLOTS_MAX; step++) {
        const slot = (last + step) % SLOTS_MAX;
        if (claims.has(slot) || !(await take(slot, box))) continue;
        last = slot;
        return slot;
      }
      throw new Error(`all ${SLOTS_MAX} box slots of this host are taken (${directory})`);
    },
    async release(slot) {
      const text = await readFile(path(slot), "utf8").catch(() => "");
      if (text.startsWith(`${owner} `)) await unlink(path(slot));
    },
    async give(slot, from, to) {
      if ((await taken()).get(slot) !== `${owner} ${from}`)
        throw new Error(`slot ${slot}: not ${from}'s`);
      const draft = join(directory, `.${owner}.${to}`);
      await writeFile(draft, `${owner} ${to}`);
      await rename(draft, path(slot));
    },
    async mine() {
      const result = new Map<number, string>();
      for (const [slot, claim] of await taken()) {
        const [claimOwner, box = ""] = claim.split(" ");
        if (claimOwner === owner) result.set(slot, box);
      }
      return result;
    },
  };
}
