// Makes any JSON value fit for Postgres, which takes neither NUL nor half surrogate pairs in text.

export function storable(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll("\0", "�").toWellFormed();
  if (Array.isArray(value)) return value.map(storable);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [storable(key), storable(part)]),
  );
}
