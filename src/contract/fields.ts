// The small pieces that every resource's schema is made of: names, references, text, times, pages.

import { z } from "zod";

/** What Postgres and JSON can both keep: no NUL, no half surrogate pair. */
const storable = (text: string) => text.isWellFormed() && !text.includes("\0");

export function text(maxLength: number) {
  return z.string().max(maxLength).refine(storable, "must be valid Unicode without NUL characters");
}

/** Text of one line: no line breaks and no other control characters. */
export function line(maxLength: number) {
  return text(maxLength).regex(/^[^\p{Cc}]*$/u, "must be one line without control characters");
}

export const NAME_PATTERN = /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/;

/** Names double as host names, and cannot look like ids because ids have an underscore. */
export const nameSchema = z
  .string()
  .regex(
    NAME_PATTERN,
    "must be 1 to 40 lowercase letters, digits and hyphens, begin with a letter and not end with a hyphen",
  );

const MAX_LABELS = 32;

/** What operators say about nodes, and boxes ask for. */
export const labelsSchema = z
  .record(z.string().regex(/^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/, "must be a label"), line(128))
  .refine(
    (labels) => Object.keys(labels).length <= MAX_LABELS,
    `has more than ${MAX_LABELS} labels`,
  );

export function idSchema(prefix: string) {
  return z.string().describe(`An id: ${prefix}_ and 20 characters.`);
}

/** An id or a name, as a path or body names an existing resource. */
export function refSchema(what: string) {
  return z
    .string()
    .max(64)
    .regex(/^[a-z0-9][a-z0-9_-]*$/, `must be the id or the name of a ${what}`)
    .describe(`Id or name of the ${what}.`);
}

/** Of a template: its versions are counted from 1. */
export const versionNumber = z.number().int().min(1).max(1_000_000);

export const timeSchema = z.iso.datetime().describe("ISO 8601 in UTC.");

export const DEFAULT_PAGE = 50;
export const MAX_PAGE = 200;

/** The query of a list; spread into the resource's own filters. */
export const pageQuery = {
  cursor: z.string().max(512).optional().describe("Where to go on: `nextCursor` of the last page."),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE).describe("Page size."),
};

export function pageOf<Item extends z.ZodType>(item: Item, id: string) {
  return z
    .object({
      items: z.array(item),
      nextCursor: z.string().nullable().describe("Null on the last page."),
    })
    .meta({ id });
}
