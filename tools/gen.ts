// npm run gen. Prints the contract into gen/: openapi.json, api-types.ts (for the SDK), routes.ts and
// errors.md; and domain/decide.ts as box-states.md. `--check` writes nothing and fails when a file is not what would be written.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import openapiTS, { astToString } from "openapi-typescript";
import { buildApp } from "#api/app.ts";
import { documentOf } from "#api/openapi.ts";
import type { Handlers } from "#api/route.ts";
import { ERRORS } from "#contract/errors.ts";
import type { Route } from "#contract/route.ts";
import { ROUTES } from "#contract/routes.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { Metrics } from "#lib/metrics.ts";
import { boxStatesPage } from "./box-states.ts";

const root = resolve(import.meta.dirname, "..");

async function openapi(): Promise<object> {
  const never = () => {
    throw new Error("the document needs no handler");
  };
  const app = await buildApp({
    handlers: Object.fromEntries(ROUTES.map((r) => [r.name, never])) as unknown as Handlers,
    authenticate: async () => null,
    dbFor: never,
    dashboardOrigin: "http://localhost",
    isUnavailable: () => false,
    ready: async () => {},
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics(),
    version: "",
    closing: new AbortController().signal,
  });
  await app.ready();
  const document = documentOf(app);
  await app.close();
  return document;
}

/** In the order of the path. */
function paramsOf({ path }: Route): string {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `"${name}"`).join(", ");
}

function routesFile(): string {
  const rows = (ROUTES as readonly Route[]).map(
    (r) =>
      `  { name: "${r.name}", method: "${r.method}", path: "/v1${r.path}", params: [${paramsOf(r)}], body: ${r.body !== undefined}, query: ${r.query !== undefined}, idempotencyKey: ${r.idempotencyKey === true}, stream: ${r.stream === true}, lines: ${r.lines === true} },`,
  );
  return `// Printed by tools/gen.ts from src/contract/routes.ts. Do not edit.

export const ROUTES = [
${rows.join("\n")}
] as const;
export type RouteName = (typeof ROUTES)[number]["name"];
`;
}

function errorsFile(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, e]) =>
      `| \`${code}\` | ${e.status} | ${e.title} | ${e.retryable ? "yes" : "no"} | ${e.next} |`,
  );
  return `# Errors

Printed by tools/gen.ts from src/contract/errors.ts. Every error is an \`application/problem+json\` with
\`code\`, \`detail\`, \`retryable\` and \`requestId\`. A code never changes its meaning.

| code | status | meaning | retryable | next step |
|---|---|---|---|---|
${rows.join("\n")}
`;
}

async function typesFile(document: object): Promise<string> {
  const ast = await openapiTS(structuredClone(document) as Parameters<typeof openapiTS>[0], {
    alphabetize: true,
    // A field with a default may be left out.
    defaultNonNullable: false,
  });
  return `// Printed by tools/gen.ts from gen/openapi.json. Do not edit.\n\n${astToString(ast)}`;
}

const document = await openapi();
const files: Record<string, string> = {
  "gen/openapi.json": `${JSON.stringify(document, null, 2)}\n`,
  "gen/api-types.ts": await typesFile(document),
  "gen/routes.ts": routesFile(),
  "gen/errors.md": errorsFile(),
  "gen/box-states.md": boxStatesPage(),
};

const isCheck = process.argv.includes("--check");
mkdirSync(join(root, "gen"), { recursive: true });
for (const [name, content] of Object.entries(files)) {
  const path = join(root, name);
  if (existsSync(path) && readFileSync(path, "utf8") === content) continue;
  if (isCheck) {
    console.log(`${name} is not what the contract says: run npm run gen`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, content);
    console.log(`wrote ${name}`);
  }
}
