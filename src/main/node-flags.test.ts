import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { run } from "#lib/run.ts";
import { nodeFlags } from "./node-flags.ts";

test("the launcher starts a gateway and a node as the supervisor does, with flags that Node knows", async () => {
  const launcher = await readFile(new URL("../../berth", import.meta.url), "utf8");
  const [common, ...own] = nodeFlags("node");
  assert.deepEqual(nodeFlags("gateway"), nodeFlags("node"));
  assert.deepEqual(nodeFlags("server"), [common]);
  assert.match(launcher, /case \$\{1-\} in gateway \| node\)/);
  assert.ok(launcher.includes(`flags="${own.join(" ")}"`), "the launcher has other flags");
  // A flag that this Node does not know would end it.
  await run([process.execPath, ...nodeFlags("node"), "-e", ""]);
});
