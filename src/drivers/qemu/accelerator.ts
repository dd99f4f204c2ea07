// Chooses between hardware virtualization and emulation by booting a guest: a /dev/kvm that opens proves
// nothing. The answer holds for one boot of the host and is kept in the state directory.

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "#lib/log.ts";
import { type Run, RunError } from "#lib/run.ts";
import { MACHINE_VERSION } from "./args.ts";
import { readJson, writeJson } from "./durable-file.ts";

export interface Accelerator {
  readonly kind: "kvm" | "tcg";
  /** Shown to the user. */
  readonly reason: string;
  readonly tscKhz: number | null;
  /** What must be equal for a memory snapshot to be restored. */
  readonly compatibility: string;
}

export interface Accelerators {
  /** Probes once per boot of the host; before there is an image to probe with, answers TCG and keeps nothing. */
  choose(): Promise<Accelerator>;
}

export interface AcceleratorOptions {
  readonly stateDir: string;
  readonly imagesDir: string;
  readonly bootId: string;
  readonly run: Run;
  readonly log: Log;
  readonly kvmDevice?: string;
}

/** A guest under KVM is there within half a second; one that takes this long is no use. */
const PROBE_TIMEOUT_MS = 8_000;
const PROBE_MARK = "BERTH-PROBE-OK";

interface Kept {
  readonly bootId: string;
  readonly qemu: string;
  readonly accelerator: Accelerator;
}

export function openAccelerators(options: AcceleratorOptions): Accelerators {
  const { run, log, bootId } = options;
  const path = join(options.stateDir, "accelerator.json");
  let chosen: Promise<Accelerator> | null = null;

  async function choose(): Promise<Accelerator> {
    const qemu = await qemuVersion(run);
    const kept = await readJson<Kept>(path);
    if (kept?.bootId === bootId && kept.qemu === qemu) return kept.accelerator;
    const image = await anyImage(options.imagesDir);
    const { kind, reason } = await probe(options, image);
    const tscKhz = await readTscKhz(run);
    const accelerator: Accelerator = {
      ...{ kind, reason, tscKhz },
      compatibility: await compatibilityOf(qemu, kind, tscKhz),
    };
    log.info(accelerator, "accelerator chosen");
    if (image) await writeJson(path, { bootId, qemu, accelerator } satisfies Kept, true);
    else chosen = null; // Ask again when there is an image.
    return accelerator;
  }

  return {
    choose() {
      chosen ??= choose().catch((error) => {
        chosen = null;
        throw error;
      });
      return chosen;
    },
  };
}

async function probe(
  options: AcceleratorOptions,
  image: string | null,
): Promise<Pick<Accelerator, "kind" | "reason">> {
  const device = options.kvmDevice ?? "/dev/kvm";
  const there = await stat(device).then(
    () => true,
    () => false,
  );
  if (!there) return { kind: "tcg", reason: `no ${device}: emulated, slow` };
  if (!image) return { kind: "tcg", reason: "not probed yet: no base image to boot" };
  const argv = [
    ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-M", "microvm,acpi=on", "-accel", "kvm", "-cpu", "host", "-m", "128M"],
    ...["-kernel", join(image, "vmlinux"), "-initrd", join(image, "probe.img")],
    ...["-append", "console=ttyS0 panic=-1", "-serial", "stdio"],
  ];
  try {
    const { stdout } = await options.run(argv, { timeoutMs: PROBE_TIMEOUT_MS });
    if (stdout.includes(PROBE_MARK))
      return { kind: "kvm", reason: "a probe guest booted under KVM" };
    return { kind: "tcg", reason: "KVM: the probe guest ended without its mark; emulated, slow" };
  } catch (error) {
    const why = error instanceof RunError ? error.message : String(error);
    return {
      kind: "tcg",
      reason: `${device} is there, but no guest boots under it within ${PROBE_TIMEOUT_MS / 1000} s (${why.replaceAll(/\s+/g, " ").slice(0, 200)}); emulated, slow`,
    };
  }
}

async function anyImage(imagesDir: string): Promise<string | null> {
  for (const name of await readdir(imagesDir).catch(() => [])) {
    const directory = join(imagesDir, name);
    const whole = await stat(join(directory, "meta.json")).then(
      () => true,
      () => false,
    );
    if (whole && !name.startsWith(".")) return directory;
  }
  return null;
}

async function qemuVersion(run: Run): Promise<string> {
  const { stdout } = await run(["qemu-system-x86_64", "--version"]).catch((error: Error) => {
    throw new Error(`${error.message}: install qemu-system-x86 (apt-get install qemu-system-x86)`);
  });
  return /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
}

/**
 * The host's time-stamp counter rate. The kernel's own measurement is best; `cpu MHz` is the same where the
 * frequency cannot change, as in most virtual machines.
 */
async function readTscKhz(run: Run): Promise<number | null> {
  const dmesg = await run(["dmesg"]).then(
    ({ stdout }) => stdout,
    () => "",
  );
  const cpuinfo = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const scales = await stat("/sys/devices/system/cpu/cpu0/cpufreq").then(
    () => true,
    () => false,
  );
  return parseTscKhz(dmesg, scales ? "" : cpuinfo);
}

export function parseTscKhz(dmesg: string, cpuinfo: string): number | null {
  const detected = /tsc: (?:Refined TSC clocksource calibration|Detected)\D*([\d.]+) MHz/.exec(
    dmesg,
  );
  const mhz = detected?.[1] ?? /^cpu MHz\s*:\s*([\d.]+)/m.exec(cpuinfo)?.[1];
  return mhz === undefined ? null : Math.round(Number(mhz) * 1000);
}

async function compatibilityOf(
  qemu: string,
  kind: Accelerator["kind"],
  tscKhz: number | null,
): Promise<string> {
  const cpuinfo = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const field = (name: string) =>
    new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(cpuinfo)?.[1]?.trim() ?? "";
  // Under KVM the guest saw the host's CPU; under TCG a model of QEMU's, with the host's counter.
  const cpu =
    kind === "kvm"
      ? ["vendor_id", "cpu family", "model", "stepping"].map(field).join("-")
      : `max-tsc${tscKhz === null ? "unknown" : Math.round(tscKhz / 1000)}`;
  return `qemu-${qemu}/microvm-${MACHINE_VERSION}/${kind}/${cpu}`;
}
