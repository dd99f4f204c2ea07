// PATCH of a SCIM resource (RFC 7644, 3.5.2), as the directories in use send it: `op` in any case, values as an object
// without a path (Okta), booleans as text (Entra), members taken out by a filter or by a list. Attributes are found without
// regard to case. Works on a copy; whatever cannot be done is an error, and nothing of the request is.

import { ScimError } from "./scim-error.ts";

type Json = Record<string, unknown>;

export interface PatchOperation {
  readonly op: "add" | "remove" | "replace";
  readonly path: string | null;
  readonly value: unknown;
}

const MAX_OPERATIONS = 1000;
const PATH =
  /^(?<schema>urn:[\w:.-]+:)?(?<name>[\w$-]+)(?:\[\s*(?<by>[\w$-]+)\s+eq\s+"(?<equals>[^"]*)"\s*\])?(?:\.(?<sub>[\w$-]+))?$/i;
const CORE = /^urn:ietf:params:scim:schemas:core:2\.0:(?:user|group):$/i;

export function readOperations(body: unknown): PatchOperation[] {
  const list = isObject(body) ? fieldOf(body, "operations") : undefined;
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_OPERATIONS)
    throw new ScimError(400, "invalidSyntax", "A PATCH has a list of Operations.");
  return list.map((one: unknown) => {
    const op = isObject(one) ? String(fieldOf(one, "op")).toLowerCase() : "";
    const path = isObject(one) ? fieldOf(one, "path") : undefined;
    if (!["add", "remove", "replace"].includes(op) || !isObject(one))
      throw new ScimError(400, "invalidSyntax", "An operation is add, remove or replace.");
    if (path !== undefined && typeof path !== "string")
      throw new ScimError(400, "invalidPath", "A path is text.");
    return { op: op as PatchOperation["op"], path: path ?? null, value: fieldOf(one, "value") };
  });
}

export function applyPatch(resource: Json, operations: readonly PatchOperation[]): Json {
  const result = structuredClone(resource);
  for (const operation of operations) apply(result, operation);
  return result;
}

function apply(resource: Json, { op, path, value }: PatchOperation): void {
  if (path !== null) {
    applyAt(resource, op, path, value);
    return;
  }
  if (op === "remove") throw new ScimError(400, "noTarget", "To remove something, say its path.");
  if (!isObject(value))
    throw new ScimError(400, "invalidValue", "Without a path the value is an object.");
  // Keys may be paths themselves: {"name.givenName": "Ann"}.
  for (const [key, part] of Object.entries(value)) {
    if (/^urn:.*:(?:user|group)$/i.test(key) && isObject(part)) merge(resource, key, part, op);
    else applyAt(resource, op, key, part);
  }
}

function applyAt(resource: Json, op: PatchOperation["op"], path: string, value: unknown): void {
  const { groups } = PATH.exec(path) ?? {};
  if (!groups?.name || isPrototype(groups.name) || isPrototype(groups.sub ?? ""))
    throw new ScimError(400, "invalidPath", `The path '${path.slice(0, 80)}' is not understood.`);
  const { schema, name, by, equals, sub } = groups;
  const target =
    schema && !CORE.test(schema) ? extensionOf(resource, schema.slice(0, -1)) : resource;
  if (by !== undefined) applyFiltered(target, op, { name, by, equals: equals ?? "", sub }, value);
  else if (sub === undefined) set(target, op, name, value);
  else {
    const key = keyOf(target, name);
    const inner = target[key];
    if (!isObject(inner) && op === "remove") return;
    const whole = isObject(inner) ? inner : {};
    target[key] = whole;
    set(whole, op, sub, value);
  }
}

function set(target: Json, op: PatchOperation["op"], name: string, value: unknown): void {
  const key = keyOf(target, name);
  const before = target[key];
  if (op === "remove") {
    // Entra: the elements to take out of a list, as its value.
    if (Array.isArray(before) && Array.isArray(value) && value.length > 0)
      target[key] = before.filter((one) => !value.some((gone) => isSame(one, gone)));
    else delete target[key];
    return;
  }
  if (op === "add" && Array.isArray(before)) {
    const added = Array.isArray(value) ? value : [value];
    target[key] = [...before, ...added.filter((one) => !before.some((had) => isSame(had, one)))];
  } else if (isObject(before) && isObject(value)) target[key] = { ...before, ...value };
  else target[key] = value;
}

/** Elements of a list by one of their attributes: `members[value eq "scu_…"]`, `emails[type eq "work"].value`. */
function applyFiltered(
  target: Json,
  op: PatchOperation["op"],
  at: { name: string; by: string; equals: string; sub: string | undefined },
  value: unknown,
): void {
  const key = keyOf(target, at.name);
  const list: unknown[] = Array.isArray(target[key]) ? target[key] : [];
  const isMeant = (one: unknown) => isObject(one) && String(fieldOf(one, at.by)) === at.equals;
  if (op === "remove" && at.sub === undefined) {
    target[key] = list.filter((one) => !isMeant(one));
    return;
  }
  if (!list.some(isMeant)) {
    if (op === "remove") return;
    list.push({ [at.by]: at.equals });
  }
  target[key] = list.map((one) => {
    if (!isMeant(one)) return one;
    const changed: Json = { ...(one as Json) };
    if (at.sub !== undefined) set(changed, op, at.sub, value);
    else if (isObject(value)) Object.assign(changed, value);
    return changed;
  });
}

function merge(resource: Json, schema: string, part: Json, op: PatchOperation["op"]): void {
  const target = CORE.test(`${schema}:`) ? resource : extensionOf(resource, schema);
  for (const [key, value] of Object.entries(part)) set(target, op, key, value);
}

function extensionOf(resource: Json, schema: string): Json {
  const key = keyOf(resource, schema);
  const known = resource[key];
  const extension = isObject(known) ? known : {};
  resource[key] = extension;
  return extension;
}

/** By the element's value, else by all of it. */
function isSame(a: unknown, b: unknown): boolean {
  const key = (one: unknown) =>
    isObject(one) ? (fieldOf(one, "value") ?? JSON.stringify(one)) : one;
  return key(a) === key(b);
}

/** The key as the object has it. */
function keyOf(target: Json, name: string): string {
  const lower = name.toLowerCase();
  return Object.keys(target).find((key) => key.toLowerCase() === lower) ?? name;
}

export function fieldOf(target: Json, name: string): unknown {
  const key = keyOf(target, name);
  return Object.hasOwn(target, key) ? target[key] : undefined;
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPrototype(name: string): boolean {
  return ["__proto__", "constructor", "prototype"].includes(name);
}
