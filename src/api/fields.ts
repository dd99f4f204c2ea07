// Says which field of a request is wrong, by its path, and for an unknown field what may have been meant.

import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { z } from "zod";
import type { FieldError } from "#contract/errors.ts";
import { nearestOf } from "#lib/nearest.ts";

export interface RequestSchemas {
  readonly body?: z.ZodType;
  readonly querystring?: z.ZodType;
  readonly params?: z.ZodType;
}

/** Fastify's word for a part of the request, and ours. */
const PARTS = { body: "body", querystring: "query", params: "path", headers: "header" } as const;
const MAX_FIELDS = 20;
/** Longer keys are no slip of the pen, and the comparison costs their length. */
const MAX_KEY = 64;

/** Null when the error is not about validation. */
export function fieldErrorsOf(error: unknown, schemas: RequestSchemas): FieldError[] | null {
  if (!hasZodFastifySchemaValidationErrors(error)) return null;
  const context = (error as { validationContext?: keyof typeof PARTS }).validationContext ?? "body";
  const part = PARTS[context];
  const schema = context === "headers" ? undefined : schemas[context];
  return error.validation.slice(0, MAX_FIELDS).flatMap((issue) => {
    const path = issue.instancePath.split("/").filter(Boolean);
    const at = [part, ...path].join(".");
    const keys =
      issue.keyword === "unrecognized_keys" ? (issue.params as { keys?: unknown }).keys : [];
    if (!Array.isArray(keys) || keys.length === 0)
      return [{ path: at, message: issue.message ?? "is not valid" }];
    const known = knownKeys(schema, path);
    return keys.slice(0, MAX_FIELDS).map((key) => ({
      path: `${at}.${String(key).slice(0, MAX_KEY)}`,
      message: unknownField(String(key), known),
    }));
  });
}

function unknownField(key: string, known: readonly string[]): string {
  const nearest = key.length <= MAX_KEY ? nearestOf(key, known) : null;
  if (nearest) return `unknown field: did you mean ${nearest}?`;
  return known.length > 0 ? `unknown field: it can be ${known.join(", ")}` : "unknown field";
}

/** The fields of the object at a path, through defaults, nullables and arrays. */
function knownKeys(schema: z.ZodType | undefined, path: readonly string[]): string[] {
  let here = unwrap(schema);
  for (const step of path) {
    if (here instanceof z.ZodObject) here = unwrap(here.shape[step] as z.ZodType | undefined);
    else if (here instanceof z.ZodArray) here = unwrap(here.element as z.ZodType);
    else return [];
  }
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
}

function unwrap(schema: z.ZodType | undefined): z.ZodType | undefined {
  let here = schema;
  while (
    here instanceof z.ZodOptional ||
    here instanceof z.ZodNullable ||
    here instanceof z.ZodDefault ||
    here instanceof z.ZodPrefault
  )
    here = here.unwrap() as z.ZodType;
  return here;
}
