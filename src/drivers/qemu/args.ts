// The VMM's command line. Pure. The device list, their order, the machine, the CPU model, memory size
// and vCPU count are part of a snapshot's identity: a change here is a new MACHINE_VERSION.

/** Counts changes of this file that older device states cannot be restored with. */
export const MACHINE_VERSION = 1;

/** What the jail shows to the VMM; the same for every box. */
export const JAIL_PATHS = {
  ram: "/box/ram",
  root: "/box/root.qcow2",
  home: "/box/home.qcow2",
  console: "/box/console.log",
  image: "/image",
  migrateSocket: "/run/berth/migrate.sock",
} as const;

/** Every guest has this address, so that a fork needs no new one. */
export const GUEST_MAC = "52:54:00:12:34:56";

/** Translation buffer of TCG: its default of 1 GiB fills up; 128 costs nothing in boot time. */
const TCG_BUFFER_MIB = 128;

/** The guest sees a failed write, also on a full host, and no VM stands still without a word. */
const ON_ERROR = "werror=report,rerror=report";

export interface VmmShape {
  readonly accelerator: "kvm" | "tcg";
  /** Rate of the host's time-stamp counter; without it a TCG guest may hang calibrating it. */
  readonly tscKhz: number | null;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly tapName: string;
  /** Inherited file descriptors of the listening sockets. */
  readonly qmpFd: number;
  readonly controlFd: number;
  /** Waits for a device state instead of booting. */
  readonly incoming: boolean;
}

export function vmmArguments(shape: VmmShape): string[] {
  const kernel = [
    "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check nowatchdog",
    ...(shape.tscKhz === null ? [] : [`tsc_early_khz=${shape.tscKhz}`]),
  ];
  return [
    ...["-name", "berth", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-M", "microvm,acpi=on,memory-backend=ram"],
    ...(shape.accelerator === "kvm"
      ? ["-accel", "kvm", "-cpu", "host"]
      : ["-accel", `tcg,tb-size=${TCG_BUFFER_MIB}`, "-cpu", "max"]),
    ...["-smp", String(shape.cpus), "-m", `${shape.memoryMib}M`],
    "-object",
    `memory-backend-file,id=ram,size=${shape.memoryMib}M,mem-path=${JAIL_PATHS.ram},share=on`,
    ...["-kernel", `${JAIL_PATHS.image}/vmlinux`, "-initrd", `${JAIL_PATHS.image}/initrd`],
    ...["-append", kernel.join(" ")],
    // Opened for appending, so that the agent may cut the file while the VMM writes to it.
    ...["-chardev", `file,id=console,path=${JAIL_PATHS.console},append=on`],
    ...["-serial", "chardev:console"],
    ...disk("root", JAIL_PATHS.root, `${JAIL_PATHS.image}/root.ext4`),
    ...disk("home", JAIL_PATHS.home, null),
    ...["-netdev", `tap,id=net,ifname=${shape.tapName},script=no,downscript=no`],
    ...["-device", `virtio-net-device,netdev=net,id=net0,mac=${GUEST_MAC}`],
    ...["-device", "virtio-serial-device,id=ports"],
    ...["-chardev", `socket,id=control,fd=${shape.controlFd},server=on,wait=off`],
    ...["-device", "virtserialport,bus=ports.0,chardev=control,name=berth.control"],
    // Returns pages that the guest freed to the host, so that a pause does not keep them.
    ...["-device", "virtio-balloon-device,id=balloon,free-page-reporting=on,deflate-on-oom=on"],
    ...["-device", "virtio-rng-device,id=rng"],
    ...["-chardev", `socket,id=qmp,fd=${shape.qmpFd},server=on,wait=off`],
    ...["-mon", "chardev=qmp,mode=control"],
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    ...(shape.incoming ? ["-incoming", "defer"] : []),
  ];
}

/** A qcow2 disk whose backing is what we say, whatever its header says. */
function disk(name: string, path: string, base: string | null): string[] {
  const file = (filename: string, readOnly: boolean) => ({
    driver: "file",
    filename,
    ...(readOnly ? { "read-only": true } : {}),
  });
  const node = {
    driver: "qcow2",
    "node-name": name,
    discard: "unmap",
    "detect-zeroes": "unmap",
    file: file(path, false),
    backing: base ? { driver: "raw", "read-only": true, file: file(base, true) } : null,
  };
  return [
    ...["-blockdev", JSON.stringify(node)],
    ...["-device", `virtio-blk-device,drive=${name},id=${name}0,serial=${name},${ON_ERROR}`],
  ];
}
