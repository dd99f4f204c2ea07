// Prints the schema that src/store/migrations make to gen/schema.sql. src/store/schema.test.ts holds it current.

import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { testDatabase } from "#test/harness/database.ts";
import { dumpSchema } from "#test/harness/schema-dump.ts";

const cleanups: (() => Promise<void>)[] = [];
const { db } = await testDatabase({
  after: (work) => void cleanups.push(work),
});
try {
  const path = join(resolve(import.meta.dirname, ".."), "gen/schema.sql");
  writeFileSync(path, await dumpSchema(db));
  console.log(`wrote ${path}`);
} finally {
  for (const cleanup of cleanups) await cleanup();
}
