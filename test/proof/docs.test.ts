// Pages that name files must name files that exist.

import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "../..");
const PATH = /`((?:src|gen|docs|tools|guest|test|rfd)\/[\w./-]+\.\w+)`/g;
const LINK = /\]\((?!https?:|#|mailto:)([^)#\s]+)/g;

test("every path and link in the documentation leads somewhere", () => {
  const pages = globSync(["*.md", "docs/*.md", "rfd/*.md", "guest/*.md"], { cwd: root });
  assert.ok(pages.length > 8);
  const broken: string[] = [];
  let checked = 0;
  for (const page of pages) {
    const text = readFileSync(join(root, page), "utf8");
    for (const [, path = ""] of text.matchAll(PATH)) {
      checked += 1;
      if (!existsSync(join(root, path))) broken.push(`${page}: ${path}`);
    }
    for (const [, link = ""] of text.matchAll(LINK)) {
      checked += 1;
      if (!existsSync(resolve(root, dirname(page), link))) broken.push(`${page}: ${link}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(checked > 20, "the patterns find nothing");
});
