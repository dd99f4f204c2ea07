// A whole installation as a user has it: `./berth` in real processes, in a state directory and on
// ports of its own. Gone with everything it made when the test ends, also when it failed.

import { spawn } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { forgetHost } from "#drivers/qemu/vm-test-host.ts";
import { freePorts } from "./free-ports.ts";

const root = resolve(import.meta.dirname, "../..");
const COMMAND_TIMEOUT_MS = 30 * 60_000;
/** After its end, until what it said must have come. */
const PIPES_HELD_MS = 5_000;

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestInstallation {
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string>>;

  private constructor(stateDir: string, env: Readonly<Record<string, string>>) {
    this.stateDir = stateDir;
    this.env = env;
  }

  static async make(driver: "qemu" | "fake"): Promise<TestInstallation> {
    const base = await mkdtemp(join(tmpdir(), "berth-e2e-"));
    await chmod(base, 0o755); // The user that Postgres runs as must be able to enter.
    const stateDir = join(base, "state");
    const [api, nodeApi, gateway, gatewayNode, ssh] = await freePorts(5);
    return new TestInstallation(stateDir, {
      PATH: process.env.PATH ?? "",
      HOME: base,
      BERTH_STATE_DIR: stateDir,
      BERTH_DRIVER: driver,
      BERTH_API_LISTEN: `127.0.0.1:${api}`,
      BERTH_NODE_API_LISTEN: `127.0.0.1:${nodeApi}`,
      BERTH_GATEWAY_LISTEN: `127.0.0.1:${gateway}`,
      BERTH_GATEWAY_NODE_LISTEN: `127.0.0.1:${gatewayNode}`,
      BERTH_SSH_LISTEN: `127.0.0.1:${ssh}`,
    });
  }

  /** Runs `./berth ARGS` to its end. */
  async berth(args: readonly string[], input = ""): Promise<Said> {
    return await runToEnd([join(root, "berth"), ...args], this.env, input);
  }

  /** The same, and it must succeed. Returns what it printed. */
  async ok(args: readonly string[], input = ""): Promise<string> {
    const said = await this.berth(args, input);
    if (said.code !== 0)
      throw new Error(
        `berth ${args.join(" ")} exited with ${said.code}:\n${said.stderr}\n${said.stdout}\n${await this.logTails()}`,
      );
    return said.stdout;
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.ok([...args, "-o", "json"])) as T;
  }

  /** Where its web app is, and a token to log in with. */
  async webApp(): Promise<{ readonly url: string; readonly token: string }> {
    const credentials = await readFile(join(this.stateDir, "credentials.json"), "utf8");
    const { token } = JSON.parse(credentials) as { token: string };
    return { url: `http://localhost:${this.env.BERTH_API_LISTEN?.split(":")[1]}`, token };
  }

  async pidOf(name: string): Promise<number> {
    if (name === "postgres") {
      const text = await readFile(
        join(this.stateDir, "postgres/data/postmaster.pid"),
        "utf8",
      ).catch(() => readFile(join(this.stateDir, "postgres/postmaster.pid"), "utf8"));
      return Number(text.split("\n")[0]);
    }
    const record = await readFile(join(this.stateDir, "run", `${name}.json`), "utf8");
    return (JSON.parse(record) as { pid: number }).pid;
  }

  /** kill -9, as an operator's mistake or the kernel's OOM killer would. */
  async kill(name: string): Promise<void> {
    process.kill(await this.pidOf(name), "SIGKILL");
  }

  /**
   * Process ids of the VMMs of this installation's boxes: in their jail they see its file system and no path of it.
   * Those that are spare belong to no box.
   */
  async vmms(): Promise<number[]> {
    const { dev } = await stat(join(this.stateDir, "node"));
    // Without a file system of its own it has none, and others' would look like its.
    if (dev === (await stat(this.stateDir)).dev) return [];
    const minor = (dev & 0xff) | ((dev >> 12) & 0xfff00);
    const device = ` ${(dev >> 8) & 0xfff}:${minor} `;
    const found: number[] = [];
    for (const entry of await readdir("/proc")) {
      if (!/^\d+$/.test(entry)) continue;
      const command = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
      if (!command.startsWith("qemu-system-")) continue;
      const mounts = await readFile(`/proc/${entry}/mountinfo`, "utf8").catch(() => "");
      const groups = await readFile(`/proc/${entry}/cgroup`, "utf8").catch(() => "");
      const isOurs = mounts.includes(device) && mounts.includes(" /box ");
      if (isOurs && !groups.includes("/spare-")) found.push(Number(entry));
    }
    return found;
  }

  async close(): Promise<void> {
    const boxes = await this.berth(["list", "-o", "json"]);
    if (boxes.code === 0) {
      const listed = JSON.parse(boxes.stdout) as { name: string }[];
      for (const { name } of listed) await this.berth(["delete", name, "--yes"]);
    }
    await this.berth(["down", "--keep-boxes"]);
    // With the VMs of other organizations, or of a test that failed.
    if (this.env.BERTH_DRIVER === "qemu") await forgetHost(join(this.stateDir, "node"));
    await rm(resolve(this.stateDir, ".."), { recursive: true, force: true });
  }

  async logTails(): Promise<string> {
    const tails: string[] = [];
    for (const name of await readdir(join(this.stateDir, "logs")).catch(() => [])) {
      const text = await readFile(join(this.stateDir, "logs", name), "utf8").catch(() => "");
      tails.push(`--- ${name}\n${text.slice(-3000)}`);
    }
    return tails.join("\n");
  }
}

export async function until(
  what: string,
  isTrue: () => Promise<boolean>,
  timeoutMs = 5 * 60_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = null;
  while (performance.now() < deadline) {
    try {
      if (await isTrue()) return;
    } catch (error) {
      last = error;
    }
    await delay(250);
  }
  throw new Error(`never came: ${what}`, { cause: last });
}

async function runToEnd(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  input: string,
): Promise<Said> {
  return await new Promise((done, fail) => {
    const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const timer = setTimeout(() => child.kill("SIGKILL"), COMMAND_TIMEOUT_MS);
    child.on("error", fail);
    const end = (code: number | null) => {
      clearTimeout(timer);
      done({ code: code ?? -1, stdout, stderr });
    };
    child.on("close", end);
    // A detached process that inherits our pipes must not hold the test.
    child.on("exit", (code) => setTimeout(end, PIPES_HELD_MS, code).unref());
  });
}
