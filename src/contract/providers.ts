// Identity providers (OpenID Connect), and the tokens of directories (SCIM).

import { z } from "zod";
import { ORG_ROLES, TEAM_ROLES } from "#domain/permission.ts";
import { idSchema, line, nameSchema, pageOf, pageQuery, refSchema, timeSchema } from "./fields.ts";
import { madeWithSchema } from "./tokens.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** What a login itself says; nobody else may say it. */
const RESERVED = [
  ...["client_id", "redirect_uri", "response_type", "response_mode", "state", "nonce", "scope"],
  ...["code_challenge", "code_challenge_method", "request", "request_uri", "client_secret"],
];

const issuerSchema = z
  .url()
  .max(500)
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    const isPlain = url && !url.username && !url.password && !url.search && !url.hash;
    const isLocal =
      url?.protocol === "http:" && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
    return isPlain && (url.protocol === "https:" || isLocal);
  }, "must be an https address without a query (http only for this machine)");

const settings = {
  label: line(80).min(1).describe("What people see: `Log in with LABEL`."),
  clientId: line(500).min(1),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/, "must be a scope"))
    .max(30)
    .refine((scopes) => scopes.includes("openid"), "must have openid among them")
    .describe("`offline_access` lets a session go on for as long as the provider says yes."),
  parameters: z
    .record(z.string().regex(/^[a-z][a-z0-9_]{0,60}$/), line(500))
    .refine((all) => RESERVED.every((name) => !(name in all)), "names what a login says itself")
    .describe('Added to every request, such as `{ "prompt": "login" }`.'),
  isTrusted: z
    .boolean()
    .describe(
      "An operator answers for it: it may be at a private address, and the e-mail addresses that it has verified are people's.",
    ),
  admitsNewUsers: z
    .boolean()
    .describe("False: only who was invited, or is in the directory, becomes a user by logging in."),
  emailDomains: z
    .array(z.string().regex(/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, "must be a domain in lower case"))
    .max(100)
    .describe("Only verified addresses at these are let in; empty: any."),
  groupsClaim: line(100)
    .min(1)
    .describe("The claim that lists a person's groups; dots lead into it."),
  defaultRole: z
    .enum(ORG_ROLES)
    .nullable()
    .describe("Of whoever no group gives a role in this organization; null: they are not let in."),
  sessionMaxMs: z
    .number()
    .int()
    .min(MINUTE_MS)
    .max(90 * DAY_MS)
    .describe("No session lasts longer, whatever the provider says."),
  checkEveryMs: z
    .number()
    .int()
    .min(5_000)
    .max(DAY_MS)
    .describe("How often the provider is asked whether a session may go on."),
  memberMaxAgeMs: z
    .number()
    .int()
    .min(DAY_MS / 24)
    .max(3660 * DAY_MS)
    .nullable()
    .describe(
      "So long a member's tokens and SSH keys work without a word of the provider about them; then they wait for the next login. Null: until the provider refuses them.",
    ),
};

const secretSchema = line(2000).min(1);

export const providerSchema = z
  .object({
    id: idSchema("idp"),
    name: z.string(),
    isOfInstallation: z.boolean().describe("For everybody; its operators look after it."),
    issuer: z.string(),
    ...settings,
    parameters: z.record(z.string(), z.string()),
    hasClientSecret: z.boolean(),
    defaultOrg: idSchema("org").nullable().describe("Where `defaultRole` is."),
    redirectUri: z.string().describe("What to register at the provider for logging in."),
    logoutUri: z.string().describe("What to register for back-channel log-out."),
    loginUrl: z.string().describe("Where people log in by it."),
    createdAt: timeSchema,
  })
  .meta({ id: "Provider" });
export type Provider = z.infer<typeof providerSchema>;

export const providerPage = pageOf(providerSchema, "ProviderPage");
export const providerQuery = z.strictObject(pageQuery);
export const providerParams = z.strictObject({ provider: refSchema("provider") });

export const createProviderSchema = z
  .strictObject({
    name: nameSchema,
    isOfInstallation: z.boolean().default(false).describe("For everybody; for operators."),
    issuer: issuerSchema.describe("As the provider writes it in its discovery document."),
    ...settings,
    clientSecret: secretSchema.optional().describe("Without one: a public client."),
    scopes: settings.scopes.default(["openid", "profile", "email", "offline_access"]),
    parameters: settings.parameters.default({}),
    isTrusted: settings.isTrusted.default(false),
    admitsNewUsers: settings.admitsNewUsers.default(true),
    emailDomains: settings.emailDomains.default([]),
    groupsClaim: settings.groupsClaim.default("groups"),
    defaultRole: settings.defaultRole.default(null),
    sessionMaxMs: settings.sessionMaxMs.default(DAY_MS / 2),
    checkEveryMs: settings.checkEveryMs.default(5 * MINUTE_MS),
    memberMaxAgeMs: settings.memberMaxAgeMs.default(null),
  })
  .meta({ id: "CreateProvider" });

export const updateProviderSchema = z
  .strictObject({
    name: nameSchema,
    ...settings,
    clientSecret: secretSchema.nullable().describe("Null: a public client."),
  })
  .partial()
  .meta({ id: "UpdateProvider" });

const groupRole = z
  .strictObject({
    group: line(256).min(1).describe("As the provider or the directory calls it."),
    role: z.enum([...new Set([...ORG_ROLES, ...TEAM_ROLES])] as [string, ...string[]]),
    team: refSchema("team").nullable().default(null).describe("Null: at the organization itself."),
  })
  .refine(
    ({ role, team }) =>
      (team === null
        ? (ORG_ROLES as readonly string[])
        : (TEAM_ROLES as readonly string[])
      ).includes(role),
    "is no role of that kind",
  );

export const providerGroupsSchema = z
  .object({
    groups: z.array(
      z.object({ group: z.string(), role: z.string(), team: idSchema("team").nullable() }),
    ),
  })
  .meta({ id: "ProviderGroups" });

export const setProviderGroupsSchema = z
  .strictObject({ groups: z.array(groupRole).max(500) })
  .meta({ id: "SetProviderGroups" });

export const scimTokenSchema = z
  .object({
    id: idSchema("sct"),
    name: z.string(),
    createdAt: timeSchema,
    lastUsedAt: timeSchema.nullable().describe("To the minute; null: not yet."),
    expiresAt: timeSchema
      .nullable()
      .describe("With the token that it was made with; null: never by itself."),
    madeWith: madeWithSchema,
  })
  .meta({ id: "ScimToken" });
export type ScimToken = z.infer<typeof scimTokenSchema>;

export const createdScimTokenSchema = scimTokenSchema
  .extend({
    token: z.string().describe("The token itself. Shown only here."),
    baseUrl: z.string().describe("Where the directory sends its users and groups."),
  })
  .meta({ id: "CreatedScimToken" });

export const createScimTokenSchema = z
  .strictObject({ name: line(80).min(1) })
  .meta({ id: "CreateScimToken" });

export const scimTokenPage = pageOf(scimTokenSchema, "ScimTokenPage");
export const scimTokenParams = z.strictObject({ token: refSchema("SCIM token") });
