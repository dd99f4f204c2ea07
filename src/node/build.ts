// Runs a template's set-up in its builder box. How far it came stands in the guest, so that an agent
// that comes after knows: a build that was interrupted starts over from the image.

import type { Assignment } from "#contract/node-protocol.ts";
import type { BoxId } from "#domain/ids.ts";
import type { Driver, ExecRequest } from "#drivers/driver.ts";
import type { Failpoints } from "#lib/failpoint.ts";
import type { BuildState } from "#node/box-state.ts";
import { abortable } from "#node/limits.ts";

const MARK_PATH = "/var/lib/berth-build";
const MARK_MS = 30_000;
const SETTLE_MS = 600_000;
const LOG_MAX_CHARS = 64 * 1024;

export interface BuildPorts {
  readonly driver: Driver;
  readonly failpoints: Pick<Failpoints, "hit">;
  readonly onProgress: (build: BuildState) => void;
}

/** Asks the guest how far its build came. */
export async function readBuild(driver: Driver, boxId: BoxId): Promise<BuildState> {
  const request = { argv: ["cat", MARK_PATH], user: "root", timeoutMs: MARK_MS };
  const found = await driver.exec(boxId, request);
  const text = found.exitCode === 0 ? found.stdout.trim() : "";
  if (text === "") return { ...EMPTY, mark: "due" };
  if (text === "begun") return { ...EMPTY, mark: "interrupted" };
  if (text === "done") return { ...EMPTY, mark: "settled", isDone: true };
  return { ...EMPTY, mark: "settled", error: text };
}

const EMPTY: BuildState = { mark: "none", step: null, log: "", error: null, isDone: false };

/** Runs the steps in order; ends with the first that fails, which is the template's fault, not ours. */
export async function runBuild(
  assignment: Assignment,
  ports: BuildPorts,
  signal: AbortSignal,
): Promise<BuildState> {
  const { driver, failpoints, onProgress } = ports;
  const boxId = assignment.boxId as BoxId;
  const exec = (request: ExecRequest) => abortable(driver.exec(boxId, request), signal);
  const mark = async (text: string): Promise<void> => {
    const done = await exec({
      ...{ argv: ["tee", MARK_PATH], user: "root", stdin: text, timeoutMs: MARK_MS },
    });
    if (done.exitCode !== 0) throw new Error(`${MARK_PATH}: ${done.stderr}`);
  };
  const before = await abortable(readBuild(driver, boxId), signal);
  if (before.mark !== "due") return before;
  await mark("begun");
  await failpoints.hit("agent.build.marked");
  let log = "";
  for (const step of assignment.build?.steps ?? []) {
    signal.throwIfAborted();
    log = tail(`${log}==> ${step.name}\n`);
    onProgress({ ...EMPTY, mark: "due", step: step.name, log });
    const { argv, user, timeoutMs } = step;
    const done = await exec({ argv, user, timeoutMs }).catch(stepTroubles);
    log = tail(`${log}${done.stdout}${done.stderr}`);
    await failpoints.hit("agent.build.step");
    if (done.exitCode === 0) continue;
    const how = done.exitCode === null ? "" : ` ended with exit code ${done.exitCode}`;
    const error = `step '${step.name}'${how || `: ${done.stderr.trim()}`}`;
    await mark(error);
    return { mark: "settled", step: step.name, log, error, isDone: false };
  }
  // What is in the page cache and could be read again would only make the snapshot larger.
  const settle = "sync; echo 3 > /proc/sys/vm/drop_caches; exit 0";
  await exec({ argv: ["sh", "-c", settle], user: "root", timeoutMs: SETTLE_MS });
  await mark("done");
  await exec({ argv: ["sync"], user: "root", timeoutMs: SETTLE_MS });
  return { mark: "settled", step: null, log, error: null, isDone: true };
}

/** A step that takes too long, or cannot be started, is the template's fault. */
function stepTroubles(error: Error & { code?: string }) {
  if (error.code !== "timeout" && error.code !== "cannot_start") throw error;
  return { exitCode: null, stdout: "", stderr: `${error.message}\n` };
}

/** For a build that cannot go on here. */
export function failedBuild(error: string): BuildState {
  return { ...EMPTY, mark: "settled", error };
}

function tail(log: string): string {
  return log.length <= LOG_MAX_CHARS ? log : log.slice(-LOG_MAX_CHARS);
}
