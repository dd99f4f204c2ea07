// What the host's apt is told: which Debian archive to use, and how. Images are built from the same
// archive, and boxes are left with it, so that no address of an archive stands in Berth's own files.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Run } from "#lib/run.ts";

/** Debian packages that a build needs on the host. */
export const BUILD_PACKAGES = [
  "mmdebstrap",
  "debian-archive-keyring",
  "e2fsprogs",
  "busybox-static",
  "cpio",
  "lz4",
  "xz-utils",
  "zstd",
  "gcc",
  "kmod",
  "libc6-dev",
] as const;

/** Installs what is missing of BUILD_PACKAGES, and returns what that was. */
export async function ensureBuildPackages(
  run: Run,
  onProgress: (message: string) => void = () => {},
): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const known = await run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]);
  const installed = new Set(known.stdout.split("\n"));
  const missing = BUILD_PACKAGES.filter((name) => !installed.has(`${name} installed`));
  if (missing.length === 0) return [];
  onProgress(`installing ${missing.join(" ")} (to build base images)`);
  const install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q"];
  install.push("--no-install-recommends", ...missing);
  const options = { timeoutMs: 15 * 60_000 };
  await run(install, options).catch(async () => {
    await run(["apt-get", "update", "-q"], options); // The lists may be too old.
    await run(install, options);
  });
  return missing;
}

/** File name to content of the host's sources of that suite: `.list` or `.sources` files. */
export async function debianSources(
  suite: string,
  aptDirectory = "/etc/apt",
): Promise<Map<string, string>> {
  const directory = join(aptDirectory, "sources.list.d");
  const names = await readdir(directory).catch(() => [] as string[]);
  const paths = [
    join(aptDirectory, "sources.list"),
    ...names.sort().map((n) => join(directory, n)),
  ];
  const lines: string[] = [];
  const stanzas: string[] = [];
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch(() => "");
    if (path.endsWith(".list")) lines.push(...oneLineSources(text, suite));
    if (path.endsWith(".sources")) stanzas.push(...stanzaSources(text, suite));
  }
  const files = new Map<string, string>();
  if (lines.length > 0) files.set("debian.list", `${lines.join("\n")}\n`);
  if (stanzas.length > 0) files.set("debian.sources", `${stanzas.join("\n\n")}\n`);
  if (files.size === 0)
    throw new Error(
      `this host's apt has no source of Debian '${suite}' (component main): add one under ${aptDirectory} and try again`,
    );
  return files;
}

function isSuite(word: string, suite: string): boolean {
  return [suite, `${suite}-updates`, `${suite}-security`].includes(word.replace(/\/updates$/, ""));
}

function oneLineSources(text: string, suite: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => {
      const [type, , name = "", ...components] = line.replace(/\[[^\]]*\]\s*/, "").split(/\s+/);
      return type === "deb" && isSuite(name, suite) && components.includes("main");
    });
}

function stanzaSources(text: string, suite: string): string[] {
  return text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n")
    .split(/\n\s*\n/)
    .map((stanza) => stanza.trim())
    .filter((stanza) => {
      const words = (name: string) =>
        (new RegExp(`^${name}:(.*)$`, "im").exec(stanza)?.[1] ?? "").trim().split(/\s+/);
      if (words("Enabled")[0]?.toLowerCase() === "no" || !words("Types").includes("deb"))
        return false;
      return words("Suites").some((s) => isSuite(s, suite)) && words("Components").includes("main");
    });
}

/** The lines of the host's apt configuration that say how to fetch. */
export async function aptFetchOptions(run: Run): Promise<string> {
  const { stdout } = await run(["apt-config", "dump", "Acquire"]);
  const kept = /^Acquire::(Check-Valid-Until|Check-Date|Retries|ForceIPv[46]|https?::[^ ]+) ".+";$/;
  return stdout
    .split("\n")
    .filter((line) => kept.test(line))
    .map((line) => `${line}\n`)
    .join("");
}
