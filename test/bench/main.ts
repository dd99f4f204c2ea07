// npm run bench: runs every module beside this file that exports `run`, prints one table, and with --write
// puts it into docs/bench.md. `npm run bench -- bytes` runs the modules named.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { basename, join, resolve } from "node:path";
import type { Row } from "#test/bench/row.ts";

const root = resolve(import.meta.dirname, "../..");
const page = join(root, "docs/bench.md");

const HEAD = `# Bench

What \`npm run bench\` printed. Ratios are theirs ÷ ours, so more is better; each is the median over interleaved
pairs, with the lowest and the highest pair beside it. Rows that lose stand here too.
`;

interface Module {
  readonly run: () => Promise<Row[]>;
}

const args = process.argv.slice(2);
const names = args.filter((arg) => !arg.startsWith("-"));
const unknown = args.filter((arg) => arg.startsWith("-") && arg !== "--write");
const all = globSync("*.ts", { cwd: import.meta.dirname })
  .map((file) => basename(file, ".ts"))
  .filter((name) => name !== "main" && name !== "row")
  .sort();
const wrong = names.filter((name) => !all.includes(name));
if (unknown.length > 0 || wrong.length > 0) {
  console.error(`bench: what is '${[...unknown, ...wrong].join(" ")}'?`);
  console.error(`usage: npm run bench -- [--write] [${all.join("] [")}]`);
  process.exit(2);
}

let failed = false;
for (const name of names.length > 0 ? names : all) {
  const module = (await import(`./${name}.ts`)) as Partial<Module>;
  if (!module.run) continue; // Shared by modules.
  console.log(`bench: ${name}`);
  try {
    const rows = await module.run();
    console.log(`${table(rows)}\n`);
    if (args.includes("--write")) write(name, rows);
  } catch (error) {
    failed = true;
    console.error(`bench: ${name} failed: ${(error as Error).stack}`);
  }
}
process.exitCode = failed ? 1 : 0;

function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return Math.abs(value) > 0 && Math.abs(value) < 0.1
    ? value.toPrecision(2)
    : value.toFixed(digits);
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.name,
    `${number(row.ours)} ${row.unit}`,
    `${number(row.theirs)} ${row.unit}`,
    `${number(row.ratio)}×`,
    `${number(row.spread[0])}–${number(row.spread[1])}`,
    String(row.n),
    row.note,
  ]);
  const header = ["what", "ours", "theirs", "ratio", "spread", "n", "note"];
  const rule = header.map(() => "---");
  return [header, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Replaces the module's own section and leaves those of the others. */
function write(name: string, rows: readonly Row[]): void {
  let text = HEAD;
  try {
    text = readFileSync(page, "utf8");
  } catch {
    // The first section makes the page.
  }
  const [open, close] = [`<!-- bench ${name} -->`, `<!-- end ${name} -->`];
  const date = new Date().toISOString().slice(0, 10);
  const cpu = cpus()[0]?.model ?? "unknown CPU";
  const machine = `${cpus().length} × ${cpu}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const load = loadavg()[2]!.toFixed(1); // Far above the bench's own 1 to 2: times are noisy.
  const section = `${open}
## ${name}

\`npm run bench -- ${name}\`, ${date}, on ${machine}, load average ${load}.

${table(rows)}
${close}`;
  const from = text.indexOf(open);
  const to = text.indexOf(close);
  const next =
    from >= 0 && to > from
      ? text.slice(0, from) + section + text.slice(to + close.length)
      : `${text.trimEnd()}\n\n${section}\n`;
  writeFileSync(page, next);
}
