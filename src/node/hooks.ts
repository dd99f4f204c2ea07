// Commands of the template that run as dev after a resume or a fork. They hold nothing up, and one that
// fails is a notice on the box.

import type { Driver } from "#drivers/driver.ts";
import type { Clock } from "#lib/clock.ts";
import type { BoxState } from "#node/box-state.ts";

const HOOK_MS = 300_000;
const NOTICES_MAX = 10;

export async function runHook(
  state: BoxState,
  command: string,
  ports: { readonly driver: Driver; readonly clock: Clock; readonly onChange: () => void },
): Promise<void> {
  let why: string | null = null;
  try {
    const argv = ["sh", "-lc", command];
    const done = await ports.driver.exec(state.boxId, { argv, user: "dev", timeoutMs: HOOK_MS });
    if (done.exitCode !== 0)
      why = `'${command}' ended with exit code ${done.exitCode}: ${done.stderr.slice(-500)}`;
  } catch (error) {
    why = `'${command}' could not be run: ${(error as Error).message}`;
  }
  if (why === null) return;
  const notice = { code: "hook_failed", message: why, atMs: ports.clock.nowMs() } as const;
  state.notices = [...state.notices, notice].slice(-NOTICES_MAX);
  ports.onChange();
}
