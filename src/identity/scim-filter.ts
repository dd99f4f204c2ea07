// The filters that directories send to find what they have made before: equality with one attribute, or several joined by
// `and` (RFC 7644, 3.4.2.2). Others are refused by name, and never taken for less than they ask.

import { ScimError } from "./scim-error.ts";

export interface Comparison {
  /** In lower case, without its schema: `username`, `emails.value`. */
  readonly attribute: string;
  readonly value: string | boolean;
}

const MAX_LENGTH = 1000;
const CONTROL = /\p{Cc}/u;
const SCHEMA = /^urn:ietf:params:scim:schemas:(?:core|extension):[\w:.]+:(?=[a-z$])/i;
const TERM =
  /^\s*(?<attribute>[\w:.$-]+(?:\[[^\]]*\](?:\.[\w$-]+)?)?)\s+eq\s+(?<value>"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-f]{4})*"|true|false)\s*/i;

/** Empty: everything. */
export function parseFilter(text: string | undefined): Comparison[] {
  if (text === undefined) return [];
  if (text.length > MAX_LENGTH) throw refused("it is too long");
  const found: Comparison[] = [];
  let rest = text;
  for (;;) {
    const { groups, 0: whole } = TERM.exec(rest) ?? { groups: undefined, 0: "" };
    if (!groups?.attribute || groups.value === undefined)
      throw refused('only ATTRIBUTE eq "VALUE" is known, joined by `and`');
    const attribute = attributeOf(groups.attribute);
    found.push({ attribute, value: readValue(attribute, groups.value) });
    rest = rest.slice(whole.length);
    if (rest === "") return found;
    const joined = /^and\s+/i.exec(rest);
    if (!joined) throw refused(`'${rest.slice(0, 40)}' is not understood`);
    rest = rest.slice(joined[0].length);
  }
}

/** Entra writes booleans as text, here too. What an attribute cannot be is no filter, and never everything. */
function readValue(attribute: string, text: string): string | boolean {
  const json = /^[tf]/i.test(text) ? text.toLowerCase() : text;
  const value: unknown = CONTROL.test(json) ? null : JSON.parse(json);
  if (attribute === "active") {
    const word = String(value).toLowerCase();
    if (word === "true" || word === "false") return word === "true";
  } else if (typeof value === "string" && value.isWellFormed() && !CONTROL.test(value))
    return value;
  throw refused(`what '${attribute}' is compared with is not understood`);
}

/** `emails[type eq "work"].value` finds by any address: a user here has one. */
export function attributeOf(text: string): string {
  return text
    .replace(SCHEMA, "")
    .replace(/\[[^\]]*\]/, "")
    .toLowerCase()
    .replace(/^emails$/, "emails.value");
}

function refused(why: string): ScimError {
  return new ScimError(400, "invalidFilter", `The filter is not one of ours: ${why}.`);
}
