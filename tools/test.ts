// npm test. Runs the quick checks, then every test file in a process of its own: the fast ones two
// at a time, then those that start VMs (*.vm.test.ts) one after another, with those beside them that
// need little but Postgres. Closes with a line "N passed, N failed". `npm test -- NAME …` runs the
// files whose path contains a NAME, --fast those without VMs, --vm those with.

import { spawn, spawnSync } from "node:child_process";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "#lib/run.ts";
import { buildWebApp, isWebAppCurrent } from "#main/web-app.ts";
import { clearTestRun, openTestRun } from "#test/harness/test-run.ts";
import { setUpHost } from "./host-setup.ts";

const root = resolve(import.meta.dirname, "..");
// A file takes a few minutes at most, and several times as long on a machine that does much else.
const FILE_TIMEOUT_MS = 15 * 60_000;
const TAIL_LINES = 100;
const isOfVms = (file: string) => file.endsWith(".vm.test.ts");
/** Needs a process and Postgres: VMs leave it room. */
const isLight = (file: string) => /^src\/(api|objects|reconciler|scheduler|store)\//.test(file);

interface Outcome {
  file: string;
  passed: number;
  failed: number;
  skipped: number;
  output: string;
  ms: number;
}

function runFile(file: string): Promise<Outcome> {
  const startedAt = performance.now();
  return new Promise((done) => {
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--test", "--test-reporter=spec", file],
      { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true },
    );
    let output = "";
    child.stdout.on("data", (d) => {
      output += d;
    });
    child.stderr.on("data", (d) => {
      output += d;
    });
    const timer = setTimeout(() => {
      output += `\n# killed: ran over ${FILE_TIMEOUT_MS / 60_000} minutes\n`;
      if (child.pid) process.kill(-child.pid, "SIGKILL");
    }, FILE_TIMEOUT_MS);
    child.on("close", (code) => {
      clearTimeout(timer);
      const count = (word: string) =>
        Number(output.match(new RegExp(`^ℹ ${word} (\\d+)$`, "m"))?.[1] ?? 0);
      const failed = count("fail") + count("cancelled");
      done({
        file,
        output,
        ms: performance.now() - startedAt,
        passed: count("pass"),
        skipped: count("skipped") + count("todo"),
        failed: failed === 0 && (code !== 0 || count("tests") === 0) ? 1 : failed,
      });
    });
  });
}

/** The tests that failed, each with its cause; else what was said last. The whole of it is in .berth/test-logs. */
function whatFailed(output: string): string {
  const at = output.indexOf("✖ failing tests:");
  return at < 0 ? output.split("\n").slice(-TAIL_LINES).join("\n") : output.slice(at);
}

async function runAll(files: string[], width: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = [...files];
  const worker = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const outcome = await runFile(file);
      outcomes.push(outcome);
      const log = join(root, ".berth/test-logs", `${file.replaceAll("/", "__")}.log`);
      writeFileSync(log, outcome.output);
      const word = outcome.failed === 0 ? "ok  " : "FAIL";
      console.log(
        `${word} ${file} (${outcome.passed} passed, ${outcome.failed} failed, ${(outcome.ms / 1000).toFixed(1)} s)`,
      );
      if (outcome.failed > 0) console.log(whatFailed(outcome.output).replace(/^/gm, "     "));
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return outcomes;
}

const groups = process.argv.slice(2).filter((arg) => arg.startsWith("--"));
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const chosen = globSync(["src/**/*.test.ts", "test/**/*.test.ts", "tools/**/*.test.ts"], {
  cwd: root,
})
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.includes(name)))
  .filter((file) => !groups.includes(isOfVms(file) ? "--fast" : "--vm"))
  // The long ones lie in test/: they begin first, so that both workers end together.
  .sort()
  .reverse();
mkdirSync(join(root, ".berth/test-logs"), { recursive: true });

await setUpHost();
if (!(await isWebAppCurrent())) {
  console.log("building the web app");
  await buildWebApp(run);
}
process.env.TMPDIR = await openTestRun(tmpdir());
let failed = 0;
let passed = 0;
if (wanted.length === 0) {
  const check = spawnSync("sh", ["tools/run.sh", "tools/check.ts"], {
    cwd: root,
    stdio: "inherit",
  });
  if (check.status === 0) passed += 1;
  else failed += 1;
}
const width = Math.min(2, availableParallelism());
const vms = chosen.filter(isOfVms);
const outcomes = [
  ...(await runAll(
    chosen.filter((file) => !isOfVms(file) && !isLight(file)),
    width,
  )),
  ...(await Promise.all([
    runAll(vms, 1),
    runAll(chosen.filter(isLight), vms.length > 0 ? 1 : width),
  ])),
].flat();
await clearTestRun(process.env.TMPDIR);
for (const outcome of outcomes) {
  passed += outcome.passed;
  failed += outcome.failed;
}
if (failed > 0)
  console.log(
    `\nfailed: ${
      outcomes
        .filter((o) => o.failed > 0)
        .map((o) => o.file)
        .join(", ") || "quick checks"
    }`,
  );
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
