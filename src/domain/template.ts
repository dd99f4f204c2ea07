// Templates: what a definition means for a build and for the boxes that are made from it.

import type { BoxSpec } from "./box.ts";

/** As stored: every default filled in (contract/templates.ts checks it). */
export interface TemplateRecipe {
  readonly name: string;
  readonly base: string;
  readonly packages: readonly string[];
  readonly setup: string | null;
  readonly repository: {
    readonly url: string;
    readonly ref: string | null;
    readonly path: string | null;
  } | null;
  readonly size: BoxSpec;
  readonly env: Readonly<Record<string, string>>;
  readonly hooks: { readonly onResume: string | null; readonly onFork: string | null };
}

export interface BuildStep {
  readonly name: string;
  readonly user: "root" | "dev";
  readonly argv: readonly string[];
  readonly timeoutMs: number;
}

const PACKAGES_TIMEOUT_MS = 60 * 60_000;
const CHECKOUT_TIMEOUT_MS = 60 * 60_000;
const SETUP_TIMEOUT_MS = 2 * 60 * 60_000;

/** What a definition runs in a started box, in order. Every step may run twice: a build can crash. */
export function planBuild(recipe: TemplateRecipe): BuildStep[] {
  const steps: BuildStep[] = [];
  if (recipe.packages.length > 0)
    steps.push({
      name: "packages",
      user: "root",
      argv: ["/bin/sh", "-ec", INSTALL, "install", ...recipe.packages],
      timeoutMs: PACKAGES_TIMEOUT_MS,
    });
  if (recipe.repository) {
    const { url, ref, path } = recipe.repository;
    steps.push({
      name: "repository",
      user: "dev",
      argv: ["/bin/sh", "-ec", CHECKOUT, "checkout", url, path ?? nameOf(url), ref ?? ""],
      timeoutMs: CHECKOUT_TIMEOUT_MS,
    });
  }
  if (recipe.setup !== null && recipe.setup.trim() !== "")
    steps.push({
      name: "setup",
      user: "dev",
      // A login shell, as the user has; the first command that fails ends it, and the build with it.
      argv: ["/bin/bash", "-lc", `set -e\n${recipe.setup}`],
      timeoutMs: SETUP_TIMEOUT_MS,
    });
  return steps;
}

// Values come as arguments and are never part of the script's text.
const INSTALL = `export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends -- "$@"
apt-get clean`;

const CHECKOUT = `cd /home/dev
[ -d "$2/.git" ] || { rm -rf -- "$2"; git clone -- "$1" "$2"; }
[ -z "$3" ] || git -C "$2" checkout --detach "$3" 2>/dev/null || git -C "$2" checkout "$3"`;

/** The directory that git itself would choose. */
function nameOf(url: string): string {
  const last = url.replace(/\/+$/, "").split(/[/:]/).at(-1) ?? "";
  return last.replace(/\.git$/, "") || "repository";
}
