import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { checkWalls } from "./walls.ts";

function treeWith(files: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), "berth-walls-"));
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, "src", file)), { recursive: true });
      writeFileSync(join(root, "src", file), text);
    }
    return checkWalls(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("this tree keeps its walls", () => {
  assert.deepEqual(checkWalls(resolve(import.meta.dirname, "..")), []);
});

test("SQL outside the store, processes in the domain and the clock in a loop are refused", () => {
  const refused = (files: Record<string, string>, pattern: RegExp) =>
    assert.match(treeWith(files).join("\n"), pattern);
  refused({ "api/a.ts": 'import pg from "pg";\n' }, /api may not import the package pg/);
  refused(
    { "domain/a.ts": 'import { spawn } from "node:child_process";\n' },
    /domain may not import node:child_process/,
  );
  refused({ "node/a.ts": 'import { db } from "#store/db.ts";\n' }, /node may not import store/);
  refused(
    { "api/a.ts": 'import { x } from "../scheduler/x.ts";\n' },
    /api may not import scheduler/,
  );
  refused(
    { "gateway/a.ts": 'export const x = await import("#store/db.ts");\n' },
    /gateway may not import store/,
  );
  refused({ "reconciler/a.ts": "export const now = Date.now();\n" }, /take a Clock/);
  refused({ "api/a.ts": "export const url = process.env.URL;\n" }, /config\.ts/);
  refused({ "attic/a.ts": "export {};\n" }, /no room 'attic'/);
  refused({ "lib/a.ts": "\n".repeat(600) }, /601 lines/);
});

test("an import cycle is named file by file", () => {
  const problems = treeWith({
    "lib/a.ts": 'import { b } from "./b.ts";\nexport const a = b;\n',
    "lib/b.ts": 'import { a } from "#lib/a.ts";\nexport const b = a;\n',
  });
  assert.deepEqual(problems, ["import cycle: src/lib/a.ts -> src/lib/b.ts -> src/lib/a.ts"]);
});
