// A running box of templates/code-server.yaml, and its editor on a port of this machine.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { TestInstallation } from "./installation.ts";

const root = resolve(import.meta.dirname, "../..");
const TEMPLATE = "code-server";
const PORT = 8080;

export interface Forward {
  /** Of the editor, through the gateway and a port stream; `/healthz` answers without one. */
  readonly url: string;
  close(): Promise<void>;
}

/** Builds the template in an installation that is up (and the base image when this machine has none), once. */
export async function createCodeServerBox(berth: TestInstallation, name: string): Promise<void> {
  if ((await berth.berth(["template", "show", TEMPLATE])).code !== 0)
    await berth.ok(["template", "create", "-f", join(root, "templates/code-server.yaml")]);
  await berth.ok(["create", name, "--template", TEMPLATE]);
}

export async function forwardEditor(berth: TestInstallation, name: string): Promise<Forward> {
  const forward = spawn(join(root, "berth"), ["port", "forward", name, `:${PORT}`], {
    env: berth.env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const close = async () => {
    if (forward.exitCode !== null || forward.signalCode !== null) return;
    forward.kill("SIGTERM");
    await once(forward, "exit");
  };
  for await (const line of createInterface({ input: forward.stdout })) {
    const address = /^(127\.0\.0\.1:\d+) -> /.exec(line)?.[1];
    if (address) return { url: `http://${address}`, close };
  }
  throw new Error(`port ${PORT} of ${name} could not be forwarded`);
}
