// The quick checks: types (whole tree, and the pure lens for the domain), style, walls, generated
// files. Prints one line a check and exits 1 when any fails.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { checkWalls } from "./walls.ts";

const root = resolve(import.meta.dirname, "..");

function run(name: string, args: string[]): boolean {
  const done = spawnSync(args[0] ?? "", args.slice(1), { cwd: root, encoding: "utf8" });
  const ok = done.status === 0;
  console.log(`${ok ? "ok  " : "FAIL"} ${name}`);
  if (!ok) console.log(`${done.stdout}${done.stderr}`);
  return ok;
}

const tsc = join(root, "node_modules/typescript7/bin/tsc");
const results = [
  run("types", [process.execPath, tsc, "-p", "tsconfig.json"]),
  run("types of the domain without Node", [process.execPath, tsc, "-p", "tsconfig.pure.json"]),
  run("types of the web app", [process.execPath, tsc, "-p", "tsconfig.web.json"]),
  run("style", ["node_modules/.bin/biome", "check", "--max-diagnostics=50", "."]),
];
const problems = checkWalls(root);
console.log(`${problems.length === 0 ? "ok  " : "FAIL"} walls`);
for (const problem of problems) console.log(`  ${problem}`);
results.push(problems.length === 0);
if (existsSync(join(root, "tools/gen.ts")))
  results.push(
    run("generated files are current", ["sh", "tools/run.sh", "tools/gen.ts", "--check"]),
  );
process.exitCode = results.every(Boolean) ? 0 : 1;
