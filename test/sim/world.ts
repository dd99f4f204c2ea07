// An installation in one process: a real Postgres, the server's own functions, and fake hosts with real
// agents. Time is a number, and every step is called by whoever drives the world, so that agents can die
// between any two of them: a dead agent's calls never return and never act.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { sql } from "kysely";
import { assignmentsSchema, type Report, reportSchema } from "#contract/node-protocol.ts";
import type { NodeId } from "#domain/ids.ts";
import type { Subject } from "#domain/permission.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { createFakeDriver } from "#drivers/fake/driver.ts";
import { type Beats, FakeHost } from "#drivers/fake/host.ts";
import type { Clock } from "#lib/clock.ts";
import { FailpointError, Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { Agent } from "#node/agent.ts";
import type { NodeTransport } from "#node/transport.ts";
import { fetchFiles } from "#objects/fetch.ts";
import { manifestKeyOf } from "#objects/keys.ts";
import { upload } from "#objects/upload.ts";
import { advanceBuilds } from "#reconciler/advance-builds.ts";
import { removeSnapshots } from "#reconciler/remove-snapshots.ts";
import { settleBoxes } from "#reconciler/settle-boxes.ts";
import { placeBoxes } from "#scheduler/place-boxes.ts";
import { ensureAdmin } from "#store/access.ts";
import { getAssignedBox } from "#store/assigned-box.ts";
import { readAssignments, readRevision } from "#store/assignments.ts";
import { createTemplate } from "#store/builds.ts";
import { type Database, isUnavailable, openDatabase } from "#store/db.ts";
import { createJoinToken, expireNodes, joinNode } from "#store/nodes.ts";
import { foldQuotas } from "#store/quotas.ts";
import { recordReport } from "#store/reports.ts";
import { rollUpHour } from "#store/usage-rollups.ts";
import { testDatabase } from "#test/harness/database.ts";
import { MemoryStore } from "#test/harness/memory-store.ts";
import { holdUsageClock, setUsageClock } from "#test/harness/usage.ts";

/** Ends: what it did so far stays done, what it is doing never returns. */
export class Life {
  isOver = false;
  readonly over: Promise<void>;
  #end: () => void = () => {};

  constructor() {
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  end(): void {
    this.isOver = true;
    this.#end();
  }

  /** Passes on what a living one gets; the dead one waits for ever. */
  async only<T>(work: () => Promise<T>): Promise<T> {
    if (this.isOver) await NEVER;
    const settled = await work().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    if (this.isOver) await NEVER;
    if ("error" in settled) throw settled.error;
    return settled.value;
  }
}

const NEVER = new Promise<never>(() => {});

export class SimNode {
  readonly name: string;
  readonly id: NodeId;
  readonly host: FakeHost;
  life = new Life();
  agent: Agent;
  isOpen = false;
  readonly #makeAgent: (node: SimNode) => Agent;

  constructor(name: string, id: NodeId, host: FakeHost, makeAgent: (node: SimNode) => Agent) {
    this.name = name;
    this.id = id;
    this.host = host;
    this.#makeAgent = makeAgent;
    this.agent = makeAgent(this);
  }

  /** The agent's process is killed, and another one starts. */
  crash(): void {
    this.life.end();
    this.life = new Life();
    this.isOpen = false;
    this.agent = this.#makeAgent(this);
  }

  /** Does one thing with the agent that lives now. Null when it died in the middle. */
  async act<T>(work: (agent: Agent) => Promise<T>): Promise<T | null> {
    const { life, agent } = this;
    const task = async () => {
      if (!this.isOpen) {
        await agent.open();
        await agent.sweep();
        if (!life.isOver) this.isOpen = true;
      }
      return work(agent);
    };
    return Promise.race([task(), life.over.then(() => null)]);
  }
}

export interface WorldHooks {
  /** Every failpoint that an agent or its driver passes. */
  onAgentStep(node: SimNode, name: string): Promise<void>;
  /** Every failpoint that the server passes. Throws: the caller died there. */
  onServerStep(name: string): Promise<void>;
  /** What becomes of a message between a node and the server. */
  fateOf(what: "report" | "assignments"): "delivered" | "lost" | "unanswered" | "twice";
  readonly beats: Beats;
}

export class MessageLost extends Error {
  override readonly name = "MessageLost";
}

/** What a run causes itself, or a machine that was too slow for its database: as good as a crash. */
export function isMishap(error: unknown): boolean {
  return error instanceof FailpointError || error instanceof MessageLost || isUnavailable(error);
}

class HookedFailpoints extends Failpoints {
  readonly #onHit: (name: string) => Promise<void>;

  constructor(onHit: (name: string) => Promise<void>) {
    super();
    this.#onHit = onHit;
  }

  override async hit(name: string): Promise<void> {
    await super.hit(name);
    await this.#onHit(name);
  }
}

export type AgentStep =
  | "box"
  | "pull"
  | "push"
  | "beat"
  | "observe"
  | "upload"
  | "fetch"
  | "remove"
  | "sweep";

const TURN = ["beat", "pull", "observe", "box", "fetch", "upload", "remove", "push"] as const;
/** Longer than any back-off. */
const BACKOFFS_MS = 70_000;
/** Of one kind in one turn. */
const STEPS_MAX = 30;
const IMAGE = "sha256:0";
const LEASE_MS = 3_600_000;
const SPEC = { cpus: 1, memoryMib: 256, rootDiskGib: 2, homeDiskGib: 1 };

export class World {
  readonly db: Database;
  readonly admin: Subject;
  readonly store = new MemoryStore();
  readonly clock: Clock;
  readonly nodes: SimNode[] = [];
  readonly hooks: WorldHooks;
  readonly directory: string;
  /** Virtual milliseconds. */
  nowMs = 1_800_000_000_000;

  private constructor(db: Database, admin: Subject, directory: string, hooks: WorldHooks) {
    this.db = db;
    this.admin = admin;
    this.directory = directory;
    this.hooks = hooks;
    this.clock = {
      nowMs: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      sleep: async (ms) => {
        this.nowMs += ms;
      },
    };
  }

  static async make(t: TestContext, nodeCount: number, hooks: WorldHooks): Promise<World> {
    const { url } = await testDatabase(t);
    const failpoints = new HookedFailpoints((name) => hooks.onServerStep(name));
    const db = openDatabase({ url, failpoints, log: silentLog });
    const directory = mkdtempSync("/dev/shm/berth-sim-");
    t.after(async () => {
      await db.close();
      rmSync(directory, { recursive: true, force: true });
    });
    const world = new World(db, await ensureAdmin(db), directory, hooks);
    await holdUsageClock(db, new Date(world.nowMs));
    for (let i = 0; i < nodeCount; i += 1) await world.#addNode(`node-${i}`);
    return world;
  }

  /** A template whose build runs `steps` steps. */
  async makeTemplate(name: string, setup: string | null): Promise<void> {
    await createTemplate(this.db, this.admin, {
      definition: {
        ...{ name, base: "debian-12", packages: [], setup, repository: null, size: SPEC },
        ...{ env: {}, hooks: { onResume: null, onFork: null } },
      },
      imageDigest: IMAGE,
    });
  }

  /** The server's loops, each as one pass. */
  readonly loops = {
    place: async () => {
      await placeBoxes(this.db, this.clock);
    },
    settle: async () => {
      await settleBoxes(this.db);
    },
    builds: async () => {
      await advanceBuilds(this.db);
    },
    remove: async () => {
      await removeSnapshots(this.db, async (id) => this.store.delete(manifestKeyOf(id)));
    },
    expire: async () => {
      await expireNodes(this.db);
    },
    fold: async () => {
      await foldQuotas(this.db, 50);
    },
    usage: async () => {
      await setUsageClock(this.db, new Date(this.nowMs));
      await rollUpHour(this.db, this.clock);
    },
  } as const;

  /** The server has not heard of the node for too long. */
  async expireLease(node: SimNode): Promise<void> {
    await sql`update nodes set lease_until = now() - interval '1 second' where id = ${node.id}`.execute(
      this.db.query,
    );
  }

  /** Every loop and every agent in turn, once. True when no agent had anything to do. */
  async turn(): Promise<boolean> {
    this.nowMs += BACKOFFS_MS;
    let isQuiet = true;
    for (const loop of Object.values(this.loops)) await this.#attempt(loop);
    for (const node of this.nodes)
      for (const what of TURN) {
        const boxIds = what === "box" ? node.agent.boxIds() : [""];
        for (const boxId of boxIds)
          for (let left = STEPS_MAX; left > 0; left -= 1) {
            const did = await this.#attempt(() => this.agentStep(node, what, boxId));
            if (did !== true) break;
            isQuiet = false;
          }
      }
    return isQuiet;
  }

  /** One step of an agent. True: it did something; null: it died in it. */
  agentStep(node: SimNode, what: AgentStep, boxId = ""): Promise<boolean | null> {
    const { signal } = new AbortController();
    return node.act(async (agent) => {
      if (what === "box") return (await agent.stepBox(boxId)) === "again";
      if (what === "pull") return agent.pull(0);
      if (what === "push") return agent.push(false);
      if (what === "beat") return (await agent.push(true)) && false;
      if (what === "observe") return (await agent.observe()).length > 0;
      if (what === "upload") return agent.keeper.uploadOne(signal);
      if (what === "fetch") return agent.keeper.fetchOne(signal);
      if (what === "remove") return agent.keeper.removeOne();
      await agent.sweep();
      return false;
    });
  }

  /** A crash in the middle is what the step's caller wanted. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (isMishap(error)) return null;
      throw error;
    }
  }

  async #addNode(name: string): Promise<void> {
    const hash = `token of ${name}`;
    await createJoinToken(this.db, this.admin, { hash, name, ttlMs: 60_000 });
    const joined = { tokenHash: hash, name, region: "default", labels: {} };
    const id = await joinNode(this.db, joined);
    const host = new FakeHost(join(this.directory, name), { name, beats: this.hooks.beats });
    this.nodes.push(new SimNode(name, id, host, (node) => this.#makeAgent(node)));
  }

  #makeAgent(node: SimNode): Agent {
    const { life } = node;
    const failpoints = new HookedFailpoints((name) =>
      life.only(() => this.hooks.onAgentStep(node, name)),
    );
    const { clock, store } = this;
    return new Agent({
      driver: createFakeDriver(node.host, { clock, failpoints }),
      transport: this.#transport(node, life),
      transfers: {
        upload: (input, { onProgress }) => upload(input, { store, failpoints, onProgress }),
        fetch: (input, { onProgress }) => fetchFiles(input, { store, failpoints, onProgress }),
      },
      images: { list: async () => [IMAGE], ensure: async () => {}, collect: async () => {} },
      clock,
      log: silentLog,
      failpoints,
    });
  }

  #transport(node: SimNode, life: Life): NodeTransport {
    const { db, hooks } = this;
    const deliver = async (report: Report): Promise<"acked" | "resync"> => {
      try {
        await recordReport(db, node.id, report, { leaseMs: LEASE_MS });
        return "acked";
      } catch (error) {
        if (error instanceof StoreRefusal && error.code === "resync_needed") return "resync";
        throw error;
      }
    };
    return {
      report: (report) =>
        life.only(async () => {
          const sent = reportSchema.parse(JSON.parse(JSON.stringify(report)));
          const fate = hooks.fateOf("report");
          if (fate === "lost") throw new MessageLost("report");
          const answer = await deliver(sent);
          if (fate === "twice") await deliver(sent);
          if (fate === "unanswered") throw new MessageLost("answer to a report");
          return answer;
        }),
      assignments: (since) =>
        life.only(async () => {
          if (hooks.fateOf("assignments") !== "delivered") throw new MessageLost("assignments");
          if ((await readRevision(db, node.id)) <= since) return null;
          const found = await readAssignments(db, node.id, { sshUserCa: "", gateways: [] });
          return assignmentsSchema.parse(JSON.parse(JSON.stringify(found)));
        }),
      signHostKey: ({ boxId, epoch, publicKey }) =>
        life.only(async () => {
          await getAssignedBox(db, node.id, { boxId, epoch });
          return `certificate of ${publicKey}`;
        }),
    };
  }
}
