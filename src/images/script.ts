// Runs the shell scripts that build images; what they are told goes in by their environment.

import { join } from "node:path";
import type { Run } from "#lib/run.ts";
import { GUEST_DIRECTORY } from "./recipe.ts";

export const STEP_TIMEOUT_MS = 30 * 60_000;

/** `script` is a path below the guest's directory, `wrapper` what runs it (unshare). */
export async function runScript(
  run: Run,
  script: string,
  wrapper: readonly string[],
  variables: Readonly<Record<string, string | number>>,
): Promise<void> {
  const pairs = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const argv = ["env", ...pairs, ...wrapper, "sh", join(GUEST_DIRECTORY, script)];
  await run(argv, { timeoutMs: STEP_TIMEOUT_MS });
}
