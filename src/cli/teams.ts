// Teams of members, and programs as members.

import { type Command, Option } from "commander";
import { ask, list } from "./command.ts";
import { confirm } from "./confirm.ts";
import { idOf } from "./names.ts";
import { collect } from "./options.ts";
import { MEMBER, type OrgRole } from "./orgs.ts";
import type { PageQuery } from "./pages.ts";
import type { Session } from "./session.ts";
import { age, plain } from "./terminal.ts";
import {
  endedText,
  type KeepMade,
  keeping,
  type TokenOptions,
  tokenBody,
  tokenColumns,
  withKeepMade,
  withTokenOptions,
} from "./tokens.ts";

const TEAM = "name or id of the team";
const ACCOUNT = "name or id of the account";
const YES = ["-y, --yes", "do not ask (a script is never asked)"] as const;
type TeamRole = "admin" | "member" | "viewer";

export function addTeamCommands(program: Command, session: Session): void {
  const group = program.command("team").summary("teams: members with boxes in common");
  const text = ({ name }: { readonly name: string }) => `${name}\n`;
  list(group, session, {
    summary: "list teams",
    examples: ["berth team list"],
    load: (client, _none, page) => client.teams.list(page),
    headings: ["NAME", "MEMBERS", "BOXES", "ID"],
    row: (one) => [one.name, String(one.members), String(one.boxes), one.id],
  });
  ask(group, session, "create", {
    summary: "make a team",
    examples: ["berth team create web"],
    args: { "<name>": "what to call it" },
    run: (client, [name]: [string]) => client.teams.create({ name }),
    text,
  });
  ask(group, session, "rename", {
    summary: "rename a team",
    examples: ["berth team rename web frontend"],
    args: { "<team>": TEAM, "<name>": "what to call it" },
    run: (client, [team, name]: [string, string]) => client.teams.update(team, { name }),
    text,
  });
  ask(group, session, "delete", {
    summary: "delete a team; its boxes stay with their owners",
    examples: ["berth team delete web"],
    args: { "<team>": TEAM },
    options: (command) => command.option(...YES),
    before: (options: { yes?: boolean }, [team = ""]) =>
      confirm(session, `Delete the team ${plain(team)}?`, options),
    run: (client, [team]: [string]) => client.teams.delete(team),
    text,
  });
  list(group, session, {
    name: "members",
    summary: "list who is in a team",
    examples: ["berth team members web"],
    args: { "<team>": TEAM },
    load: (client, [team]: [string], page) => client.teams.members(team, page),
    headings: ["NAME", "E-MAIL", "ROLE", "ID"],
    row: (one) => [one.name, one.email ?? "-", one.role, one.id],
  });
  ask(group, session, "add", {
    summary: "add a member to a team, or change what they are in it",
    examples: ["berth team add web ada --as admin"],
    args: { "<team>": TEAM, "<member>": MEMBER },
    options: (command) =>
      command.addOption(
        new Option("--as <role>", "what they are in it")
          .choices(["admin", "member", "viewer"])
          .default("member"),
      ),
    run: (client, [team, user]: [string, string], { as: role }: { as: TeamRole }) =>
      client.teams.setMember(team, { user, role }),
    text: ({ name, role }) => `${name}: ${role}\n`,
  });
  ask(group, session, "remove", {
    summary: "remove a member from a team, or leave it",
    examples: ["berth team remove web ada"],
    args: { "<team>": TEAM, "<member>": MEMBER },
    run: (client, [team, user]: [string, string]) => client.teams.removeMember(team, user),
    text,
  });
}

export function addServiceAccountCommands(program: Command, session: Session): void {
  const { clock } = session.terminal;
  const group = program
    .command("service-account")
    .summary("programs as members of the organization");
  list(group, session, {
    summary: "list service accounts",
    examples: ["berth service-account list"],
    load: (client, _none, page) => client.serviceAccounts.list(page),
    headings: ["NAME", "ROLES", "BOXES", "AGE", "ID"],
    row: (one) => [
      ...[one.name, one.roles.join(", "), String(one.boxes)],
      ...[age(one.since, clock.nowMs()), one.id],
    ],
  });
  ask(group, session, "create", {
    summary: "make a service account",
    examples: ["berth service-account create ci"],
    args: { "<name>": "what to call it" },
    options: (command) =>
      command.option("--role <role>", "what it may do (repeat; default: member)", collect),
    run: (client, [name]: [string], { role }: { role?: OrgRole[] }) =>
      client.serviceAccounts.create({ name, ...(role ? { roles: role } : {}) }),
    text: ({ name }) => `${name}\n`,
  });
  ask(group, session, "token", {
    summary: "make a token of a service account; it is shown once",
    examples: ["berth service-account token ci nightly --for 720h"],
    args: { "<account>": ACCOUNT, "<name>": "what the token is for" },
    options: withTokenOptions,
    run: (client, [account, name]: [string, string], options: TokenOptions) =>
      client.serviceAccounts.createToken(account, tokenBody(name, options)),
    text: ({ token }) => `${token}\n`,
  });
  list(group, session, {
    name: "tokens",
    summary: "list the tokens of a service account",
    examples: ["berth service-account tokens ci"],
    args: { "<account>": ACCOUNT },
    load: (client, [account]: [string], page) => client.serviceAccounts.tokens(account, page),
    ...tokenColumns(clock),
  });
  ask(group, session, "revoke", {
    summary: "revoke a token of a service account",
    examples: ["berth service-account revoke ci nightly"],
    args: { "<account>": ACCOUNT, "<token>": "name or id" },
    options: withKeepMade,
    run: async (client, [account, token]: [string, string], options: KeepMade) => {
      const load = (page: PageQuery) => client.serviceAccounts.tokens(account, page);
      const id = await idOf(token, "token", load);
      return await client.serviceAccounts.deleteToken(account, id, keeping(options));
    },
    text: endedText,
  });
  ask(group, session, "delete", {
    summary: "delete a service account; its tokens end, its boxes stay",
    examples: ["berth service-account delete ci"],
    args: { "<account>": ACCOUNT },
    options: (command) => command.option(...YES),
    before: (options: { yes?: boolean }, [account = ""]) =>
      confirm(session, `Delete the service account ${plain(account)}?`, options),
    run: (client, [account]: [string]) => client.serviceAccounts.delete(account),
    text: ({ name }) => `${name}\n`,
  });
}
