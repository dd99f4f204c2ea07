import assert from "node:assert/strict";
import { test } from "node:test";
import { type VmmShape, vmmArguments } from "./args.ts";

const SHAPE: VmmShape = {
  accelerator: "tcg",
  tscKhz: 2_596_138,
  cpus: 2,
  memoryMib: 512,
  tapName: "tap0",
  qmpFd: 3,
  controlFd: 4,
  incoming: false,
};

function valuesOf(flag: string, shape = SHAPE): string[] {
  const args = vmmArguments(shape);
  return args.filter((_, index) => args[index - 1] === flag);
}

test("the guest has these devices and no other", () => {
  const drivers = valuesOf("-device").map((device) => device.split(",")[0]);
  // Each device is a way out for a guest, and part of every snapshot: think, then change both lists.
  assert.deepEqual(drivers, [
    "virtio-blk-device",
    "virtio-blk-device",
    "virtio-net-device",
    "virtio-serial-device",
    "virtserialport",
    "virtio-balloon-device",
    "virtio-rng-device",
  ]);
  assert.ok(vmmArguments(SHAPE).includes("-nodefaults"));
  assert.ok(vmmArguments(SHAPE).includes("-no-user-config"));
  assert.doesNotMatch(vmmArguments(SHAPE).join(" "), /vmgenid|usb|vga|slirp|-netdev user|9p/);
});

test("the command line is the one that snapshots were made with", () => {
  assert.deepEqual(valuesOf("-M"), ["microvm,acpi=on,memory-backend=ram"]);
  assert.deepEqual(valuesOf("-m"), ["512M"]);
  assert.deepEqual(valuesOf("-smp"), ["2"]);
  assert.deepEqual(valuesOf("-object"), [
    "memory-backend-file,id=ram,size=512M,mem-path=/box/ram,share=on",
  ]);
  assert.deepEqual(valuesOf("-sandbox"), [
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  ]);
});

test("TCG gets its buffer bounded and the counter's rate told, KVM neither", () => {
  assert.deepEqual(valuesOf("-accel"), ["tcg,tb-size=128"]);
  assert.match(valuesOf("-append")[0]!, / tsc_early_khz=2596138$/);
  const kvm: VmmShape = { ...SHAPE, accelerator: "kvm", tscKhz: null };
  assert.deepEqual(valuesOf("-accel", kvm), ["kvm"]);
  assert.doesNotMatch(valuesOf("-append", kvm)[0]!, /tsc_early_khz/);
});

test("a disk's backing is what we say, whatever its header says", () => {
  const [root, home] = valuesOf("-blockdev").map((text) => JSON.parse(text));
  assert.deepEqual(root.backing, {
    driver: "raw",
    "read-only": true,
    file: { driver: "file", filename: "/image/root.ext4", "read-only": true },
  });
  assert.equal(home.backing, null);
  assert.equal(root.file.filename, "/box/root.qcow2");
});

test("a restore waits for its state", () => {
  assert.deepEqual(valuesOf("-incoming"), []);
  assert.deepEqual(valuesOf("-incoming", { ...SHAPE, incoming: true }), ["defer"]);
});
