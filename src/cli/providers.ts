// Identity providers: who may log in and as what; and the tokens of directories. A secret is read from a file or from
// standard input: arguments are seen by everybody on the machine.

import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import type { BerthClient } from "#sdk/client.ts";
import { ask, list } from "./command.ts";
import { confirm } from "./confirm.ts";
import { CliError, EXIT } from "./exit.ts";
import { idOf } from "./names.ts";
import { collect, parseDurationMs } from "./options.ts";
import type { OrgRole } from "./orgs.ts";
import type { Session } from "./session.ts";
import { facts, table } from "./table.ts";
import { age, plain } from "./terminal.ts";

type Provider = Awaited<ReturnType<BerthClient["providers"]["get"]>>;
type Change = NonNullable<Parameters<BerthClient["providers"]["update"]>[1]>;
type Groups = Awaited<ReturnType<BerthClient["providers"]["groups"]>>["groups"];
type NewGroups = Parameters<BerthClient["providers"]["setGroups"]>[1]["groups"];

const PROVIDER = "name or id";

interface Settings {
  readonly label?: string;
  readonly clientId?: string;
  readonly secretFile?: string;
  readonly scope?: string[];
  readonly domain?: string[];
  readonly groupsClaim?: string;
  readonly defaultRole?: OrgRole | "none";
  readonly newUsers?: boolean;
  readonly trusted?: boolean;
  readonly sessionMax?: number;
  readonly checkEvery?: number;
  readonly memberMaxAge?: number | null;
}

function withSettings(command: Command): Command {
  return command
    .option("--label <label>", "what people see: Log in with LABEL")
    .option("--client-id <id>", "as the provider calls Berth")
    .option("--secret-file <file>", "the client's secret; '-': standard input")
    .option("--scope <scope>", "what is asked for (repeat)", collect)
    .option("--domain <domain>", "only verified addresses at it are let in (repeat)", collect)
    .option("--groups-claim <claim>", "where groups are, such as realm_access.roles")
    .option("--default-role <role>", "of whom no group gives one; 'none': they are not let in")
    .addOption(new Option("--new-users", "make users of those who log in").hideHelp())
    .option("--no-new-users", "let in only who was invited or is in the directory")
    .option("--trusted", "operators: its verified addresses are people's")
    .addOption(new Option("--no-trusted", "take that back").hideHelp())
    .option("--session-max <duration>", "no session lasts longer", parseDurationMs)
    .option("--check-every <duration>", "how often the provider is asked", parseDurationMs)
    .option(
      "--member-max-age <duration>",
      "tokens and keys wait when their owner has not been confirmed for so long; 'none': never",
      (text) => (text === "none" ? null : parseDurationMs(text)),
    );
}

async function readSettings(options: Settings): Promise<Change> {
  const { label, clientId, secretFile, scope, domain, groupsClaim, defaultRole } = options;
  const given: { [Name in keyof Change]: Change[Name] | undefined } = {
    ...{ label, clientId, scopes: scope, emailDomains: domain, groupsClaim },
    defaultRole: defaultRole === "none" ? null : defaultRole,
    ...{ admitsNewUsers: options.newUsers, isTrusted: options.trusted },
    ...{ sessionMaxMs: options.sessionMax, checkEveryMs: options.checkEvery },
    memberMaxAgeMs: options.memberMaxAge,
    clientSecret: secretFile === undefined ? undefined : await readSecret(secretFile),
  };
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as Change;
}

async function readSecret(file: string): Promise<string> {
  const text = await readFile(file === "-" ? "/dev/stdin" : file, "utf8").catch(() => null);
  const secret = text?.trim();
  if (secret) return secret;
  throw new CliError(`${file} holds no secret, or cannot be read.`, { exitCode: EXIT.usage });
}

export function addProviderCommands(program: Command, session: Session): void {
  const group = program.command("provider").summary("identity providers: how people log in");
  list(group, session, {
    summary: "list the providers of the installation and of this organization",
    examples: ["berth provider list"],
    load: (client, _none, page) => client.providers.list(page),
    headings: ["NAME", "LABEL", "ISSUER", "FOR", "DEFAULT ROLE"],
    row: (one) => [
      ...[one.name, one.label, one.issuer, one.isOfInstallation ? "everybody" : "here"],
      one.defaultRole ?? "-",
    ],
  });
  ask(group, session, "show", {
    summary: "show a provider, and the addresses to register there",
    examples: ["berth provider show corp"],
    args: { "<provider>": PROVIDER },
    run: (client, [name]: [string]) => client.providers.get(name),
    text: show,
  });
  addChanges(group, session);
  addGroupCommands(group, session);
  addDirectoryCommands(program, session);
}

function addChanges(group: Command, session: Session): void {
  ask(group, session, "add", {
    summary: "make a provider known; prints the addresses to register there",
    examples: [
      "berth provider add corp --issuer https://login.corp.example --client-id berth --secret-file secret",
      "berth provider add corp --issuer https://login.corp.example --for-all --default-role member",
    ],
    args: { "<name>": "what to call it" },
    options: (command) =>
      withSettings(command)
        .requiredOption("--issuer <url>", "as its discovery document says")
        .option("--for-all", "operators: of the whole installation"),
    run: async (
      client,
      [name]: [string],
      options: Settings & { readonly issuer: string; readonly forAll?: boolean },
    ) => {
      const { clientSecret, ...settings } = await readSettings(options);
      return client.providers.create({
        ...{ label: name, clientId: "to-be-set", ...settings, name, issuer: options.issuer },
        isOfInstallation: options.forAll ?? false,
        ...(clientSecret ? { clientSecret } : {}),
      });
    },
    text: show,
  });
  ask(group, session, "update", {
    summary: "change a provider",
    examples: [
      "berth provider update corp --client-id berth --secret-file -",
      "berth provider update corp --default-role none --domain corp.example",
    ],
    args: { "<provider>": PROVIDER },
    options: withSettings,
    run: async (client, [name]: [string], options: Settings) =>
      client.providers.update(name, await readSettings(options)),
    text: show,
  });
  ask(group, session, "remove", {
    summary: "remove a provider, with its sessions and the roles that it gave",
    examples: ["berth provider remove corp"],
    args: { "<provider>": PROVIDER },
    options: (command) => command.option("-y, --yes", "do not ask (a script is never asked)"),
    before: (options: { yes?: boolean }, [name = ""]) =>
      confirm(session, `Remove ${plain(name)}, and end all sessions by it?`, options),
    run: (client, [name]: [string]) => client.providers.delete(name),
    text: ({ name }) => `${name}\n`,
  });
}

function show(provider: Provider): string {
  return facts([
    ...([
      ["name", provider.name],
      ["id", provider.id],
      ["label", provider.label],
      ["issuer", provider.issuer],
      ["of", provider.isOfInstallation ? "the whole installation" : "this organization"],
      [
        "client",
        `${provider.clientId} (${provider.hasClientSecret ? "with" : "without"} a secret)`,
      ],
      ["asks for", provider.scopes.join(" ")],
      ["trusted", provider.isTrusted ? "yes" : "no"],
      ["new users", provider.admitsNewUsers ? "are let in" : "only invited, or in the directory"],
      ["domains", provider.emailDomains.join(", ") || "any"],
      ["groups in", provider.groupsClaim],
      ["default role", provider.defaultRole ?? "none: not let in"],
    ] as const),
    ["redirect URI", provider.redirectUri],
    ["log-out URI", provider.logoutUri],
    ["log in at", provider.loginUrl],
  ]);
}

const GROUP = "as the provider or the directory calls it";

function addGroupCommands(group: Command, session: Session): void {
  const text = ({ groups }: { readonly groups: Groups }) =>
    table(
      ["GROUP", "ROLE", "TEAM"],
      groups.map((one) => [one.group, one.role, one.team ?? "-"]),
    );
  ask(group, session, "groups", {
    summary: "show what the groups of a provider mean in this organization",
    examples: ["berth provider groups corp"],
    args: { "<provider>": PROVIDER },
    run: (client, [name]: [string]) => client.providers.groups(name),
    text,
  });
  ask(group, session, "map", {
    summary: "say that a group is a role, at the organization or in a team",
    examples: [
      "berth provider map corp leads admin",
      "berth provider map corp dev member --team web",
    ],
    args: { "<provider>": PROVIDER, "<group>": GROUP, "<role>": "what they are by it" },
    options: (command) => command.option("--team <team>", "in this team, by name or id"),
    run: async (
      client,
      [name, called, role]: [string, string, string],
      { team }: { readonly team?: string },
    ) => {
      const { groups } = await client.providers.groups(name);
      const more = { group: called, role, team: team ?? null };
      return client.providers.setGroups(name, { groups: [...groups, more] as NewGroups });
    },
    text,
  });
  ask(group, session, "unmap", {
    summary: "say that a group means nothing here any more",
    examples: ["berth provider unmap corp leads"],
    args: { "<provider>": PROVIDER, "<group>": GROUP },
    run: async (client, [name, called]: [string, string]) => {
      const { groups } = await client.providers.groups(name);
      const left = groups.filter((one) => one.group !== called);
      if (left.length === groups.length)
        throw new CliError(`the group ${called} means nothing here already.`);
      return client.providers.setGroups(name, { groups: left as NewGroups });
    },
    text,
  });
}

function addDirectoryCommands(program: Command, session: Session): void {
  const { clock } = session.terminal;
  const group = program.command("scim-token").summary("let a directory keep members up to date");
  ask(group, session, "create", {
    summary: "make a token for a directory; it is shown once",
    examples: ["berth scim-token create okta"],
    args: { "<name>": "which directory" },
    run: (client, [name]: [string]) => client.scimTokens.create({ name }),
    text: ({ token, baseUrl }) =>
      facts([
        ["base URL", baseUrl],
        ["token", token],
      ]),
  });
  list(group, session, {
    summary: "list them",
    examples: ["berth scim-token list"],
    load: (client, _none, page) => client.scimTokens.list(page),
    headings: ["ID", "NAME", "AGE", "LAST USED"],
    row: (one) => [
      ...[one.id, one.name, age(one.createdAt, clock.nowMs())],
      one.lastUsedAt ? age(one.lastUsedAt, clock.nowMs()) : "never",
    ],
  });
  ask(group, session, "revoke", {
    summary: "revoke one; who is in the directory stays as they are",
    examples: ["berth scim-token revoke okta"],
    args: { "<token>": "name or id" },
    run: async (client, [token]: [string]) =>
      client.scimTokens.delete(await idOf(token, "scim-token", client.scimTokens.list)),
    text: ({ id }) => `${id}\n`,
  });
}
