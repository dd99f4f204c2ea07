import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Assignment, Assignments, BoxReport, Report } from "#contract/node-protocol.ts";
import { createFakeDriver } from "#drivers/fake/driver.ts";
import { FakeHost } from "#drivers/fake/host.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { Failpoints } from "#lib/failpoint.ts";
import { silentLog } from "#lib/log.ts";
import { Agent } from "#node/agent.ts";
import { runAgent } from "#node/run-agent.ts";
import type { NodeTransport } from "#node/transport.ts";
import { fetchFiles } from "#objects/fetch.ts";
import { upload } from "#objects/upload.ts";
import { MemoryStore } from "#test/harness/memory-store.ts";

const ID = "00000000000000000000";

/** A control plane of one variable: what is wanted, and what was heard. */
class Desk implements NodeTransport {
  wanted: Assignments = { revision: 1, boxes: [], snapshots: [], gateways: [] };
  readonly heard = new Map<string, BoxReport>();
  readonly snapshots = new Map<string, Report["snapshots"][number]>();
  readonly reports: Report[] = [];
  answers: ("acked" | "resync" | Error)[] = [];

  want(change: Partial<Omit<Assignments, "revision">>): void {
    this.wanted = { ...this.wanted, ...change, revision: this.wanted.revision + 1 };
  }

  async report(report: Report): Promise<"acked" | "resync"> {
    const answer = this.answers.shift() ?? "acked";
    if (answer instanceof Error) throw answer;
    if (answer === "resync") return answer;
    this.reports.push(report);
    if (report.full) {
      this.heard.clear();
      this.snapshots.clear();
    }
    for (const box of report.boxes) this.heard.set(box.boxId, box);
    for (const boxId of report.goneBoxes) this.heard.delete(boxId);
    for (const one of report.snapshots) this.snapshots.set(one.snapshotId, one);
    for (const id of report.goneSnapshots) this.snapshots.delete(id);
    return "acked";
  }

  async assignments(since: number, waitMs: number, signal: AbortSignal) {
    const untilMs = performance.now() + Math.min(waitMs, 200);
    while (this.wanted.revision <= since && performance.now() < untilMs)
      await systemClock.sleep(5, signal);
    return this.wanted.revision > since ? this.wanted : null;
  }

  async signHostKey({ publicKey }: { publicKey: string }): Promise<string> {
    return `certificate of ${publicKey}`;
  }
}

interface Scene {
  freeDiskGib: number;
  /** What was needed, each time that images were collected. */
  readonly collected: string[][];
  readonly desk: Desk;
  readonly host: FakeHost;
  readonly store: MemoryStore;
  readonly failpoints: Failpoints;
  agent: Agent;
  /** Ends the agent object and starts another one on the same host. */
  restart(): Promise<void>;
  /** Waits until the condition holds. */
  until(what: string, holds: () => boolean): Promise<void>;
}

async function scene(t: TestContext): Promise<Scene> {
  const directory = mkdtempSync(join(tmpdir(), "berth-agent-"));
  const host = new FakeHost(directory);
  const desk = new Desk();
  const store = new MemoryStore();
  const failpoints = new Failpoints();
  const collected: string[][] = [];
  const ended = new AbortController();
  // What a slow host still has to do when the test is over is not waited for.
  const hostClock: Clock = {
    ...systemClock,
    sleep: (ms) => systemClock.sleep(ms, ended.signal),
  };
  let stop = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const start = (): Agent => {
    stop = new AbortController();
    const agent = new Agent({
      driver: createFakeDriver(host, { clock: hostClock, failpoints }),
      transport: desk,
      transfers: {
        upload: (input, { onProgress }) => upload(input, { store, failpoints, onProgress }),
        fetch: (input, { onProgress }) => fetchFiles(input, { store, failpoints, onProgress }),
      },
      images: {
        list: async () => ["sha256:0"],
        ensure: async () => {},
        collect: async (needed) => void collected.push([...needed()].sort()),
      },
      freeDiskGib: async () => made.freeDiskGib,
      clock: systemClock,
      log: silentLog,
      failpoints,
      limits: { backoffBaseMs: 5, backoffMaxMs: 50, snapshotTries: 3 },
    });
    running = runAgent(agent, { clock: systemClock, log: silentLog }, stop.signal);
    return agent;
  };
  const made: Scene = {
    freeDiskGib: 40,
    collected,
    desk,
    host,
    store,
    failpoints,
    agent: start(),
    async restart() {
      stop.abort();
      await running;
      made.agent = start();
    },
    async until(what, holds) {
      const untilMs = performance.now() + 60_000;
      while (!holds()) {
        assert.ok(
          performance.now() < untilMs,
          `never came: ${what}; ${JSON.stringify([...desk.heard])}`,
        );
        await systemClock.sleep(5);
      }
    },
  };
  t.after(async () => {
    ended.abort();
    stop.abort();
    await running;
    rmSync(directory, { recursive: true, force: true });
  });
  return made;
}

function assignment(change: Partial<Assignment> = {}): Assignment {
  const boxId = change.boxId ?? `box_${ID}`;
  return {
    boxId,
    epoch: 1,
    generation: 1,
    desired: "running",
    bootSerial: 0,
    spec: { cpus: 1, memoryMib: 256, rootDiskGib: 4, homeDiskGib: 1 },
    imageDigest: "sha256:0",
    templateVersionId: `tv_${ID}`,
    source: { kind: "image", imageDigest: "sha256:0" },
    identity: {
      boxId,
      hostName: "main",
      machineId: "0".repeat(32),
      sshUserCa: "",
      sshPrincipals: [boxId],
      env: {},
    },
    restSnapshot: null,
    wantedSnapshots: [],
    ranHere: false,
    build: null,
    hooks: { onResume: null, onFork: null },
    ...change,
  };
}

function kept(snapshotId: string) {
  return { snapshotId, upload: true, fetch: false, manifestKey: null, scope: "org" };
}

const BOX = `box_${ID}`;
const PAUSE = `snap_${ID.replace(/.$/, "1")}`;

test("a box is started, paused, made durable, and resumed on another host", async (t) => {
  const { desk, host, store, until } = await scene(t);
  desk.want({ boxes: [assignment()] });
  await until("ready", () => desk.heard.get(BOX)?.state === "ready");
  await until("converged", () => desk.heard.get(BOX)?.observedGeneration === 1);
  assert.equal(desk.heard.get(BOX)?.started?.how, "booted");
  assert.ok((desk.heard.get(BOX)?.renewal?.renewed.length ?? 0) > 0);

  const restSnapshot = { snapshotId: PAUSE, kind: "pause", withMemory: true } as const;
  desk.want({
    boxes: [assignment({ desired: "paused", generation: 2, restSnapshot })],
    snapshots: [kept(PAUSE)],
  });
  await until("absent", () => desk.heard.get(BOX)?.state === "absent");
  await until("durable", () => Boolean(desk.snapshots.get(PAUSE)?.manifestKey));
  assert.equal(desk.heard.get(BOX)?.observedGeneration, 2);
  const { manifestKey = null } = desk.snapshots.get(PAUSE) ?? {};
  assert.ok(await store.head(manifestKey ?? ""));

  // Not kept here any more, and then needed again.
  desk.want({ boxes: [], snapshots: [] });
  await until("removed", () => host.inventory().snapshots.length === 0);
  const source = { kind: "snapshot", snapshotId: PAUSE, withMemory: true } as const;
  desk.want({
    boxes: [assignment({ epoch: 2, generation: 3, source })],
    snapshots: [{ ...kept(PAUSE), upload: false, fetch: true, manifestKey }],
  });
  await until("ready again", () => desk.heard.get(BOX)?.state === "ready");
  await until("told how", () => desk.heard.get(BOX)?.started?.how === "restored");
  assert.equal(desk.heard.get(BOX)?.epoch, 2);

  desk.want({
    boxes: [assignment({ epoch: 2, generation: 4, desired: "deleted" })],
    snapshots: [],
  });
  await until("deleted", () => desk.heard.get(BOX)?.observedGeneration === 4);
  desk.want({ boxes: [] });
  await until("nothing left", () => Object.values(host.inventory()).flat().length === 0);
  await until("forgotten", () => !desk.heard.has(BOX));
});

test("an agent that comes back adopts its boxes and acts on what changed meanwhile", async (t) => {
  const world = await scene(t);
  const { desk, host, until } = world;
  const other = `box_${ID.replace(/.$/, "2")}`;
  desk.want({ boxes: [assignment(), assignment({ boxId: other })] });
  await until(
    "both ready",
    () => [...desk.heard.values()].every((b) => b.state === "ready") && desk.heard.size === 2,
  );
  const pid = host.get(BOX)?.pid;
  const session = desk.reports.at(-1)?.session;
  await world.restart();
  await until("a new session", () => desk.reports.at(-1)?.session !== session);
  const first = desk.reports.find((report) => report.session !== session);
  assert.equal(first?.full, true);
  // Nothing looks undone only because the agent is new.
  assert.deepEqual(
    first?.boxes.map((b) => [b.state, b.observedGeneration]),
    [
      ["ready", 1],
      ["ready", 1],
    ],
  );
  await until("its renewal is known again", () => Boolean(desk.heard.get(BOX)?.renewal));
  assert.equal(host.get(BOX)?.pid, pid);
});

test("a VMM that dies is booted again, and what is not assigned is removed", async (t) => {
  const { desk, host, until } = await scene(t);
  desk.want({ boxes: [assignment()] });
  await until("ready", () => desk.heard.get(BOX)?.state === "ready");
  host.killVmm(BOX);
  await until("a notice", () =>
    Boolean(desk.heard.get(BOX)?.notices.some((n) => n.code === "vmm_died")),
  );
  await until("ready again", () => desk.heard.get(BOX)?.state === "ready");
  desk.want({ boxes: [] });
  await until("gone", () => host.inventory().boxes.length === 0);
});

test("faults are tried again with their count shown; a snapshot that cannot be taken is given up", async (t) => {
  const { desk, host, until } = await scene(t);
  host.faults.arm({ op: "start", times: 3 });
  const seen: number[] = [];
  desk.want({ boxes: [assignment()] });
  await until("ready", () => {
    const attempts = desk.heard.get(BOX)?.fault?.attempts;
    if (attempts) seen.push(attempts);
    return desk.heard.get(BOX)?.state === "ready";
  });
  assert.ok(seen.length > 0);
  await until("no fault", () => desk.heard.get(BOX)?.fault === null);

  host.faults.arm({ op: "snapshot", code: "disk_full", times: 100 });
  const restSnapshot = { snapshotId: PAUSE, kind: "pause", withMemory: true } as const;
  desk.want({
    boxes: [assignment({ desired: "paused", generation: 2, restSnapshot })],
    snapshots: [kept(PAUSE)],
  });
  await until("given up", () => desk.snapshots.get(PAUSE)?.failed === true);
  assert.match(desk.snapshots.get(PAUSE)?.error ?? "", /snapshot/);
  assert.equal(host.get(BOX)?.state, "ready");
  host.faults.clear();
  desk.want({ boxes: [assignment({ generation: 3 })], snapshots: [] });
  await until("as if nothing was", () => desk.heard.get(BOX)?.observedGeneration === 3);
  assert.equal(desk.snapshots.size, 0);
});

test("a lost report, or a control plane that forgot, is followed by a full one", async (t) => {
  const { desk, host, until } = await scene(t);
  desk.want({ boxes: [assignment()] });
  await until("ready", () => desk.heard.get(BOX)?.state === "ready");
  desk.heard.clear();
  desk.answers.push("resync");
  host.killVmm(BOX);
  await until("full after resync", () => desk.reports.at(-1)?.full === true);
  await until("known again", () => desk.heard.get(BOX)?.state === "ready");
  desk.answers.push(new Error("connection lost"));
  host.killVmm(BOX);
  await until("full after loss", () => desk.reports.filter((r) => r.full).length === 3);
});

test("what waits is not said to be done: for its source, or for the next try", async (t) => {
  const { desk, host, until } = await scene(t);
  const source = { kind: "snapshot", snapshotId: PAUSE, withMemory: true } as const;
  desk.want({ boxes: [assignment({ generation: 7, source })] });
  await until("it waits", () => desk.heard.get(BOX)?.activity === "fetching its snapshot");

  host.faults.arm({ op: "start", retryable: false, times: 1000 });
  const second = `box_${ID.replace(/.$/, "8")}`;
  desk.want({ boxes: [assignment({ boxId: second, generation: 9 })] });
  await until("it failed for good", () => desk.heard.get(second)?.fault?.retryable === false);
  const isSaid = () =>
    desk.reports.some(({ boxes }) => boxes.some((b) => b.observedGeneration >= 7));
  assert.equal(isSaid(), false);
  host.faults.clear();
  desk.want({ boxes: [assignment({ boxId: second, generation: 10 })] });
  await until("done", () => desk.heard.get(second)?.observedGeneration === 10);
});

test("images of boxes, snapshots, and the control plane's list are needed; nothing is known before it spoke", async (t) => {
  const { desk, agent, collected, until } = await scene(t);
  desk.want({ boxes: [assignment()] });
  await until("ready", () => desk.heard.get(BOX)?.state === "ready");
  await agent.sweep();
  assert.deepEqual(collected, [], "an older control plane does not say what it needs");
  const restSnapshot = { snapshotId: PAUSE, kind: "pause", withMemory: true } as const;
  const paused = assignment({ desired: "paused", generation: 2, restSnapshot });
  desk.want({ boxes: [paused], snapshots: [kept(PAUSE)] });
  await until("durable", () => Boolean(desk.snapshots.get(PAUSE)?.manifestKey));
  const other = assignment({ boxId: `box_${ID.replace(/.$/, "a")}`, imageDigest: "sha256:1" });
  desk.want({ boxes: [other], images: ["sha256:2"] });
  await until("placed", () => desk.heard.get(other.boxId)?.state === "ready");
  await agent.sweep();
  assert.deepEqual(collected.at(-1), ["sha256:0", "sha256:1", "sha256:2"]);
});

test("an epoch that was taken over is shut down and kept, and never started again", async (t) => {
  const { desk, host, until } = await scene(t);
  const second = `box_${ID.replace(/.$/, "9")}`;
  desk.want({ boxes: [assignment(), assignment({ boxId: second })] });
  await until(
    "both ready",
    () => host.get(BOX)?.state === "ready" && host.get(second)?.state === "ready",
  );
  // The VMM of one is gone while nobody could start it.
  host.faults.arm({ op: "start", times: 1000 });
  host.killVmm(second);
  const other = PAUSE.replace(/.$/, "2");
  const stray = (boxId: string, snapshotId: string) =>
    assignment({
      ...{ boxId, desired: "stopped", generation: 2, ranHere: true },
      restSnapshot: { snapshotId, kind: "stop", withMemory: false },
    });
  desk.want({
    boxes: [stray(BOX, PAUSE), stray(second, other)],
    snapshots: [kept(PAUSE), kept(other)],
  });
  for (const id of [PAUSE, other])
    await until("kept", () => Boolean(desk.snapshots.get(id)?.manifestKey));
  assert.equal(host.inventory().boxes.length, 0);
});

test("reports tell what the disk has left, as it changes", async (t) => {
  const world = await scene(t);
  const { desk, until } = world;
  const told = () => desk.reports.map(({ fingerprint }) => fingerprint?.freeDiskGib);
  await until("the first", () => told().includes(40));
  world.freeDiskGib = 3;
  await until("the next", () => told().includes(3));
});

test("a build runs once, and starts over when it was interrupted", async (t) => {
  const world = await scene(t);
  const { desk, host, until } = world;
  const steps = ["one", "two"].map((name) => ({
    ...{ name, user: "root", argv: ["sh", "-c", name], timeoutMs: 1000 },
  })) as { name: string; user: "root"; argv: string[]; timeoutMs: number }[];
  desk.want({ boxes: [assignment({ build: { steps } })] });
  await until("done", () => desk.heard.get(BOX)?.build?.done === true);
  assert.match(desk.heard.get(BOX)?.build?.log ?? "", /==> one\n==> two/);
  const pid = host.get(BOX)?.pid;
  await world.restart();
  await until("still done", () => desk.heard.get(BOX)?.build?.done === true);
  assert.equal(host.get(BOX)?.pid, pid);

  const second = `box_${ID.replace(/.$/, "3")}`;
  const fails = [{ ...steps[0]!, argv: ["sh", "-c", "exit 3"] }];
  desk.want({ boxes: [assignment(), assignment({ boxId: second, build: { steps: fails } })] });
  await until("failed", () => /exit code 3/.test(desk.heard.get(second)?.build?.error ?? ""));

  const third = `box_${ID.replace(/.$/, "4")}`;
  const box = host.get(BOX)!;
  host.put({
    ...box,
    run: { ...box.run, boxId: third as never },
    disk: { ...box.disk, "/var/lib/berth-build": "begun" },
  });
  const before = host.get(third)?.sshHostKey;
  await world.restart();
  desk.want({ boxes: [assignment(), assignment({ boxId: third, build: { steps } })] });
  await until("built anew", () => desk.heard.get(third)?.build?.done === true);
  assert.notEqual(host.get(third)?.sshHostKey, before);
});

test("a bad copy of a snapshot is fetched again; without another copy the memory is unusable", async (t) => {
  const { desk, host, until, store } = await scene(t);
  desk.want({ boxes: [assignment()] });
  await until("ready", () => desk.heard.get(BOX)?.state === "ready");
  const restSnapshot = { snapshotId: PAUSE, kind: "pause", withMemory: true } as const;
  const paused = assignment({ desired: "paused", generation: 2, restSnapshot });
  desk.want({ boxes: [paused], snapshots: [kept(PAUSE)] });
  await until("durable", () => Boolean(desk.snapshots.get(PAUSE)?.manifestKey));
  const { manifestKey = null } = desk.snapshots.get(PAUSE) ?? {};
  const { writeFileSync } = await import("node:fs");
  const path = join(host.snapshotDirectory(PAUSE), "memory.json");
  writeFileSync(path, '{"x":1}');
  const source = { kind: "snapshot", snapshotId: PAUSE, withMemory: true } as const;
  desk.want({
    boxes: [assignment({ epoch: 2, generation: 3, source })],
    snapshots: [{ ...kept(PAUSE), upload: false, manifestKey }],
  });
  await until("resumed", () => desk.heard.get(BOX)?.state === "ready");
  assert.equal(desk.heard.get(BOX)?.epoch, 2);

  writeFileSync(path, '{"x":2}');
  store.objects.clear();
  const fork = `box_${ID.replace(/.$/, "5")}`;
  desk.want({
    boxes: [assignment({ epoch: 2, generation: 3, source }), assignment({ boxId: fork, source })],
    snapshots: [{ ...kept(PAUSE), upload: false }],
  });
  await until("the bad copy is gone", () => !host.hasSnapshot(PAUSE));
  await until("said", () => desk.heard.get(fork)?.fault?.retryable === false);
  assert.match(desk.heard.get(fork)?.fault?.message ?? "", /manifest/);
});

test("hooks run after a resume, and one that fails is a notice and no more", async (t) => {
  const { desk, until } = await scene(t);
  desk.want({ boxes: [assignment()] });
  await until("ready", () => desk.heard.get(BOX)?.state === "ready");
  const restSnapshot = { snapshotId: PAUSE, kind: "pause", withMemory: true } as const;
  const paused = assignment({ desired: "paused", generation: 2, restSnapshot });
  desk.want({ boxes: [paused], snapshots: [kept(PAUSE)] });
  await until("paused", () => desk.snapshots.has(PAUSE) && desk.heard.get(BOX)?.state === "absent");
  const source = { kind: "snapshot", snapshotId: PAUSE, withMemory: true } as const;
  const hooks = { onResume: "exit 9", onFork: "exit 8" };
  const fork = `box_${ID.replace(/.$/, "6")}`;
  desk.want({
    boxes: [
      assignment({ epoch: 2, generation: 3, source, hooks }),
      assignment({ boxId: fork, source, hooks }),
    ],
  });
  const noticeOf = (boxId: string) =>
    desk.heard.get(boxId)?.notices.find(({ code }) => code === "hook_failed")?.message ?? "";
  await until("resumed", () => noticeOf(BOX).includes("exit code 9"));
  await until("forked", () => noticeOf(fork).includes("exit code 8"));
  assert.equal(desk.heard.get(BOX)?.state, "ready");
  assert.equal(desk.heard.get(BOX)?.fault, null);
});

test("a box that is deleted while it is built goes before the step ends", async (t) => {
  const { desk, host, failpoints, until } = await scene(t);
  const slowDown = () => host.faults.set({ latencyMs: { exec: 3_600_000 } });
  failpoints.arm("agent.build.marked", { kind: "run", run: slowDown });
  const steps = [{ name: "long", user: "root" as const, argv: ["true"], timeoutMs: 7_200_000 }];
  desk.want({ boxes: [assignment({ build: { steps } })] });
  await until("it is built", () => desk.heard.get(BOX)?.build?.step === "long");
  desk.want({ boxes: [assignment({ generation: 2, desired: "deleted" })] });
  await until("it is gone", () => host.get(BOX) === null);
  assert.equal(failpoints.hits("agent.build.step"), 0);
});

test("a step that takes too long fails the build; one that breaks off again and again does too", async (t) => {
  const { desk, host, failpoints, until } = await scene(t);
  const slowDown = () => host.faults.set({ latencyMs: { exec: 10 } });
  failpoints.arm("agent.build.marked", { kind: "run", run: slowDown });
  const step = { name: "long", user: "root" as const, argv: ["true"], timeoutMs: 1 };
  desk.want({ boxes: [assignment({ build: { steps: [step] } })] });
  await until("it failed", () =>
    /'long'.* over 1 ms/.test(desk.heard.get(BOX)?.build?.error ?? ""),
  );

  host.faults.clear();
  const second = `box_${ID.replace(/.$/, "7")}`;
  const breakOff = () => host.killVmm(second);
  failpoints.arm("agent.build.marked", { kind: "run", run: breakOff }, 100);
  desk.want({ boxes: [assignment({ boxId: second, build: { steps: [step] } })] });
  await until("it is given up", () => /broke off/.test(desk.heard.get(second)?.build?.error ?? ""));
});

test("a box of which its host lost everything begins again, and says so", async (t) => {
  const { desk, host, until } = await scene(t);
  desk.want({ boxes: [assignment()] });
  await until("ready", () => desk.heard.get(BOX)?.state === "ready");
  assert.deepEqual(desk.heard.get(BOX)?.notices, []);
  desk.want({ boxes: [assignment({ ranHere: true })] });
  host.remove(BOX);
  const isTold = () => desk.heard.get(BOX)?.notices.some(({ code }) => code === "state_lost");
  await until("it is told", () => isTold() === true && desk.heard.get(BOX)?.state === "ready");
});

test("what listens in a ready box is reported, at each change, and not at rest", async (t) => {
  const { desk, host, until } = await scene(t);
  desk.want({ boxes: [assignment()] });
  const ports = () => desk.heard.get(BOX)?.ports;
  await until("an empty list", () => ports()?.length === 0);
  const vite = { port: 5173, isLoopback: true, program: "node" };
  const ssh = { port: 22, isLoopback: false, program: "sshd" };
  host.setPorts(BOX, [vite, ssh]);
  await until("both ports", () => ports()?.length === 2);
  assert.deepEqual(ports(), [ssh, vite]);
  const restSnapshot = { snapshotId: PAUSE, kind: "pause", withMemory: true } as const;
  desk.want({ boxes: [assignment({ desired: "paused", generation: 2, restSnapshot })] });
  await until("at rest", () => desk.heard.get(BOX)?.state === "absent");
  assert.equal(ports(), null);
});

test("SSH keys are given to the guest, and again when they change or it booted again", async (t) => {
  const { desk, host, until } = await scene(t);
  const keys = () => host.get(BOX)?.authorizedKeys.join();
  desk.want({ boxes: [assignment({ sshAuthorizedKeys: ["ssh-ed25519 AAAA one"] })] });
  await until("the first key", () => keys() === "ssh-ed25519 AAAA one");
  desk.want({ boxes: [assignment({ sshAuthorizedKeys: [] })] });
  await until("no key", () => keys() === "");
  desk.want({ boxes: [assignment({ sshAuthorizedKeys: ["ssh-ed25519 AAAA two"] })] });
  await until("the second key", () => keys() === "ssh-ed25519 AAAA two");
  host.killVmm(BOX);
  await until("the key in the box that booted again", () => {
    return host.get(BOX)?.state === "ready" && keys() === "ssh-ed25519 AAAA two";
  });
});

test("a box that runs for long gets another certificate of its host key", async (t) => {
  const { desk, host, until, restart } = await scene(t);
  desk.want({ boxes: [assignment()] });
  const isCertified = () =>
    /^certificate of /.test(host.get(BOX)?.certificate?.text ?? "") &&
    host.get(BOX)?.state === "ready";
  await until("ready", isCertified);
  const box = host.get(BOX);
  assert.ok(box);
  const certify = (days: number) =>
    host.put({ ...box, certificate: { text: "first", atMs: Date.now() - days * 86_400_000 } });
  certify(29);
  await restart();
  host.setPorts(BOX, [{ port: 22, isLoopback: false, program: "sshd" }]);
  await until("looked after", () => desk.heard.get(BOX)?.ports?.length === 1);
  assert.equal(host.get(BOX)?.certificate?.text, "first", "it is not old");
  certify(31);
  await restart();
  await until("another one", isCertified);
});
