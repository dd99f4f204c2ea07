// The driver of a FakeHost: the same promises as a real one, kept by a few lines of bookkeeping, with
// faults and latencies on demand. What it does to memory, disks and identity is visible to exec.

import { randomUUID } from "node:crypto";
import { Duplex } from "node:stream";
import type { BoxRun, HostState, ListeningPort, Notice, SnapshotKind } from "#domain/box.ts";
import { releasesCompute } from "#domain/box.ts";
import type { BoxId, SnapshotId } from "#domain/ids.ts";
import {
  type Driver,
  DriverError,
  type Egress,
  type ExecRequest,
  type ExecResult,
  type Fingerprint,
  type HostBox,
  type LocalSnapshot,
  type StartOptions,
  type StartResult,
} from "#drivers/driver.ts";
import { type FakeExecOptions, fakeExecStream } from "#drivers/fake/exec-stream.ts";
import type { FakeOp } from "#drivers/fake/faults.ts";
import { identityFiles, runInGuest } from "#drivers/fake/guest.ts";
import { type FakeBox, type FakeHost, NO_GUEST } from "#drivers/fake/host.ts";
import { FakeSessions, type RunOnce, SESSIONS_PATH } from "#drivers/fake/sessions.ts";
import {
  commitStaged,
  metaOf,
  readFrozen,
  readSnapshot,
  readSnapshots,
  removeSnapshot,
  type SnapshotMeta,
  sweepSnapshots,
  writeStaged,
} from "#drivers/fake/snapshots.ts";
import type { Clock } from "#lib/clock.ts";
import { FailpointError, type Failpoints } from "#lib/failpoint.ts";
import { makeHostKey } from "#lib/ssh-keys.ts";
import type { SessionMode } from "#wire/exec-frames.ts";

export interface FakeDriverOptions {
  readonly clock: Clock;
  readonly failpoints: Pick<Failpoints, "hit">;
}

const COMPATIBILITY = "fake-1";
const EXEC_PORT = 1;

export function createFakeDriver(host: FakeHost, options: FakeDriverOptions): Driver {
  return new FakeDriver(host, options);
}

class FakeDriver implements Driver {
  readonly #host: FakeHost;
  readonly #clock: Clock;
  readonly #failpoints: Pick<Failpoints, "hit">;
  /** Boxes that a call of this object is changing: two at once would be the agent's mistake. */
  readonly #busy = new Set<string>();
  readonly #staging = new Set<string>();

  constructor(host: FakeHost, options: FakeDriverOptions) {
    this.#host = host;
    this.#clock = options.clock;
    this.#failpoints = options.failpoints;
  }

  async fingerprint(): Promise<Fingerprint> {
    const { cpus = 64, memoryMib = 262_144, diskGib = 4096 } = this.#host.options;
    return {
      driver: "fake",
      accelerator: "none",
      acceleratorReason: "the fake driver runs no guests",
      cpus,
      memoryMib,
      diskGib,
      gpus: 0,
      compatibility: COMPATIBILITY,
    };
  }

  async list(): Promise<HostBox[]> {
    return this.#host.boxes().map((box) => this.#look(box));
  }

  async inspect(boxId: BoxId): Promise<HostBox | null> {
    const box = this.#host.get(boxId);
    return box ? this.#look(box) : null;
  }

  start(run: BoxRun, options: StartOptions): Promise<StartResult> {
    return this.#change("start", run.boxId, async () => {
      const startedMs = this.#clock.monotonicMs();
      const found = this.#host.get(run.boxId);
      if (found && found.run.epoch > run.epoch)
        throw new DriverError("epoch_stale", `the host has epoch ${found.run.epoch}`, false);
      let how: StartResult["how"] = "adopted";
      let box = found;
      // Nothing of the tenant's ran yet in this epoch: its source is still the truth.
      const isUnused = !box || box.state === "preparing" || (box.state === "down" && !box.wasReady);
      if (!box || isUnused) {
        box = await this.#prepare(run);
        how = run.source.kind === "snapshot" && run.source.withMemory ? "restored" : "booted";
        box = await this.#launch(box);
      } else if (box.state === "down") {
        how = "booted";
        box = await this.#launch({ ...withDeathNotice(box, run, this.#clock.nowMs()), memory: {} });
      } else if (box.state === "frozen") box = this.#host.put({ ...box, state: "up" });
      if (box.state === "ready" && box.run.epoch === run.epoch && box.renewal)
        return { how, renewal: box.renewal, phases: {} };
      box = await this.#renew(box, run, options);
      const phases = { total: this.#clock.monotonicMs() - startedMs };
      return { how, renewal: box.renewal!, phases };
    });
  }

  snapshot(
    boxId: BoxId,
    epoch: number,
    request: { snapshotId: SnapshotId; kind: SnapshotKind; withMemory: boolean },
  ): Promise<LocalSnapshot> {
    return this.#change("snapshot", boxId, async () => {
      const committed = readSnapshot(this.#host, request.snapshotId);
      const found = this.#host.get(boxId);
      if (committed) {
        if (found?.run.epoch === epoch) this.#letGo(boxId, request);
        return committed;
      }
      const box = this.#expect(boxId, epoch);
      if (request.withMemory && box.state === "down")
        throw new DriverError("box_wrong_state", "a box that does not run has no memory", false);
      const isRunning = box.state !== "down";
      const frozen = isRunning ? this.#host.put({ ...box, state: "frozen" }) : box;
      this.#staging.add(request.snapshotId);
      try {
        await this.#failpoints.hit("driver.snapshot.frozen");
        this.#host.faults.throwFor("snapshot", boxId);
        const meta = metaOf(frozen, request, COMPATIBILITY, this.#clock.nowMs());
        await writeStaged(this.#host, meta, this.#withSessions(frozen));
        await this.#failpoints.hit("driver.snapshot.written");
        if (this.#host.get(boxId)?.pid !== frozen.pid)
          throw new DriverError("vmm_failed", "the VMM died while it was frozen", true);
        const snapshot = await commitStaged(this.#host, meta);
        await this.#failpoints.hit("driver.snapshot.committed");
        this.#letGo(boxId, request);
        await this.#failpoints.hit("driver.snapshot.released");
        return snapshot;
      } catch (error) {
        // A failpoint stands for a crash, which cleans nothing up.
        if (!(error instanceof FailpointError)) {
          removeSnapshot(this.#host, request.snapshotId);
          this.#unfreeze(boxId);
        }
        throw error;
      } finally {
        this.#staging.delete(request.snapshotId);
      }
    });
  }

  thaw(boxId: BoxId, epoch: number): Promise<void> {
    return this.#change("thaw", boxId, async () => {
      const box = this.#expect(boxId, epoch);
      if (box.state === "frozen") this.#host.put({ ...box, state: box.wasReady ? "ready" : "up" });
    });
  }

  shutdown(boxId: BoxId, epoch: number, _timeoutMs: number): Promise<void> {
    return this.#change("shutdown", boxId, async () => {
      if (this.#expect(boxId, epoch).state === "down") return;
      await this.#failpoints.hit("driver.shutdown.asked");
      const box = this.#expect(boxId, epoch);
      const gone = { state: "down", pid: null, memory: {} } as const;
      this.#host.put({ ...box, ...gone, ...NO_GUEST, wasShutDown: true });
      await this.#failpoints.hit("driver.shutdown.done");
    });
  }

  destroy(boxId: BoxId): Promise<void> {
    return this.#change("destroy", boxId, async () => {
      this.#host.killVmm(boxId);
      await this.#failpoints.hit("driver.destroy.killed");
      this.#host.remove(boxId);
      await this.#failpoints.hit("driver.destroy.removed");
    });
  }

  async listSnapshots(): Promise<LocalSnapshot[]> {
    return readSnapshots(this.#host);
  }

  async stageSnapshot(snapshotId: SnapshotId): Promise<string> {
    this.#host.faults.throwFor("fetch", snapshotId);
    this.#staging.add(snapshotId);
    return this.#host.stagingDirectory(snapshotId);
  }

  async commitSnapshot(snapshot: SnapshotMeta): Promise<LocalSnapshot> {
    try {
      return await commitStaged(this.#host, snapshot);
    } finally {
      this.#staging.delete(snapshot.snapshotId);
    }
  }

  async removeSnapshot(snapshotId: SnapshotId): Promise<void> {
    removeSnapshot(this.#host, snapshotId);
    this.#staging.delete(snapshotId);
  }

  async exec(boxId: BoxId, request: ExecRequest): Promise<ExecResult> {
    const { timeoutMs = Number.POSITIVE_INFINITY } = request;
    if (await this.#delay("exec", timeoutMs))
      throw Object.assign(new Error(`program ran over ${timeoutMs} ms`), { code: "timeout" });
    const box = this.#host.get(boxId);
    if (box?.state !== "ready")
      throw new DriverError("guest_unreachable", `${boxId} is not ready`, true);
    this.#host.faults.throwFor("exec", boxId);
    const { box: changed, result } = runInGuest(box, request);
    if (changed !== box) this.#host.put(changed);
    return result;
  }

  /** Port 1 is the exec server; every other port of a fake guest sends back what it gets. */
  async connect(boxId: BoxId, epoch: number, port: number): Promise<Duplex> {
    this.#expectReady(boxId, epoch);
    if (port === EXEC_PORT) return this.#execStream(boxId);
    const host = this.#host;
    return new Duplex({
      read: () => {},
      write(chunk: Buffer, _encoding, done) {
        host.sendOut(boxId, chunk.length);
        this.push(chunk);
        done();
      },
      final(done) {
        this.push(null);
        done();
      },
    });
  }

  async openSession(
    boxId: BoxId,
    epoch: number,
    session: string,
    mode: SessionMode,
  ): Promise<Duplex> {
    this.#expectReady(boxId, epoch);
    return this.#execStream(boxId, { session, mode });
  }

  async egress(boxId: BoxId, epoch: number): Promise<Egress | null> {
    const box = this.#host.get(boxId);
    return (box?.run.epoch === epoch && box.egress) || null;
  }

  async listeningPorts(boxId: BoxId, epoch: number): Promise<ListeningPort[]> {
    return this.#expectReady(boxId, epoch).ports ?? [];
  }

  async authorizeKeys(boxId: BoxId, epoch: number, keys: readonly string[]): Promise<void> {
    this.#host.put({ ...this.#expectReady(boxId, epoch), authorizedKeys: [...keys] });
  }

  async certifyHostKey(
    boxId: BoxId,
    epoch: number,
    { signHostKey, olderThanMs }: Parameters<Driver["certifyHostKey"]>[2],
  ): Promise<void> {
    const { certificate, sshHostKey } = this.#expectReady(boxId, epoch);
    if (this.#clock.nowMs() - (certificate?.atMs ?? 0) < olderThanMs) return;
    const text = await signHostKey(sshHostKey);
    const box = this.#expectReady(boxId, epoch);
    this.#host.put({ ...box, certificate: { text, atMs: this.#clock.nowMs() } });
  }

  async console(boxId: BoxId, maxBytes: number): Promise<string> {
    return (this.#host.get(boxId)?.console ?? "").slice(-maxBytes);
  }

  async sweep(): Promise<void> {
    for (const { state, run } of this.#host.boxes())
      if (state === "preparing" && !this.#busy.has(run.boxId)) this.#host.remove(run.boxId);
    sweepSnapshots(this.#host, (snapshotId) => this.#staging.has(snapshotId));
  }

  async close(): Promise<void> {}

  #look(box: FakeBox): HostBox {
    const { boxId } = box.run;
    if (this.#host.faults.take("vmm", boxId)) this.#host.killVmm(boxId);
    if (this.#host.faults.take("guest", boxId)) this.#host.powerOff(boxId, this.#clock.nowMs());
    const current = this.#host.get(boxId) ?? box;
    const state: HostState = current.state === "preparing" ? "absent" : current.state;
    const { run, pid, notices } = current;
    return { boxId, epoch: run.epoch, bootSerial: run.bootSerial, state, pid, notices };
  }

  #expect(boxId: BoxId, epoch: number): FakeBox {
    const box = this.#host.get(boxId);
    if (!box || box.state === "preparing")
      throw new DriverError("box_missing", `${boxId} is not on this host`, false);
    if (box.run.epoch !== epoch)
      throw new DriverError("epoch_stale", `the host has epoch ${box.run.epoch}`, false);
    return box;
  }

  #expectReady(boxId: BoxId, epoch: number): FakeBox {
    const box = this.#expect(boxId, epoch);
    if (box.state === "ready") return box;
    throw new DriverError("guest_unreachable", `${boxId} is not ready`, true);
  }

  #execStream(boxId: BoxId, only?: FakeExecOptions["only"]): Duplex {
    const run: FakeExecOptions["run"] = (request) => this.exec(boxId, request);
    return fakeExecStream({ run, sessions: this.#sessionsOf(boxId), only });
  }

  #sessionsOf(boxId: BoxId): FakeSessions {
    const found = this.#host.sessions.get(boxId);
    if (found) return found;
    const sessions = new FakeSessions(this.#clock);
    this.#host.sessions.set(boxId, sessions);
    const box = this.#host.get(boxId);
    const { [SESSIONS_PATH]: frozen, ...memory } = box?.memory ?? {};
    const runOnce: RunOnce = async ({ argv, user }) => {
      const { stdout, stderr, exitCode } = await this.exec(boxId, { argv, user });
      return { output: stdout + stderr, exitCode };
    };
    if (box && frozen) {
      this.#host.put({ ...box, memory });
      sessions.thaw(frozen, runOnce);
    }
    return sessions;
  }

  #withSessions(box: FakeBox): FakeBox {
    const frozen = this.#host.sessions.get(box.run.boxId)?.freeze();
    return frozen ? { ...box, memory: { ...box.memory, [SESSIONS_PATH]: frozen } } : box;
  }

  async #change<T>(op: FakeOp, boxId: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(boxId)) throw new Error(`${op} of ${boxId} while another call changes it`);
    this.#busy.add(boxId);
    try {
      await this.#delay(op);
      if (op !== "snapshot") this.#host.faults.throwFor(op, boxId);
      return await work();
    } finally {
      this.#busy.delete(boxId);
    }
  }

  /** True when it would have taken longer than `maxMs`. */
  async #delay(op: FakeOp, maxMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    const ms = this.#host.faults.latencyMsOf(op);
    if (ms > 0) await this.#clock.sleep(Math.min(ms, maxMs));
    return ms > maxMs;
  }

  async #prepare(run: BoxRun): Promise<FakeBox> {
    const { source } = run;
    const fresh = { memory: {}, disk: {}, sshHostKey: makeHostKey().publicKeyLine };
    const thawed =
      source.kind === "image"
        ? fresh
        : await readFrozen(this.#host, source.snapshotId, source.withMemory, COMPATIBILITY);
    const origin = source.kind === "snapshot" ? readSnapshot(this.#host, source.snapshotId) : null;
    // A fork gets a host key of its own; the same box keeps the one it has.
    const isSameBox = origin?.boxId === run.boxId;
    const box = this.#host.put({
      ...thawed,
      run,
      state: "preparing",
      pid: null,
      wasReady: false,
      wasShutDown: false,
      notices: [],
      sshHostKey: isSameBox ? thawed.sshHostKey : fresh.sshHostKey,
      renewal: null,
      parentId: origin?.snapshotId ?? null,
      console: "",
      ...NO_GUEST,
    });
    await this.#failpoints.hit("driver.start.preparing");
    const prepared = this.#host.put({ ...box, state: "down" });
    await this.#failpoints.hit("driver.start.prepared");
    return prepared;
  }

  async #launch(box: FakeBox): Promise<FakeBox> {
    const launched = this.#host.put({
      ...box,
      state: "up",
      pid: this.#host.newPid(),
      renewal: null,
      wasShutDown: false,
      egress: { counter: randomUUID(), bytes: 0 },
      console: `${box.console}fake guest of ${box.run.boxId}, epoch ${box.run.epoch}\n`,
    });
    await this.#failpoints.hit("driver.start.launched");
    return launched;
  }

  async #renew(box: FakeBox, run: BoxRun, options: StartOptions): Promise<FakeBox> {
    this.#host.faults.throwFor("renew", run.boxId);
    const text = await options.signHostKey(box.sshHostKey);
    const always = ["entropy", "clock", "exec-token", "ssh-host-certificate"];
    const isNew = box.disk["/etc/machine-id"] !== `${run.identity.machineId}\n`;
    const renewed = isNew ? [...always, "hostname", "machine-id", "ssh-host-key"] : always;
    this.#host.put({ ...this.#stillAlive(box), run, renewal: null });
    await this.#failpoints.hit("driver.start.renewed");
    const named = this.#stillAlive(box);
    // Connections are of one epoch; the sessions behind them live on.
    const isSameEpoch = box.run.epoch === run.epoch;
    if (!isSameEpoch) this.#host.sessions.get(run.boxId)?.detachAll();
    const ready = this.#host.put({
      ...named,
      authorizedKeys: options.sshAuthorizedKeys ?? (isSameEpoch ? named.authorizedKeys : []),
      certificate: { text, atMs: this.#clock.nowMs() },
      state: "ready",
      wasReady: true,
      disk: { ...named.disk, ...identityFiles(named) },
      renewal: { renewed, sshHostKey: named.sshHostKey, at: this.#clock.nowMs() },
    });
    this.#sessionsOf(run.boxId); // Those that it was restored with go on.
    return this.#host.get(run.boxId) ?? ready;
  }

  #stillAlive(before: FakeBox): FakeBox {
    const box = this.#host.get(before.run.boxId);
    if (box && box.pid === before.pid) return box;
    throw new DriverError("vmm_failed", "the VMM died before the guest answered", true);
  }

  #unfreeze(boxId: string): void {
    const box = this.#host.get(boxId);
    if (box?.state === "frozen") this.#host.put({ ...box, state: box.renewal ? "ready" : "up" });
  }

  /** After a commit: the box ends, or goes on from what was frozen. */
  #letGo(boxId: string, request: { snapshotId: SnapshotId; kind: SnapshotKind }): void {
    const box = this.#host.get(boxId);
    if (!box) return;
    if (releasesCompute(request.kind)) {
      this.#host.remove(boxId);
      return;
    }
    if (box.state === "frozen") this.#host.put({ ...box, parentId: request.snapshotId });
    this.#unfreeze(boxId);
  }
}

function withDeathNotice(box: FakeBox, run: BoxRun, nowMs: number): FakeBox {
  if (box.wasShutDown || run.bootSerial > box.run.bootSerial) return box;
  const notice: Notice = {
    code: "vmm_died",
    message: "the VMM died; the box booted again from its disks",
    atMs: nowMs,
  };
  return { ...box, notices: [...box.notices, notice] };
}
