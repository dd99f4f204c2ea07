// Build plans: in order, with every value as an argument and never as shell text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { planBuild, type TemplateRecipe } from "./template.ts";

const bare: TemplateRecipe = {
  name: "base",
  base: "debian-12",
  packages: [],
  setup: null,
  repository: null,
  size: { cpus: 1, memoryMib: 1024, rootDiskGib: 10, homeDiskGib: 10 },
  env: {},
  hooks: { onResume: null, onFork: null },
};

test("packages as root, then the repository and the set-up as dev", () => {
  assert.deepEqual(planBuild(bare), []);
  const steps = planBuild({
    ...bare,
    packages: ["jq", "ripgrep"],
    repository: { url: "https://example.org/a/app.git", ref: "$(id)", path: null },
    setup: "make deps",
  });
  assert.deepEqual(
    steps.map((step) => [step.name, step.user]),
    [
      ["packages", "root"],
      ["repository", "dev"],
      ["setup", "dev"],
    ],
  );
  assert.deepEqual(steps[0]?.argv.slice(3), ["install", "jq", "ripgrep"]);
  assert.deepEqual(steps[1]?.argv.slice(3), [
    "checkout",
    "https://example.org/a/app.git",
    "app",
    "$(id)",
  ]);
  for (const step of steps.slice(0, 2)) assert.ok(!step.argv[2]?.includes("$(id)"));
  assert.deepEqual(steps[2]?.argv, ["/bin/bash", "-lc", "set -e\nmake deps"]);
});

test("the directory is the one that git would choose, unless it is given", () => {
  const directory = (url: string, path: string | null = null) =>
    planBuild({ ...bare, repository: { url, ref: null, path } })[0]?.argv[5];
  assert.equal(directory("git@github.com:a/b.git"), "b");
  assert.equal(directory("https://example.org/a/b/"), "b");
  assert.equal(directory("https://example.org/a/b", "src/b"), "src/b");
});
