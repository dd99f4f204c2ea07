// Opaque cursors: where a list goes on, for one list with its filters. The tag makes a changed cursor, or
// one of another list, an error instead of a wrong page. It is no secret: data access takes the subject.

import { createHash } from "node:crypto";
import { Problem } from "#contract/errors.ts";

const TAG_BYTES = 6;

/** `scope` names the list and its filters. */
export function encodeCursor(
  scope: readonly unknown[],
  position: string | number | readonly [number, number],
): string {
  const text = JSON.stringify(position);
  return Buffer.concat([tagOf(scope, text), Buffer.from(text)]).toString("base64url");
}

/** Two places, in two lists that are read as one. One number alone is the first of them. */
export function pairPosition(
  scope: readonly unknown[],
  cursor: string | undefined,
): readonly [number, number] {
  if (cursor === undefined) return [0, 0];
  const position = decodeCursor(scope, cursor);
  const [first, second = 0] = Array.isArray(position) ? position : [position];
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(second)) throw notOurs();
  return [first, second];
}

/** The position as text; null without a cursor. */
export function textPosition(scope: readonly unknown[], cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const position = decodeCursor(scope, cursor);
  if (typeof position !== "string" || position.includes("\0")) throw notOurs();
  return position;
}

/** The position as a whole number; null without a cursor. */
export function numberPosition(
  scope: readonly unknown[],
  cursor: string | undefined,
): number | null {
  if (cursor === undefined) return null;
  const position = decodeCursor(scope, cursor);
  if (!Number.isSafeInteger(position)) throw notOurs();
  return position as number;
}

function decodeCursor(scope: readonly unknown[], cursor: string): unknown {
  const bytes = Buffer.from(cursor, "base64url");
  const text = bytes.subarray(TAG_BYTES).toString();
  const isOurs =
    bytes.toString("base64url") === cursor &&
    bytes.length > TAG_BYTES &&
    bytes.subarray(0, TAG_BYTES).equals(tagOf(scope, text));
  if (!isOurs) throw notOurs();
  return JSON.parse(text) as unknown;
}

function notOurs(): Problem {
  return new Problem("invalid_cursor", "The cursor does not belong to this list.");
}

function tagOf(scope: readonly unknown[], text: string): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([scope, text]))
    .digest()
    .subarray(0, TAG_BYTES);
}

/** What a list gives back, from one row more than was asked for. */
export function pageFrom<Row, Item>(
  rows: readonly Row[],
  limit: number,
  scope: readonly unknown[],
  positionOf: (row: Row) => string | number,
  shape: (row: Row) => Item,
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return {
    items: shown.map(shape),
    nextCursor: last === undefined ? null : encodeCursor(scope, positionOf(last)),
  };
}
