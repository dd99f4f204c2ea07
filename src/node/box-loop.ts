// One step for one box: look at the host, decide, act, remember how it went. Called again and again, by
// the agent's loops and by the simulation; never twice at once for the same box.

import type { Assignment, SnapshotReport } from "#contract/node-protocol.ts";
import type { BoxRun, BoxSource, Notice } from "#domain/box.ts";
import { releasesCompute } from "#domain/box.ts";
import {
  type Action,
  decide,
  type Have,
  type Limits,
  type Want,
  type WantedSnapshot,
} from "#domain/decide.ts";
import type { BoxId, SnapshotId } from "#domain/ids.ts";
import { type Driver, DriverError } from "#drivers/driver.ts";
import type { Clock } from "#lib/clock.ts";
import type { Failpoints } from "#lib/failpoint.ts";
import type { Log } from "#lib/log.ts";
import { activityOf, type BoxState } from "#node/box-state.ts";
import { failedBuild, readBuild, runBuild } from "#node/build.ts";
import { countEgress } from "#node/egress.ts";
import { runHook } from "#node/hooks.ts";
import { abortable, type Turnstile } from "#node/limits.ts";
import type { SnapshotKeeper } from "#node/snapshot-keeper.ts";

export interface Images {
  /** Digests of the base images on this host. */
  list(): Promise<string[]>;
  /** Builds the image when it is not here. */
  ensure(digest: string, onProgress: (message: string) => void): Promise<void>;
  /** Removes those that nobody has needed for long; `needed` is asked again in the moment of a removal. */
  collect(needed: () => ReadonlySet<string>): Promise<void>;
}

export interface LoopPorts {
  readonly driver: Driver;
  readonly keeper: SnapshotKeeper;
  readonly images: Images;
  readonly clock: Clock;
  readonly log: Log;
  readonly failpoints: Pick<Failpoints, "hit">;
  readonly limits: Limits;
  readonly signHostKey: (boxId: string, epoch: number, publicKey: string) => Promise<string>;
  readonly onChange: () => void;
  /** Work that goes on beside the box's steps (hooks). */
  readonly inBackground: (work: Promise<void>) => void;
  /** Starts at once: many boxes that boot together would all be late. */
  readonly starts: Turnstile;
  readonly closing: AbortSignal;
}

const SHUTDOWN_MS = 90_000;
const BUILD_TRIES = 3;
const ENDS_NETWORK: readonly Action["do"][] = ["snapshot", "shutdown", "destroy"];

/** `again`: look again at once; otherwise at that time, or when something changes (null). */
export type StepResult = "again" | { readonly untilMs: number | null };

/** Looks and decides, without acting: what the box is at, after a restart of the agent. */
export async function survey(state: BoxState, ports: LoopPorts): Promise<Action> {
  const { assignment } = state;
  state.host = await ports.driver.inspect(state.boxId);
  const have = await look(state, ports);
  const want = assignment && wantOf(assignment, state, ports.keeper);
  const action = decide(want, have, state.attempt, ports.clock.nowMs(), ports.limits);
  if (action.do === "none" && assignment) {
    state.observedGeneration = assignment.generation;
    state.attempt = null;
  }
  ports.onChange();
  return action;
}

export async function step(state: BoxState, ports: LoopPorts): Promise<StepResult> {
  const { assignment } = state;
  const action = await survey(state, ports);
  if (action.do === "none") {
    // After a restart of the agent only the driver knows how the box came up.
    if (!assignment || state.host?.state !== "ready" || state.renewal || state.isAdopted)
      return { untilMs: null };
    state.isAdopted = true;
    return attempt(state, { do: "start", why: "adopted" }, ports);
  }
  if (action.do === "wait") {
    if (assignment && !sourceIsHere(assignment, ports.keeper)) waitForSource(state, ports);
    return { untilMs: action.untilMs };
  }
  return attempt(state, action, ports);
}

async function attempt(state: BoxState, action: Action, ports: LoopPorts): Promise<StepResult> {
  const { assignment } = state;
  const { failpoints, log, clock, closing } = ports;
  log.info({ boxId: state.boxId, epoch: assignment?.epoch, action }, action.do);
  state.activity = activityOf(action);
  state.abort = new AbortController();
  ports.onChange();
  try {
    await failpoints.hit(`agent.${action.do}.begun`);
    const signal = AbortSignal.any([closing, state.abort.signal]);
    if (ENDS_NETWORK.includes(action.do)) await countEgress(state, ports, true);
    await act(state, action, ports, signal);
    await failpoints.hit(`agent.${action.do}.done`);
    if (assignment === state.assignment) state.attempt = null;
  } catch (error) {
    // An aborted call failed because the intent changed: that is nobody's fault.
    if (!state.abort.signal.aborted) remember(state, action, error as Error, clock.nowMs(), ports);
    if (closing.aborted) return { untilMs: null };
  } finally {
    state.abort = null;
    state.activity = null;
    state.host = await ports.driver.inspect(state.boxId).catch(() => state.host);
    ports.onChange();
  }
  return "again";
}

async function act(
  state: BoxState,
  action: Action,
  ports: LoopPorts,
  signal: AbortSignal,
): Promise<void> {
  const { driver, keeper, failpoints } = ports;
  const { boxId } = state;
  const epoch = state.host?.epoch ?? 0;
  switch (action.do) {
    case "start":
      return start(state, state.assignment!, ports, signal);
    case "shutdown":
      return driver.shutdown(boxId, epoch, SHUTDOWN_MS);
    case "snapshot": {
      const { snapshotId, kind, withMemory } = action.snapshot;
      const request = { snapshotId: snapshotId as SnapshotId, kind, withMemory };
      await driver.snapshot(boxId, epoch, request).finally(() => keeper.refresh());
      return;
    }
    case "give-up": {
      const report = givenUpReport(state, action.snapshot, ports.clock.nowMs());
      state.givenUp.set(action.snapshot.snapshotId, report);
      return;
    }
    case "thaw":
      return driver.thaw(boxId, epoch);
    case "destroy":
      await driver.destroy(boxId);
      state.build = null;
      return;
    case "build": {
      const onProgress = (build: BoxState["build"]) => {
        state.build = build;
        state.activity = build?.step ? `building: ${build.step}` : "building";
        ports.onChange();
      };
      const built = { driver, failpoints, onProgress };
      try {
        state.build = await runBuild(state.assignment!, built, signal);
      } catch (error) {
        state.build = null;
        if (signal.aborted) throw error;
        // Its steps are in an unknown place: the guest's mark says "begun", and the build starts over.
        state.brokenBuilds += 1;
        if (state.brokenBuilds < BUILD_TRIES) throw error;
        state.build = failedBuild(`it broke off ${BUILD_TRIES} times: ${(error as Error).message}`);
      }
      return;
    }
    case "none":
    case "wait":
      return;
  }
}

async function start(
  state: BoxState,
  assignment: Assignment,
  ports: LoopPorts,
  signal: AbortSignal,
): Promise<void> {
  const { driver, images, keeper } = ports;
  const { boxId, epoch } = assignment;
  const ensured = images.ensure(assignment.imageDigest, (message) => {
    state.activity = message;
    ports.onChange();
  });
  await abortable(ensured, signal);
  const leave = await ports.starts.enter(signal);
  const isLost =
    assignment.ranHere && !assignment.build && (await driver.inspect(boxId as BoxId)) === null;
  const source = assignment.source as BoxSource;
  const release = source.kind === "snapshot" ? keeper.hold(source.snapshotId) : () => {};
  try {
    const origin = source.kind === "snapshot" ? keeper.find(source.snapshotId) : null;
    const { how, renewal, phases } = await driver.start(runOf(assignment), {
      signHostKey: (publicKey) => ports.signHostKey(boxId, epoch, publicKey),
      sshAuthorizedKeys: assignment.sshAuthorizedKeys,
      signal,
    });
    if (assignment !== state.assignment) return;
    const { renewed, sshHostKey, at } = renewal;
    state.renewal = { renewed: [...renewed], sshHostKey, at };
    state.started = { how, phases: { ...phases } };
    if (isLost) state.notices.push(lossNotice(source, ports.clock.nowMs()));
    if (how !== "restored") return;
    const { onResume, onFork } = assignment.hooks;
    const command = origin?.boxId === boxId ? onResume : onFork;
    if (command) ports.inBackground(runHook(state, command, ports));
  } catch (error) {
    // A bad copy of a snapshot that the object store has is fetched again.
    const isBad = (error as DriverError).code === "snapshot_corrupt";
    if (!isBad || source.kind !== "snapshot" || !keeper.isDurable(source.snapshotId)) throw error;
    release();
    await keeper.discard(source.snapshotId);
    throw new DriverError("snapshot_missing", `${(error as Error).message}; fetched again`, true);
  } finally {
    leave();
    release();
  }
}

function lossNotice(source: BoxSource, atMs: number): Notice {
  const origin = source.kind === "image" ? "its image" : `the snapshot ${source.snapshotId}`;
  const message = `nothing was left of it on its node: it began again from ${origin}, and what came later is lost`;
  return { code: "state_lost", message, atMs };
}

function runOf(assignment: Assignment): BoxRun {
  const { boxId, epoch, bootSerial, spec, imageDigest, source, identity, templateVersionId } =
    assignment;
  return {
    ...{ boxId, epoch, bootSerial, spec, imageDigest, source, identity, templateVersionId },
  } as unknown as BoxRun;
}

function wantOf(assignment: Assignment, state: BoxState, keeper: SnapshotKeeper): Want {
  const { epoch, desired, bootSerial, restSnapshot, wantedSnapshots } = assignment;
  const isOpen = (wanted: WantedSnapshot) => !state.givenUp.has(wanted.snapshotId);
  return {
    epoch,
    desired,
    bootSerial,
    restSnapshot: restSnapshot && isOpen(restSnapshot) ? restSnapshot : null,
    dueSnapshots: wantedSnapshots.filter((one) => isOpen(one) && !keeper.find(one.snapshotId)),
  };
}

async function look(state: BoxState, ports: LoopPorts): Promise<Have> {
  const { assignment, host, boxId } = state;
  const { keeper } = ports;
  const rested = keeper
    .list()
    .filter((snapshot) => snapshot.boxId === boxId && releasesCompute(snapshot.kind))
    .map(({ epoch }) => epoch);
  const source = assignment?.source;
  const origin = source?.kind === "snapshot" ? keeper.find(source.snapshotId) : null;
  if (!assignment?.build) state.build = null;
  else if (assignment.desired === "running" && isReady(state))
    state.build ??= await readBuild(ports.driver, boxId).catch(() => null);
  return {
    state: host?.state ?? "absent",
    epoch: host?.epoch ?? 0,
    bootSerial: host?.bootSerial ?? 0,
    restedEpoch: Math.max(0, ...rested),
    sourceEpoch: origin?.boxId === boxId ? origin.epoch : 0,
    sourceIsHere: assignment !== null && sourceIsHere(assignment, keeper),
    // A guest that cannot be asked yet is asked again by the build itself.
    build: state.build?.mark ?? (assignment?.build ? "due" : "none"),
  };
}

function isReady({ assignment, host }: BoxState): boolean {
  return host?.state === "ready" && host.epoch === assignment?.epoch;
}

function sourceIsHere({ source }: Assignment, keeper: SnapshotKeeper): boolean {
  return source.kind === "image" || keeper.find(source.snapshotId) !== null;
}

function waitForSource(state: BoxState, ports: LoopPorts): void {
  const source = state.assignment?.source;
  if (source?.kind !== "snapshot") return;
  const problem = ports.keeper.need(source.snapshotId);
  state.activity = problem ? null : "fetching its snapshot";
  const nowMs = ports.clock.nowMs();
  state.attempt = problem && {
    ...{ doing: "wait", failures: 1, lastMs: nowMs, retryable: !problem.isFinal },
    ...{
      code: "snapshot_missing",
      message: problem.error,
      sinceMs: state.attempt?.sinceMs ?? nowMs,
    },
  };
  ports.onChange();
}

function remember(
  state: BoxState,
  action: Action,
  error: Error,
  nowMs: number,
  ports: LoopPorts,
): void {
  const before = state.attempt;
  const isSame = before?.doing === action.do;
  const code = error instanceof DriverError ? faultCode(state, error) : "unexpected";
  state.attempt = {
    doing: action.do,
    failures: isSame ? before.failures + 1 : 1,
    lastMs: nowMs,
    sinceMs: isSame ? before.sinceMs : nowMs,
    retryable: error instanceof DriverError ? error.retryable : true,
    code,
    message: error.message,
  };
  ports.log.warn({ boxId: state.boxId, err: error, failures: state.attempt.failures }, action.do);
}

/** Memory that cannot be restored has a code of its own: the control plane then falls back to disks. */
function faultCode(state: BoxState, { code }: DriverError): string {
  const source = state.assignment?.source;
  if (source?.kind !== "snapshot" || !source.withMemory) return code;
  if (code === "snapshot_corrupt") return "memory_unusable";
  return code === "snapshot_incompatible" ? "memory_incompatible" : code;
}

function givenUpReport(state: BoxState, wanted: WantedSnapshot, nowMs: number): SnapshotReport {
  return {
    ...{ snapshotId: wanted.snapshotId, kind: wanted.kind, withMemory: wanted.withMemory },
    ...{ boxId: state.boxId, epoch: state.host?.epoch ?? 0, compatibility: "", parentId: null },
    ...{ createdAtMs: nowMs, allocatedBytes: 0, manifestKey: null, storedBytes: null, progress: 0 },
    error: state.attempt?.message ?? "it could not be taken",
    failed: true,
  };
}
