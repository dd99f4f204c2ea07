// What the SCIM service says of itself (RFC 7643, 5 to 7): what it can, which resources it has, and of what they are made.

import { GROUP, USER } from "./scim-resources.ts";

export const MAX_RESULTS = 200;

type Json = Record<string, unknown>;

export function serviceConfig(base: string): Json {
  const no = { supported: false };
  return {
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: MAX_RESULTS },
    changePassword: no,
    sort: no,
    etag: no,
    authenticationSchemes: [
      {
        type: "oauthbearertoken",
        name: "Bearer token",
        description: "A SCIM token of the organization (POST /v1/scim-tokens).",
        primary: true,
      },
    ],
    meta: { resourceType: "ServiceProviderConfig", location: `${base}/ServiceProviderConfig` },
  };
}

export function resourceTypes(base: string): Json[] {
  return [
    ["User", "/Users", USER],
    ["Group", "/Groups", GROUP],
  ].map(([id, endpoint, schema]) => ({
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
    ...{ id, name: id, endpoint, schema },
    meta: { resourceType: "ResourceType", location: `${base}/ResourceTypes/${id}` },
  }));
}

export function schemas(base: string): Json[] {
  const meta = (id: string) => ({ resourceType: "Schema", location: `${base}/Schemas/${id}` });
  return [
    {
      schemas: [SCHEMA],
      ...{ id: USER, name: "User", description: "A person in the directory." },
      attributes: [
        attribute("userName", "string", { required: true, uniqueness: "server" }),
        attribute("externalId", "string", { caseExact: true }),
        attribute("displayName", "string"),
        attribute("name", "complex", {
          subAttributes: ["formatted", "givenName", "familyName"].map((one) =>
            attribute(one, "string"),
          ),
        }),
        attribute("emails", "complex", {
          multiValued: true,
          subAttributes: [
            ...[attribute("value", "string"), attribute("type", "string")],
            attribute("primary", "boolean"),
          ],
        }),
        attribute("active", "boolean"),
        attribute("groups", "complex", {
          ...{ multiValued: true, mutability: "readOnly" },
          subAttributes: ["value", "display", "$ref"].map((one) =>
            attribute(one, "string", { mutability: "readOnly" }),
          ),
        }),
      ],
      meta: meta(USER),
    },
    {
      schemas: [SCHEMA],
      ...{ id: GROUP, name: "Group", description: "A group of people: a team, or a role." },
      attributes: [
        attribute("displayName", "string", { required: true, uniqueness: "server" }),
        attribute("externalId", "string", { caseExact: true }),
        attribute("members", "complex", {
          multiValued: true,
          subAttributes: ["value", "display", "$ref", "type"].map((one) =>
            attribute(one, "string"),
          ),
        }),
      ],
      meta: meta(GROUP),
    },
  ];
}

const SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema";

function attribute(name: string, type: string, more: Json = {}): Json {
  return {
    ...{ name, type, multiValued: false, required: false, caseExact: false },
    ...{ mutability: "readWrite", returned: "default", uniqueness: "none" },
    ...more,
  };
}
