// `berth doctor`: checks this machine, and says what to do about each fault. Exit code 1 when one is found.

import { access, readFile } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import { EXIT, ExitWith } from "#cli/exit.ts";
import type { OutputOptions } from "#cli/options.ts";
import type { Session } from "#cli/session.ts";
import { bytes, paint, plainLine } from "#cli/terminal.ts";
import { openAccelerators } from "#drivers/qemu/accelerator.ts";
import { canReflink } from "#drivers/qemu/reflink-fs.ts";
import { findBaseImage } from "#images/build.ts";
import { BASES, baseImageDigest } from "#images/recipe.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { createClient } from "#sdk/client.ts";
import { ensureCredentials } from "./admin-token.ts";
import type { VariableName } from "./config.ts";
import { recordPath } from "./installation.ts";
import { missingPackages } from "./packages.ts";
import { readLiving } from "./process-record.ts";
import { freeDiskBytes } from "./room.ts";
import { type Installed, readInstalled } from "./settings.ts";
import { processesOf } from "./status.ts";

export interface DoctorOptions extends OutputOptions {
  readonly overrides: Partial<Record<VariableName, string>>;
}

interface Finding {
  readonly check: string;
  readonly result: "ok" | "warning" | "fault";
  readonly found: string;
  /** What to do about it; null when nothing. */
  readonly next: string | null;
}

type Check = (installed: Installed) => Promise<Finding | null>;

const FREE_DISK_BYTES_MIN = 20 * 1024 ** 3;
const MEMORY_BYTES_MIN = 4 * 1024 ** 3;

export async function doctor(session: Session, options: DoctorOptions): Promise<void> {
  const { terminal } = session;
  const installed = await readInstalled(terminal.env, options.overrides);
  const findings: Finding[] = [];
  for (const check of CHECKS) {
    const finding = await check(installed).catch(
      (error: Error): Finding => ({
        check: check.name,
        result: "fault",
        found: error.message,
        next: null,
      }),
    );
    if (finding) findings.push(finding);
  }
  session.print(options, findings, (all) => {
    const marks = {
      ok: paint(terminal, "green", "ok     "),
      warning: paint(terminal, "yellow", "warning"),
      fault: paint(terminal, "red", "fault  "),
    };
    return all
      .map(({ check, result, found, next }) => {
        const line = `${marks[result]}  ${check}: ${plainLine(found)}\n`;
        return next ? `${line}         ${plainLine(next)}\n` : line;
      })
      .join("");
  });
  if (findings.some((finding) => finding.result === "fault")) throw new ExitWith(EXIT.failed);
}

const CHECKS: readonly Check[] = [
  root,
  programs,
  memory,
  disk,
  cgroups,
  tun,
  reflinks,
  image,
  accelerator,
  processes,
  api,
  audit,
];

function ok(check: string, found: string): Finding {
  return { check, result: "ok", found, next: null };
}

async function root({ config }: Installed): Promise<Finding> {
  if (process.getuid?.() === 0) return ok("user", "root");
  return config.driver === "fake"
    ? ok("user", "not root, which the fake driver does not need")
    : {
        check: "user",
        result: "fault",
        found: "not root",
        next: "Virtual machines need root for namespaces, cgroups and mounts: use sudo.",
      };
}

async function programs({ config }: Installed): Promise<Finding | null> {
  if (config.driver === "fake") return null;
  const missing = await missingPackages();
  if (missing.length === 0) return ok("programs", "all there");
  return {
    check: "programs",
    result: "fault",
    found: `missing: ${missing.map((entry) => entry.proof).join(", ")}`,
    next: `\`berth up\` installs them; or: apt-get install ${missing.map((entry) => entry.package).join(" ")}`,
  };
}

async function memory(): Promise<Finding> {
  const found = `${bytes(freemem())} free of ${bytes(totalmem())}`;
  return totalmem() >= MEMORY_BYTES_MIN
    ? ok("memory", found)
    : { check: "memory", result: "warning", found, next: "A default box has 2 GiB." };
}

async function disk({ installation }: Installed): Promise<Finding> {
  const free = await freeDiskBytes(installation.stateDir);
  const found = `${bytes(free)} free for ${installation.stateDir}`;
  if (free >= FREE_DISK_BYTES_MIN) return ok("disk", found);
  return {
    check: "disk",
    result: "warning",
    found,
    next: "Boxes and snapshots fill disks: make room, or use another --state-dir.",
  };
}

async function cgroups({ config }: Installed): Promise<Finding | null> {
  if (config.driver === "fake") return null;
  const mounts = await readFile("/proc/mounts", "utf8");
  if (/ cgroup2 /.test(mounts)) return ok("cgroups", "version 2");
  if (/ cgroup /.test(mounts)) return ok("cgroups", "version 1");
  return {
    check: "cgroups",
    result: "fault",
    found: "not mounted",
    next: "Mount them (mount -t cgroup2 none /sys/fs/cgroup): they limit what a box may use.",
  };
}

async function tun({ config }: Installed): Promise<Finding | null> {
  if (config.driver === "fake") return null;
  if (await exists("/dev/net/tun")) return ok("network", "/dev/net/tun is there");
  return {
    check: "network",
    result: "fault",
    found: "no /dev/net/tun",
    next: "Load the module: modprobe tun",
  };
}

async function reflinks({ config, installation }: Installed): Promise<Finding | null> {
  if (config.driver === "fake" || !(await exists(installation.nodeDir))) return null;
  if (await canReflink(installation.nodeDir))
    return ok("copies", `${installation.nodeDir} copies files by reference`);
  return {
    check: "copies",
    result: "warning",
    found: `${installation.nodeDir} copies files byte by byte, so forks and pauses are slow`,
    next: "It is an XFS in a file that is mounted when the node starts: run `berth up`.",
  };
}

async function image({ config }: Installed): Promise<Finding | null> {
  if (config.driver === "fake") return null;
  const base = BASES[0] ?? "";
  const found = await findBaseImage(await baseImageDigest(base), config.imageCacheDir);
  if (found) return ok("base image", `${base} is built`);
  return {
    check: "base image",
    result: "warning",
    found: `${base} is not built yet`,
    next: "`berth up` builds it.",
  };
}

async function accelerator({ config, installation }: Installed): Promise<Finding | null> {
  if (config.driver === "fake" || (await missingPackages()).length > 0) return null;
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const chosen = await openAccelerators({
    stateDir: installation.nodeDir,
    imagesDir: config.imageCacheDir,
    bootId,
    run,
    log: silentLog,
  }).choose();
  if (chosen.kind === "kvm") return ok("accelerator", `KVM: ${chosen.reason}`);
  return {
    check: "accelerator",
    result: "warning",
    found: `TCG: ${chosen.reason}`,
    next: "Boxes are emulated: many times slower, and NOT a security boundary. Use a machine with KVM for people you do not trust.",
  };
}

async function processes({ config, installation, recorded }: Installed): Promise<Finding> {
  if (!recorded)
    return {
      check: "processes",
      result: "warning",
      found: `Berth was never started in ${installation.stateDir}`,
      next: "`berth up` starts it.",
    };
  const all = await processesOf(installation, config.databaseUrl === null);
  const dead = all.filter((one) => one.pid === null);
  if (dead.length === 0) return ok("processes", "all run");
  if (dead.length === all.length)
    return {
      check: "processes",
      result: "warning",
      found: "Berth is stopped",
      next: "`berth up` starts it.",
    };
  return {
    check: "processes",
    result: "fault",
    found: `not running: ${dead.map((one) => one.name).join(", ")}`,
    next: `\`berth up\` starts them; their logs: ${dead.map((one) => one.log).join(", ")}`,
  };
}

async function api({ config, installation, recorded }: Installed): Promise<Finding | null> {
  if (!recorded || !(await readLiving(recordPath(installation, "server")))) return null;
  const client = createClient({ ...(await ensureCredentials(config)), retries: 1 });
  const system = await client.system.get();
  if (system.nodes.reachable > 0)
    return ok("API", `answers; ${system.nodes.reachable} of ${system.nodes.total} nodes reachable`);
  return {
    check: "API",
    result: "fault",
    found: `answers, but none of ${system.nodes.total} nodes is reachable`,
    next: "Boxes cannot be changed until one is: see the log of the node.",
  };
}

/** As the server says it: what is sealed and exported late is an alarm. */
async function audit({ config, installation, recorded }: Installed): Promise<Finding | null> {
  if (!recorded || !(await readLiving(recordPath(installation, "server")))) return null;
  const client = createClient({ ...(await ensureCredentials(config)), retries: 1 });
  const alarm = (await client.system.get()).notices.find((one) => /^ALARM: the audit/.test(one));
  if (!alarm) return ok("audit trail", "sealed, and its heads are in the object store");
  return {
    check: "audit trail",
    result: "fault",
    found: alarm,
    next: "`berth audit verify` says whether it is whole.",
  };
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
