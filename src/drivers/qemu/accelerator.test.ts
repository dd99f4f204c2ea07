import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { silentLog } from "#lib/log.ts";
import { type Run, RunError } from "#lib/run.ts";
import { type Accelerators, openAccelerators, parseTscKhz } from "./accelerator.ts";

interface Fixture {
  /** As by a new agent on the same host. */
  open(bootId?: string): Accelerators;
  readonly probes: readonly string[][];
  addImage(): Promise<void>;
}

async function fixture(
  t: TestContext,
  probe: () => string,
  kvmDevice = "/dev/null",
): Promise<Fixture> {
  const base = await mkdtemp(join(tmpdir(), "accelerator-"));
  t.after(() => rm(base, { recursive: true }));
  const [stateDir, imagesDir] = [join(base, "state"), join(base, "images")];
  await mkdir(stateDir);
  const probes: string[][] = [];
  const run: Run = async (argv) => {
    if (argv.includes("--version")) return { stdout: "QEMU emulator version 7.2.22", stderr: "" };
    if (argv[0] === "dmesg") return { stdout: "tsc: Detected 2596.138 MHz processor", stderr: "" };
    probes.push([...argv]);
    return { stdout: probe(), stderr: "" };
  };
  return {
    open: (bootId = "boot-1") =>
      openAccelerators({ stateDir, imagesDir, bootId, run, log: silentLog, kvmDevice }),
    probes,
    async addImage() {
      await mkdir(join(imagesDir, "abc"), { recursive: true });
      await writeFile(join(imagesDir, "abc", "meta.json"), "{}");
    },
  };
}

test("KVM is taken when a guest said so under it, once per boot of the host", async (t) => {
  const f = await fixture(t, () => "...\nBERTH-PROBE-OK\n");
  await f.addImage();
  const chosen = await f.open().choose();
  assert.equal(chosen.kind, "kvm");
  assert.match(chosen.compatibility, /^qemu-7\.2\.22\/microvm-1\/kvm\//);
  await f.open().choose();
  assert.equal(f.probes.length, 1);
  assert.ok(f.probes[0]?.includes("kvm"));
  await f.open("boot-2").choose();
  assert.equal(f.probes.length, 2);
});

test("a device that opens while no guest runs ends in TCG, with the reason", async (t) => {
  const failures = [
    () => {
      throw new RunError(["qemu-system-x86_64"], null, "ran over 8000 ms", "");
    },
    () => {
      throw new RunError(["qemu-system-x86_64"], null, "died of SIGABRT", "MSR 0x10a\n");
    },
    () => "Kernel panic",
  ];
  for (const fail of failures) {
    const f = await fixture(t, fail);
    await f.addImage();
    const { kind, reason, compatibility } = await f.open().choose();
    assert.equal(kind, "tcg");
    assert.match(reason, /guest .*emulated, slow$/);
    assert.match(compatibility, /tcg\/max-tsc2596$/);
  }
});

test("without a device there is nothing to probe", async (t) => {
  const f = await fixture(t, () => "", "/nonexistent/kvm");
  await f.addImage();
  assert.match((await f.open().choose()).reason, /no \/nonexistent\/kvm/);
  assert.equal(f.probes.length, 0);
});

test("without an image the answer is for now only", async (t) => {
  const f = await fixture(t, () => "BERTH-PROBE-OK");
  const accelerators = f.open();
  assert.match((await accelerators.choose()).reason, /not probed yet/);
  await f.addImage();
  assert.equal((await accelerators.choose()).kind, "kvm");
});

test("the counter's rate comes from the kernel's own measurement first", () => {
  const detected = "[    0.000000] tsc: Detected 2596.138 MHz processor\n";
  assert.equal(parseTscKhz(detected, "cpu MHz\t\t: 2596.096\n"), 2_596_138);
  const refined = "tsc: Refined TSC clocksource calibration: 2599.998 MHz\n";
  assert.equal(parseTscKhz(refined, ""), 2_599_998);
  assert.equal(parseTscKhz("", "model\t: 1\ncpu MHz\t\t: 2596.096\n"), 2_596_096);
  assert.equal(parseTscKhz("", ""), null);
});
