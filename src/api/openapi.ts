// The OpenAPI 3.1 document of the application, without the unused twin that every schema has (one for what
// may be sent, one for what is answered).

import type { FastifyInstance } from "fastify";

interface Document {
  components?: { schemas?: Record<string, unknown> };
  paths?: unknown;
}

const REF = /"#\/components\/schemas\/(\w+)"/g;

export function documentOf(app: FastifyInstance): object {
  const document = app.swagger() as Document;
  const schemas = document.components?.schemas ?? {};
  const used = reachable(document.paths, schemas);
  const nameOf = (name: string) => {
    const plain = name.replace(/Input$/, "");
    return used.has(plain) ? name : plain;
  };
  const kept = Object.fromEntries(
    [...used].sort().map((name) => [nameOf(name), schemas[name]] as const),
  );
  const pruned = { ...document, components: { ...document.components, schemas: kept } };
  return JSON.parse(
    JSON.stringify(pruned).replaceAll(
      REF,
      (_whole, name: string) => `"#/components/schemas/${nameOf(name)}"`,
    ),
  ) as object;
}

function reachable(from: unknown, schemas: Record<string, unknown>): Set<string> {
  const found = new Set<string>();
  const visit = (part: unknown) => {
    for (const [, name = ""] of JSON.stringify(part ?? null).matchAll(REF)) {
      if (found.has(name)) continue;
      found.add(name);
      visit(schemas[name]);
    }
  };
  visit(from);
  return found;
}
