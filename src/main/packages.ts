// The programs that a node needs from Debian, why, and how they are installed. Looked for by program,
// not by package, so that a host that has them from elsewhere is left alone.

import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import type { Run } from "#lib/run.ts";

export interface Needed {
  readonly package: string;
  /** A file whose presence shows that it is there: a program's name, or an absolute path. */
  readonly proof: string;
  readonly why: string;
}

/**
 * What `--driver qemu` needs while it runs; what building an image needs is known to images/host-apt.ts.
 * The fake driver needs nothing.
 */
export const PACKAGES: readonly Needed[] = [
  {
    package: "qemu-system-x86",
    proof: "qemu-system-x86_64",
    why: "the virtual machine monitor: every box is one QEMU process",
  },
  { package: "qemu-utils", proof: "qemu-img", why: "makes the copy-on-write disks of boxes" },
  {
    package: "xfsprogs",
    proof: "mkfs.xfs",
    why: "makes a file system that copies disks and memory without copying bytes (reflink)",
  },
  { package: "mount", proof: "losetup", why: "mounts that file system from a file" },
  { package: "bubblewrap", proof: "bwrap", why: "jails the virtual machine monitor" },
  { package: "iproute2", proof: "ip", why: "gives each box a network namespace of its own" },
  { package: "nftables", proof: "nft", why: "holds boxes to the network they may reach" },
  { package: "util-linux", proof: "setpriv", why: "takes privileges away from helper processes" },
  {
    package: "openssh-client",
    proof: "ssh-keygen",
    why: "makes host keys; `berth ssh` is plain ssh",
  },
];

const PROGRAM_DIRS = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
];

async function isThere(proof: string): Promise<boolean> {
  const paths = proof.startsWith("/") ? [proof] : PROGRAM_DIRS.map((dir) => join(dir, proof));
  for (const path of paths) {
    const found = await access(path, constants.R_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

export async function missingPackages(
  needed: readonly Needed[] = PACKAGES,
): Promise<readonly Needed[]> {
  const there = await Promise.all(needed.map((entry) => isThere(entry.proof)));
  return needed.filter((_, index) => !there[index]);
}

/** Installs with apt. Package scripts start no service and ask nothing. */
export async function installPackages(missing: readonly Needed[], run: Run): Promise<void> {
  const env = {
    PATH: PROGRAM_DIRS.join(":"),
    DEBIAN_FRONTEND: "noninteractive",
    LC_ALL: "C",
  };
  const apt = (args: readonly string[], timeoutMs: number) =>
    run(["apt-get", "-o", "DPkg::Lock::Timeout=120", ...args], { env, timeoutMs });
  await apt(["update", "-q"], 5 * 60_000);
  await apt(
    ["install", "-y", "-q", "--no-install-recommends", ...missing.map((entry) => entry.package)],
    20 * 60_000,
  );
}
