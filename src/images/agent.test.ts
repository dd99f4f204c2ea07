// The guest's C program outside of a VM: it compiles without a warning, and its parsers take nearly right bytes without
// a wrong access to memory (sanitizers end the program at the first).

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "#lib/run.ts";
import { ensureBuildPackages } from "./host-apt.ts";
import { GUEST_DIRECTORY } from "./recipe.ts";

test("the guest's parsers take whatever bytes without a wrong access", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "berth-fuzz-"));
  t.after(() => rm(directory, { recursive: true }));
  await ensureBuildPackages(run); // The compiler.
  const program = join(directory, "fuzz");
  const agent = "bytes control exec program session sessions attached tunnel".split(" ");
  const sources = ["test/fuzz.c", ...agent.map((name) => `agent/${name}.c`)];
  const sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
  const gcc = ["gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", ...sanitizers];
  const files = sources.map((name) => join(GUEST_DIRECTORY, name));
  await run([...gcc, "-o", program, ...files], { timeoutMs: 5 * 60_000 });
  // Memory that a connection's process has at its end is no leak.
  const quiet = ["env", "ASAN_OPTIONS=detect_leaks=0"];
  for (const seed of ["1", "2", "3"]) {
    const fuzz = await run([...quiet, program, seed, "20000", "100"], { timeoutMs: 5 * 60_000 });
    assert.equal(fuzz.stdout, "done\n");
  }
});
