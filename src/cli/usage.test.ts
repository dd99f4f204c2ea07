// `berth usage`, `berth price` and `berth budget` against a real control plane and a node with the fake driver.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inProcessBerth } from "#test/harness/in-process.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { EXIT } from "./exit.ts";

let dir: string;
let berth: Awaited<ReturnType<typeof inProcessBerth>>;
const closing: (() => Promise<void>)[] = [];

before(async () => {
  berth = await inProcessBerth({ after: (close) => void closing.push(close) });
  dir = await mkdtemp(join(tmpdir(), "berth-usage-"));
  const size = "{ cpus: 2, memoryMib: 256, rootDiskGib: 4, homeDiskGib: 1 }";
  await writeFile(join(dir, "small.yaml"), `name: default\nsize: ${size}\n`);
  await ok("template", "create", "-f", join(dir, "small.yaml"));
});
after(async () => {
  for (const close of closing) await close();
  await rm(dir, { recursive: true, force: true });
});

async function run(...argv: string[]) {
  const terminal = recordedTerminal({ env: { BERTH_URL: berth.url, BERTH_TOKEN: berth.token } });
  const code = await runBerth(terminal, argv);
  return { code, out: terminal.written.out, err: terminal.written.err };
}

async function ok(...argv: string[]) {
  const done = await run(...argv);
  assert.equal(done.code, EXIT.ok, `berth ${argv.join(" ")}: ${done.err}`);
  return done;
}

test("prices are set, told before a box is created, and seen in usage and budgets", async () => {
  assert.match((await ok("price")).out, /Nothing has a price/);
  assert.match((await run("budget", "set", "5")).err, /no prices yet/);
  const set = await ok("price", "set", "vcpu=0.5", "disk_paused=0.01", "--currency", "EUR");
  assert.match(set.out, /vcpu +0\.5 EUR +vCPU-hour/);
  assert.match((await run("price", "set", "vcpu")).err, /Write NAME=VALUE/);
  assert.match(
    (await ok("price", "estimate")).out,
    /running +1\.00 EUR an hour\npaused +0\.05 EUR/,
  );
  assert.match((await ok("create", "web")).err, /costs 1\.00 EUR an hour while it runs, 0\.05 EUR/);
  assert.match((await ok("budget")).out, /no budget/);
  const budget = await ok("budget", "set", "500", "--policy", "refuse", "--warn-at", "75,90");
  assert.match(budget.out, /\(organization\) +500\.00 EUR .*refuse +open/);
  const { out } = await ok("usage", "--by", "box", "--step", "hour");
  assert.match(out, /OF +RESOURCE.*\n[\s\S]*web +vcpu +[\d.]+ +vCPU-hour +[\d.]+ EUR/);
  assert.match(out, /EUR from \S+ to \S+\n$/);
  const exported = await ok("usage", "export");
  assert.match(exported.err, /^\S+\n$/);
  assert.equal((await ok("usage", "export", "--after", exported.err.trim())).out, "");
  const [one] = JSON.parse((await ok("budget", "list", "-o", "json")).out);
  await ok("budget", "delete", one.id);
  assert.match((await run("usage", "--by", "planet")).err, /Allowed choices/);
});

test("a spent budget says so where a box is created", async () => {
  await ok("budget", "set", "0.000000001", "--policy", "refuse");
  const { code, err } = await run("create", "late");
  assert.notEqual(code, EXIT.ok);
  assert.match(err.replaceAll(/\s+/g, " "), /monthly budget of the organization .* is spent/);
  assert.match((await ok("budget")).out, /nothing starts until/);
});

test("an operator sets and sees what one organization pays", async () => {
  await ok("org", "create", "acme");
  await ok("price", "set", "vcpu=0.25", "--org", "acme");
  assert.match(
    (await ok("price", "list", "--org", "acme")).out,
    /vcpu +0\.25 EUR +vCPU-hour +.* \(price of acme; others: 0\.5\)/,
  );
  assert.match((await ok("price")).out, /vcpu +0\.5 EUR/);
  assert.match((await run("price", "list", "--org", "none")).err, /no organization 'none'/);
});
