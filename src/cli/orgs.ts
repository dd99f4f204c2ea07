// Organizations: mine, new ones, who belongs to this one, and who is invited to it.

import { type Command, Option } from "commander";
import type { BerthClient } from "#sdk/client.ts";
import { ask, list } from "./command.ts";
import { confirm } from "./confirm.ts";
import { writeOwnCredentials } from "./credentials.ts";
import { CliError, EXIT } from "./exit.ts";
import { warnOfOthers } from "./login.ts";
import {
  collect,
  type OutputOptions,
  parseDurationMs,
  withExamples,
  withOutput,
} from "./options.ts";
import type { Session } from "./session.ts";
import { facts } from "./table.ts";
import { age, plain } from "./terminal.ts";

export type OrgRole = Awaited<ReturnType<BerthClient["members"]["get"]>>["roles"][number];
type Visibility = Awaited<ReturnType<BerthClient["org"]["get"]>>["maxVisibility"];
const ROLES: readonly OrgRole[] = [
  ...(["owner", "admin", "template_author", "member", "viewer", "auditor", "billing"] as const),
];
export const MEMBER = "name, e-mail address or id";

export function addOrgCommands(program: Command, session: Session): void {
  const group = program.command("org").summary("organizations: yours, and this one's rules");
  ask(group, session, "show", {
    summary: "show the organization that you act in",
    examples: ["berth org show"],
    run: (client) => client.org.get(),
    text: ({ id, name, maxVisibility }) =>
      facts([
        ["name", name],
        ["id", id],
        ["previews", `${maxVisibility} at most`],
      ]),
  });
  list(group, session, {
    summary: "list the organizations that you belong to",
    examples: ["berth org list"],
    load: (client) => client.orgs.list(),
    headings: ["NAME", "ID", "ROLES"],
    row: (org) => [org.isCurrent ? `${org.name} (here)` : org.name, org.id, org.roles.join(", ")],
  });
  ask(group, session, "create", {
    summary: "make an organization; you are its first owner, or whom you invite",
    examples: ["berth org create acme", "berth org create acme --invite-owner"],
    args: { "<name>": "what to call it" },
    options: (command) =>
      command.option(
        "--invite-owner",
        "print a link: whoever takes it is its first owner, and you are not",
      ),
    run: (client, [name]: [string], { inviteOwner = false }: { inviteOwner?: boolean }) =>
      client.orgs.create({ name, inviteOwner }),
    text: (org) => `${org.invitation?.url ?? org.name}\n`,
  });
  ask(group, session, "switch", {
    summary: "act in another organization from now on (for logins, not for tokens)",
    examples: ["berth org switch acme"],
    args: { "<organization>": "name or id" },
    run: (client, [name]: [string]) => client.orgs.switch(name),
    text: ({ name }) => `${name}\n`,
  });
  ask(group, session, "update", {
    summary: "change the name or the rules of the organization",
    examples: ["berth org update --max-visibility org"],
    options: (command) =>
      command
        .option("--name <name>", "what to call it")
        .addOption(
          new Option("--max-visibility <visibility>", "how open a preview may be").choices([
            ...["private", "org", "public"],
          ]),
        ),
    run: (
      client,
      _none: [],
      { name, maxVisibility }: { name?: string; maxVisibility?: Visibility },
    ) =>
      client.org.update({
        ...(name ? { name } : {}),
        ...(maxVisibility ? { maxVisibility } : {}),
      }),
    text: ({ name }) => `${name}\n`,
  });
  addMemberCommands(program, session);
  addInvitationCommands(program, session);
}

function addMemberCommands(program: Command, session: Session): void {
  const group = program.command("member").summary("who belongs to the organization, and as what");
  list(group, session, {
    summary: "list members",
    examples: ["berth member list"],
    load: (client, _none, page) => client.members.list(page),
    headings: ["NAME", "E-MAIL", "ROLES", "BOXES", "ID"],
    row: (one) => [
      ...[one.isSuspended ? `${one.name} (suspended)` : one.name, one.email ?? "-"],
      one.roles.join(", "),
      ...[String(one.boxes), one.id],
    ],
  });
  ask(group, session, "role", {
    summary: "set the roles of a member",
    examples: ["berth member role ada admin", "berth member role eve member auditor"],
    args: { "<member>": MEMBER, "<role...>": ROLES.join(", ") },
    run: (client, [member, roles]: [string, OrgRole[]]) => client.members.update(member, { roles }),
    text: ({ name, roles }) => `${name}: ${roles.join(", ")}\n`,
  });
  ask(group, session, "remove", {
    summary: "remove a member, or leave; what they have open ends within seconds",
    examples: ["berth member remove eve"],
    args: { "<member>": MEMBER },
    options: (command) => command.option("-y, --yes", "do not ask (a script is never asked)"),
    before: (options: { yes?: boolean }, [member = ""]) =>
      confirm(session, `Remove ${plain(member)} from the organization?`, options),
    run: (client, [member]: [string]) => client.members.remove(member),
    text: ({ name }) => `${name}\n`,
  });
}

interface InviteOptions {
  readonly role?: OrgRole[];
  readonly team?: string;
  readonly for?: number;
}

function addInvitationCommands(program: Command, session: Session): void {
  const { clock } = session.terminal;
  const group = program.command("invitation").summary("invite people to the organization");
  ask(group, session, "create", {
    summary: "make a link that lets one person in",
    examples: [
      "berth invitation create",
      "berth invitation create ada@example.com --role template_author --team web",
    ],
    args: { "[email]": "only for this address (they must sign in with a provider)" },
    options: (command) =>
      command
        .option("--role <role>", "what they become (repeat; default: member)", collect)
        .option("--team <team>", "also a member of this team")
        .option("--for <duration>", "how long the link is good (default: 7 days)", parseDurationMs),
    run: (client, [email]: [string | undefined], options: InviteOptions) =>
      client.invitations.create({
        ...(email ? { email } : {}),
        ...(options.role ? { roles: options.role } : {}),
        ...(options.team ? { team: options.team } : {}),
        ...(options.for ? { expiresInMs: options.for } : {}),
      }),
    text: ({ url }) => `${url}\n`,
  });
  list(group, session, {
    summary: "list invitations that can still be taken",
    examples: ["berth invitation list"],
    load: (client, _none, page) => client.invitations.list(page),
    headings: ["ID", "FOR", "ROLES", "AGE", "EXPIRES"],
    row: (one) => [
      ...[one.id, one.email ?? "whoever has the link", one.roles.join(", ")],
      ...[age(one.createdAt, clock.nowMs()), one.expiresAt],
    ],
  });
  ask(group, session, "revoke", {
    summary: "take an invitation back",
    examples: ["berth invitation revoke inv_01h…"],
    args: { "<invitation>": "id" },
    run: (client, [id]: [string]) => client.invitations.delete(id),
    text: ({ id }) => `${id}\n`,
  });
  addAccept(group, session);
}

function addAccept(group: Command, session: Session): void {
  const { terminal } = session;
  const command = group
    .command("accept")
    .summary("join an organization that you were invited to")
    .description(
      "Join an organization that you were invited to: as who you are here, or, with --name, as somebody new, whose token is then kept on this machine.",
    )
    .argument("<link>", "the link of the invitation")
    .option("--name <name>", "what to be called, as somebody new")
    .action(async (link: string, options: OutputOptions & { readonly name?: string }) => {
      const url = new URL(invitationLink(link));
      const secret = url.hash.slice(1);
      if (options.name === undefined) {
        const client = await session.client();
        const accepted = await client.invitations.accept({ secret });
        session.print(options, accepted, ({ org }) => `${org.name}\n`);
        return;
      }
      const { createClient } = await import("#sdk/client.ts");
      const client = createClient({ url: url.origin });
      const joined = await client.invitations.register({ secret, name: options.name });
      await writeOwnCredentials(terminal.env, { url: url.origin, token: joined.token });
      const { token: _kept, ...shown } = joined;
      session.print(options, shown, ({ org }) => `${org.name}\n`);
      warnOfOthers(terminal);
    });
  withExamples(withOutput(command), [
    "berth invitation accept 'https://berth.example.com/invitation#…'",
    "berth invitation accept 'https://berth.example.com/invitation#…' --name ada",
  ]);
}

function invitationLink(text: string): string {
  if (/^https?:\/\/[^#]+#.+$/.test(text) && URL.canParse(text)) return text;
  throw new CliError(`'${text}' is not the link of an invitation.`, {
    exitCode: EXIT.usage,
    next: "Give the whole address, in quotes: your shell takes what stands behind # for a comment.",
  });
}
