// A control plane without HTTP: a database, an administrator, a template, and paper nodes; `settle` turns the loops
// by hand until nothing changes, so a test never waits for time.

import type { Subject } from "#domain/permission.ts";
import type { TemplateRecipe } from "#domain/template.ts";
import { systemClock } from "#lib/clock.ts";
import { advanceBuilds } from "#reconciler/advance-builds.ts";
import { removeSnapshots } from "#reconciler/remove-snapshots.ts";
import { settleBoxes } from "#reconciler/settle-boxes.ts";
import { placeBoxes } from "#scheduler/place-boxes.ts";
import { ensureAdmin } from "#store/access.ts";
import { createTemplate } from "#store/builds.ts";
import type { Db } from "#store/db.ts";
import { readEventsEnd } from "#store/events.ts";
import { PaperNode, type PaperOptions } from "./paper-node.ts";

export const IMAGE = "sha256:0000";

export function recipe(change: Partial<TemplateRecipe> = {}): TemplateRecipe {
  return {
    name: "base",
    base: "debian-12",
    packages: [],
    setup: null,
    repository: null,
    size: { cpus: 2, memoryMib: 2048, rootDiskGib: 20, homeDiskGib: 10 },
    env: { LANG: "C.UTF-8" },
    hooks: { onResume: null, onFork: null },
    ...change,
  };
}

/** Removing a snapshot takes two turns that tell nothing. */
const QUIET_TURNS = 3;
const TURNS_MAX = 30;

export class PaperWorld {
  readonly db: Db;
  readonly admin: Subject;
  readonly nodes: PaperNode[] = [];
  readonly forgotten: string[] = [];

  constructor(db: Db, admin: Subject) {
    this.db = db;
    this.admin = admin;
  }

  /** With nodes, and with the template `base` built on them. */
  static async make(db: Db, nodes: PaperOptions[] = [{}]): Promise<PaperWorld> {
    const world = new PaperWorld(db, await ensureAdmin(db));
    for (const options of nodes) world.nodes.push(await PaperNode.join(db, world.admin, options));
    await createTemplate(db, world.admin, { definition: recipe(), imageDigest: IMAGE });
    await world.settle();
    return world;
  }

  get node(): PaperNode {
    const [node] = this.nodes;
    if (!node) throw new Error("this world has no node");
    return node;
  }

  /** Every loop and every node, over and over, until turns change nothing that is told. */
  async settle(): Promise<void> {
    let told = -1;
    for (let quiet = 0, turns = 0; quiet < QUIET_TURNS && turns < TURNS_MAX; turns += 1) {
      await this.turn();
      const now = await readEventsEnd(this.db);
      quiet = now === told ? quiet + 1 : 0;
      told = now;
    }
  }

  async turn(): Promise<void> {
    await placeBoxes(this.db, systemClock);
    for (const node of this.nodes) await node.step();
    await settleBoxes(this.db);
    await advanceBuilds(this.db);
    await removeSnapshots(this.db, async (id) => {
      this.forgotten.push(id);
    });
  }
}
