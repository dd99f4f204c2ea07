// Organizations: mine, new ones, who belongs to this one, and who is invited to it.

import { type Command, Option } from "commander";
import type { BerthClient } from "#sdk/client.ts";
import { confirm } from "./confirm.ts";
import {
  collect,
  type OutputOptions,
  parseDurationMs,
  withExamples,
  withOutput,
} from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { facts, table } from "./table.ts";
import { age, plain } from "./terminal.ts";

export type OrgRole = Awaited<ReturnType<BerthClient["members"]["get"]>>["roles"][number];
const ORG_ROLES: readonly OrgRole[] = [
  ...(["owner", "admin", "template_author", "member", "viewer", "auditor", "billing"] as const),
];

export function addOrgCommands(program: Command, session: Session): void {
  const group = program.command("org").summary("organizations: yours, and this one's rules");
  const show = group
    .command("show")
    .summary("show the organization that you act in")
    .action(async (options: OutputOptions) => {
      const org = await (await session.client()).org.get();
      session.print(options, org, ({ id, name, maxVisibility }) =>
        facts([
          ["name", name],
          ["id", id],
          ["previews", `${maxVisibility} at most`],
        ]),
      );
    });
  withExamples(withOutput(show), ["berth org show"]);
  const list = group
    .command("list")
    .alias("ls")
    .summary("list the organizations that you belong to")
    .action(async (options: OutputOptions) => {
      const { items } = await (await session.client()).orgs.list();
      session.print(options, items, (orgs) =>
        table(
          ["NAME", "ID", "ROLES"],
          orgs.map((org) => [
            org.isCurrent ? `${org.name} (here)` : org.name,
            org.id,
            org.roles.join(", "),
          ]),
        ),
      );
    });
  withExamples(withOutput(list), ["berth org list"]);
  const create = group
    .command("create")
    .summary("make an organization; you are its first owner, or whom you invite")
    .argument("<name>")
    .option("--invite-owner", "print a link: whoever takes it is its first owner, and you are not")
    .action(async (name: string, options: OutputOptions & { inviteOwner?: boolean }) => {
      const { inviteOwner = false } = options;
      const org = await (await session.client()).orgs.create({ name, inviteOwner });
      session.print(options, org, () => `${org.invitation?.url ?? org.name}\n`);
    });
  withExamples(withOutput(create), [
    "berth org create acme",
    "berth org create acme --invite-owner",
  ]);
  const change = group
    .command("switch")
    .summary("act in another organization from now on (for logins, not for tokens)")
    .argument("<organization>", "name or id")
    .action(async (name: string, options: OutputOptions) => {
      const org = await (await session.client()).orgs.switch(name);
      session.print(options, org, () => `${org.name}\n`);
    });
  withExamples(withOutput(change), ["berth org switch acme"]);
  const update = group
    .command("update")
    .summary("change the name or the rules of the organization")
    .option("--name <name>", "what to call it")
    .addOption(
      new Option("--max-visibility <visibility>", "how open a preview may be").choices([
        ...["private", "org", "public"],
      ]),
    )
    .action(
      async (
        options: OutputOptions & {
          name?: string;
          maxVisibility?: "private" | "org" | "public";
        },
      ) => {
        const { name, maxVisibility } = options;
        const org = await (await session.client()).org.update({
          ...(name ? { name } : {}),
          ...(maxVisibility ? { maxVisibility } : {}),
        });
        session.print(options, org, () => `${org.name}\n`);
      },
    );
  withExamples(withOutput(update), ["berth org update --max-visibility org"]);
  addMemberCommands(program, session);
  addInvitationCommands(program, session);
}

function addMemberCommands(program: Command, session: Session): void {
  const group = program.command("member").summary("who belongs to the organization, and as what");
  const list = group
    .command("list")
    .alias("ls")
    .summary("list members")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const members = await everyPage((page) => client.members.list(page));
      session.print(options, members, (all) =>
        table(
          ["NAME", "E-MAIL", "ROLES", "BOXES", "ID"],
          all.map((one) => [
            ...[one.name, one.email ?? "-", one.roles.join(", ")],
            ...[String(one.boxes), one.id],
          ]),
        ),
      );
    });
  withExamples(withOutput(list), ["berth member list"]);
  const role = group
    .command("role")
    .summary("set the roles of a member")
    .argument("<member>", "name, e-mail address or id")
    .argument("<role...>", ORG_ROLES.join(", "))
    .action(async (member: string, roles: OrgRole[], options: OutputOptions) => {
      const updated = await (await session.client()).members.update(member, { roles });
      session.print(options, updated, () => `${updated.name}: ${updated.roles.join(", ")}\n`);
    });
  withExamples(withOutput(role), [
    "berth member role ada admin",
    "berth member role eve member auditor",
  ]);
  const remove = group
    .command("remove")
    .summary("remove a member, or leave; what they have open ends within seconds")
    .argument("<member>", "name, e-mail address or id")
    .option("-y, --yes", "do not ask (a script is never asked)")
    .action(async (member: string, options: OutputOptions & { yes?: boolean }) => {
      await confirm(session, `Remove ${plain(member)} from the organization?`, options);
      const removed = await (await session.client()).members.remove(member);
      session.print(options, removed, () => `${removed.name}\n`);
    });
  withExamples(withOutput(remove), ["berth member remove eve"]);
}

function addInvitationCommands(program: Command, session: Session): void {
  const { clock } = session.terminal;
  const group = program.command("invitation").summary("invite people to the organization");
  const create = group
    .command("create")
    .summary("make a link that lets one person in")
    .argument("[email]", "only for this address (they must sign in with a provider)")
    .option("--role <role>", "what they become (repeat; default: member)", collect)
    .option("--team <team>", "also a member of this team")
    .option("--for <duration>", "how long the link is good (default: 7 days)", parseDurationMs)
    .action(
      async (
        email: string | undefined,
        options: OutputOptions & { role?: OrgRole[]; team?: string; for?: number },
      ) => {
        const made = await (await session.client()).invitations.create({
          ...(email ? { email } : {}),
          ...(options.role ? { roles: options.role } : {}),
          ...(options.team ? { team: options.team } : {}),
          ...(options.for ? { expiresInMs: options.for } : {}),
        });
        session.print(options, made, () => `${made.url}\n`);
      },
    );
  withExamples(withOutput(create), [
    "berth invitation create",
    "berth invitation create ada@example.com --role template_author --team web",
  ]);
  const list = group
    .command("list")
    .alias("ls")
    .summary("list invitations that can still be taken")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const invitations = await everyPage((page) => client.invitations.list(page));
      session.print(options, invitations, (all) =>
        table(
          ["ID", "FOR", "ROLES", "AGE", "EXPIRES"],
          all.map((one) => [
            ...[one.id, one.email ?? "whoever has the link", one.roles.join(", ")],
            ...[age(one.createdAt, clock.nowMs()), one.expiresAt],
          ]),
        ),
      );
    });
  withExamples(withOutput(list), ["berth invitation list"]);
  const revoke = group
    .command("revoke")
    .summary("take an invitation back")
    .argument("<invitation>", "id")
    .action(async (id: string, options: OutputOptions) => {
      const gone = await (await session.client()).invitations.delete(id);
      session.print(options, gone, () => `${id}\n`);
    });
  withExamples(withOutput(revoke), ["berth invitation revoke inv_01h…"]);
  const accept = group
    .command("accept")
    .summary("join an organization that you were invited to")
    .argument("<link>", "the link, or the secret at its end")
    .action(async (link: string, options: OutputOptions) => {
      const joined = await (await session.client()).invitations.accept({ secret: secretOf(link) });
      session.print(options, joined, () => `${joined.org.name}\n`);
    });
  withExamples(withOutput(accept), [
    "berth invitation accept https://berth.example.com/invitation#…",
  ]);
}

/** The part after the #: what a link is worth. */
function secretOf(link: string): string {
  return link.slice(link.indexOf("#") + 1);
}
