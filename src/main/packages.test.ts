import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "#lib/run.ts";
import { installPackages, missingPackages, type Needed, PACKAGES } from "./packages.ts";

const there: Needed = { package: "coreutils", proof: "ls", why: "lists" };
const absent: Needed = { package: "no-such", proof: "no-such-program-anywhere", why: "never" };

test("what is missing is found by program or by file", async () => {
  const file: Needed = { package: "libfoo", proof: "/no/such/file", why: "never" };
  assert.deepEqual(await missingPackages([there, absent, file]), [absent, file]);
});

test("apt is asked to update first, then to install only what is missing, and asks nothing", async () => {
  const calls: string[][] = [];
  const run: Run = async (argv, options) => {
    assert.equal(options?.env?.DEBIAN_FRONTEND, "noninteractive");
    calls.push([...argv]);
    return { stdout: "", stderr: "" };
  };
  await installPackages([absent], run);
  assert.ok(calls[0]?.includes("update"));
  assert.ok(calls[1]?.includes("install") && calls[1].includes("-y"));
  assert.deepEqual(calls[1]?.slice(-1), ["no-such"]);
});

test("each package says why it is needed", () => {
  for (const entry of PACKAGES) assert.ok(entry.why.length > 10, entry.package);
  assert.equal(new Set(PACKAGES.map((entry) => entry.package)).size, PACKAGES.length);
});
