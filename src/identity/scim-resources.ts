// Users and groups as SCIM writes them (RFC 7643), and what they are here. What a directory says of a person beyond that is
// kept and said back.

import type { ScimUserFields, ScimUserView } from "#store/scim.ts";
import type { ScimGroupFields, ScimGroupView } from "#store/scim-groups.ts";
import { ScimError } from "./scim-error.ts";
import { fieldOf, isObject } from "./scim-patch.ts";

type Json = Record<string, unknown>;

export const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
export const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";
export const LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
export const ERROR = "urn:ietf:params:scim:api:messages:2.0:Error";
const MAX_ATTRIBUTES_BYTES = 64 * 1024;
const MAX_MEMBERS = 20_000;
/** Ours to say, whatever a directory sends. */
const OWN = ["id", "meta", "groups", "schemas", "password"];

export function userOf(user: ScimUserView, base: string): Json {
  const location = `${base}/Users/${user.id}`;
  return {
    ...user.attributes,
    schemas: [USER, ...Object.keys(user.attributes).filter((key) => key.startsWith("urn:"))],
    id: user.id,
    ...(user.externalId === null ? {} : { externalId: user.externalId }),
    userName: user.userName,
    active: user.isActive,
    groups: user.groups.map(({ id, name }) => ({
      ...{ value: id, display: name, $ref: `${base}/Groups/${id}` },
    })),
    meta: metaOf("User", user, location),
  };
}

export function groupOf(group: ScimGroupView, base: string, withMembers: boolean): Json {
  const location = `${base}/Groups/${group.id}`;
  return {
    schemas: [GROUP],
    id: group.id,
    ...(group.externalId === null ? {} : { externalId: group.externalId }),
    displayName: group.displayName,
    ...(withMembers
      ? {
          members: group.members.map(({ id, name }) => ({
            ...{ value: id, display: name, $ref: `${base}/Users/${id}`, type: "User" },
          })),
        }
      : {}),
    meta: metaOf("Group", group, location),
  };
}

function metaOf(
  resourceType: string,
  of: { readonly createdAt: Date; readonly changedAt: Date; readonly version: number },
  location: string,
): Json {
  return {
    resourceType,
    created: of.createdAt.toISOString(),
    lastModified: of.changedAt.toISOString(),
    version: `W/"${of.version}"`,
    location,
  };
}

export function readUser(body: unknown): ScimUserFields {
  if (!isObject(body)) throw new ScimError(400, "invalidSyntax", "A user is an object.");
  const attributes = Object.fromEntries(
    Object.entries(body).filter(([key]) => !OWN.includes(key.toLowerCase())),
  );
  if (Buffer.byteLength(JSON.stringify(attributes)) > MAX_ATTRIBUTES_BYTES)
    throw new ScimError(413, "tooMany", "A user has at most 64 KiB of attributes.");
  const userName = textOf(fieldOf(body, "userName"), "userName", 320);
  if (userName === null) throw new ScimError(400, "invalidValue", "A user has a userName.");
  return {
    userName,
    externalId: textOf(fieldOf(body, "externalId"), "externalId", 320),
    email: emailOf(fieldOf(body, "emails")),
    isActive: booleanOf(fieldOf(body, "active")) ?? true,
    attributes,
  };
}

export function readGroup(body: unknown): ScimGroupFields {
  if (!isObject(body)) throw new ScimError(400, "invalidSyntax", "A group is an object.");
  const displayName = textOf(fieldOf(body, "displayName"), "displayName", 256);
  if (displayName === null) throw new ScimError(400, "invalidValue", "A group has a displayName.");
  const members = fieldOf(body, "members") ?? [];
  if (!Array.isArray(members) || members.length > MAX_MEMBERS)
    throw new ScimError(400, "invalidValue", `members is a list of at most ${MAX_MEMBERS}.`);
  return {
    displayName,
    externalId: textOf(fieldOf(body, "externalId"), "externalId", 320),
    members: members.map((member: unknown) => {
      const id = isObject(member) ? fieldOf(member, "value") : member;
      if (typeof id !== "string")
        throw new ScimError(400, "invalidValue", "A member is named by its value.");
      return id;
    }),
  };
}

/** The primary one, else the first. */
function emailOf(emails: unknown): string | null {
  if (emails === undefined || emails === null) return null;
  if (!Array.isArray(emails)) throw new ScimError(400, "invalidValue", "emails is a list.");
  const all = emails.filter(isObject);
  const one = all.find((email) => booleanOf(fieldOf(email, "primary")) === true) ?? all[0];
  return one ? textOf(fieldOf(one, "value"), "emails.value", 320) : null;
}

/** Entra sends booleans as text. */
function booleanOf(value: unknown): boolean | null {
  if (value === undefined || value === null) return null;
  const word = typeof value === "string" ? value.toLowerCase() : value;
  if (word === true || word === "true") return true;
  if (word === false || word === "false") return false;
  throw new ScimError(400, "invalidValue", "active is true or false.");
}

function textOf(value: unknown, name: string, maxLength: number): string | null {
  if (value === undefined || value === null || value === "") return null;
  const isFine =
    typeof value === "string" &&
    value.length <= maxLength &&
    value.isWellFormed() &&
    !/\p{Cc}/u.test(value);
  if (isFine) return value;
  throw new ScimError(
    400,
    "invalidValue",
    `${name} is one line of at most ${maxLength} characters.`,
  );
}
