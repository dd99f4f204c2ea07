// What the line below a terminal says.

import { ApiError } from "#sdk/api-error.ts";
import type { Phase } from "#sdk/client.ts";
import { ExecError } from "#sdk/exec-error.ts";
import type { SessionStatus } from "#sdk/exec-session.ts";

export interface StatusLine {
  readonly tone: "good" | "going" | "warn" | "off" | "bad";
  readonly text: string;
}

/** `leftMs`: until the next try. */
export function statusLine(
  status: SessionStatus,
  phase: Phase,
  boxName: string,
  leftMs: number,
): StatusLine {
  if (status.kind === "exited") return { tone: "off", text: `Ended with ${status.exitCode}` };
  if (status.kind === "failed") return { tone: "bad", text: wordsOfEnd(status.error) };
  if (status.kind === "closed") return { tone: "off", text: "Detached" };
  if (phase !== "running") return { tone: "warn", text: `${boxName} is ${phase}` };
  if (status.kind === "attached") return { tone: "good", text: "Connected" };
  if (status.kind === "connecting")
    return { tone: "going", text: status.attempt === 0 ? "Connecting…" : "Reconnecting…" };
  return {
    tone: "warn",
    text: `Reconnecting in ${Math.ceil(leftMs / 1000)} s: ${wordsOf(status.error)}`,
  };
}

function wordsOf(error: Error): string {
  return error instanceof ApiError ? error.detail : error.message;
}

function wordsOfEnd(error: Error): string {
  if (error instanceof ExecError && error.code === "no_such_session")
    return "This session is not in the box any more; a restart ends it";
  return wordsOf(error);
}
