// Teams, service accounts, and boxes that are shared or handed over.

import { type Command, Option } from "commander";
import { confirm } from "./confirm.ts";
import { CliError, EXIT } from "./exit.ts";
import {
  collect,
  type OutputOptions,
  parseDurationMs,
  withExamples,
  withOutput,
} from "./options.ts";
import type { OrgRole } from "./orgs.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import { age, plain } from "./terminal.ts";
import type { Scope } from "./tokens.ts";

type TeamRole = "admin" | "member" | "viewer";
type BoxRole = "view" | "use" | "admin";

export function addTeamCommands(program: Command, session: Session): void {
  const group = program.command("team").summary("teams: members with boxes in common");
  const list = group
    .command("list")
    .alias("ls")
    .summary("list teams")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const teams = await everyPage((page) => client.teams.list(page));
      session.print(options, teams, (all) =>
        table(
          ["NAME", "MEMBERS", "BOXES", "ID"],
          all.map((one) => [one.name, String(one.members), String(one.boxes), one.id]),
        ),
      );
    });
  withExamples(withOutput(list), ["berth team list"]);
  const create = group
    .command("create")
    .summary("make a team")
    .argument("<name>")
    .action(async (name: string, options: OutputOptions) => {
      const team = await (await session.client()).teams.create({ name });
      session.print(options, team, () => `${team.name}\n`);
    });
  withExamples(withOutput(create), ["berth team create web"]);
  const rename = group
    .command("rename")
    .summary("rename a team")
    .argument("<team>", "name or id")
    .argument("<name>")
    .action(async (ref: string, name: string, options: OutputOptions) => {
      const team = await (await session.client()).teams.update(ref, { name });
      session.print(options, team, () => `${team.name}\n`);
    });
  withExamples(withOutput(rename), ["berth team rename web frontend"]);
  const remove = group
    .command("delete")
    .summary("delete a team; its boxes stay with their owners")
    .argument("<team>", "name or id")
    .option("-y, --yes", "do not ask (a script is never asked)")
    .action(async (ref: string, options: OutputOptions & { yes?: boolean }) => {
      await confirm(session, `Delete the team ${plain(ref)}?`, options);
      const team = await (await session.client()).teams.delete(ref);
      session.print(options, team, () => `${team.name}\n`);
    });
  withExamples(withOutput(remove), ["berth team delete web"]);
  addTeamMemberCommands(group, session);
}

function addTeamMemberCommands(group: Command, session: Session): void {
  const members = group
    .command("members")
    .summary("list who is in a team")
    .argument("<team>", "name or id")
    .action(async (ref: string, options: OutputOptions) => {
      const client = await session.client();
      const all = await everyPage((page) => client.teams.members(ref, page));
      session.print(options, all, (those) =>
        table(
          ["NAME", "E-MAIL", "ROLE", "ID"],
          those.map((one) => [one.name, one.email ?? "-", one.role, one.id]),
        ),
      );
    });
  withExamples(withOutput(members), ["berth team members web"]);
  const add = group
    .command("add")
    .summary("add a member to a team, or change what they are in it")
    .argument("<team>", "name or id")
    .argument("<member>", "name, e-mail address or id")
    .addOption(
      new Option("--as <role>", "what they are in it")
        .choices(["admin", "member", "viewer"])
        .default("member"),
    )
    .action(async (ref: string, user: string, options: OutputOptions & { as: TeamRole }) => {
      const client = await session.client();
      const member = await client.teams.setMember(ref, { user, role: options.as });
      session.print(options, member, () => `${member.name}: ${member.role}\n`);
    });
  withExamples(withOutput(add), ["berth team add web ada --as admin"]);
  const drop = group
    .command("remove")
    .summary("remove a member from a team, or leave it")
    .argument("<team>", "name or id")
    .argument("<member>", "name, e-mail address or id")
    .action(async (ref: string, user: string, options: OutputOptions) => {
      const member = await (await session.client()).teams.removeMember(ref, user);
      session.print(options, member, () => `${member.name}\n`);
    });
  withExamples(withOutput(drop), ["berth team remove web ada"]);
}

export function addServiceAccountCommands(program: Command, session: Session): void {
  const { clock } = session.terminal;
  const group = program
    .command("service-account")
    .summary("programs as members of the organization");
  const list = group
    .command("list")
    .alias("ls")
    .summary("list service accounts")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const accounts = await everyPage((page) => client.serviceAccounts.list(page));
      session.print(options, accounts, (all) =>
        table(
          ["NAME", "ROLES", "BOXES", "AGE", "ID"],
          all.map((one) => [
            ...[one.name, one.roles.join(", "), String(one.boxes)],
            ...[age(one.since, clock.nowMs()), one.id],
          ]),
        ),
      );
    });
  withExamples(withOutput(list), ["berth service-account list"]);
  const create = group
    .command("create")
    .summary("make a service account")
    .argument("<name>")
    .option("--role <role>", "what it may do (repeat; default: member)", collect)
    .action(async (name: string, options: OutputOptions & { role?: OrgRole[] }) => {
      const client = await session.client();
      const account = await client.serviceAccounts.create({
        name,
        ...(options.role ? { roles: options.role } : {}),
      });
      session.print(options, account, () => `${account.name}\n`);
    });
  withExamples(withOutput(create), ["berth service-account create ci"]);
  const token = group
    .command("token")
    .summary("make a token of a service account; it is shown once")
    .argument("<account>", "name or id")
    .argument("<name>", "what the token is for")
    .option("--for <duration>", "how long it is good (default: until revoked)", parseDurationMs)
    .option("--scope <permission>", "what it may be used for (repeat; default: all)", collect)
    .action(
      async (
        account: string,
        name: string,
        options: OutputOptions & { for?: number; scope?: Scope[] },
      ) => {
        const made = await (await session.client()).serviceAccounts.createToken(account, {
          name,
          ...(options.for ? { expiresInMs: options.for } : {}),
          ...(options.scope ? { scopes: options.scope } : {}),
        });
        session.print(options, made, () => `${made.token}\n`);
      },
    );
  withExamples(withOutput(token), ["berth service-account token ci nightly --for 720h"]);
  const tokens = group
    .command("tokens")
    .summary("list the tokens of a service account")
    .argument("<account>", "name or id")
    .action(async (account: string, options: OutputOptions) => {
      const client = await session.client();
      const all = await everyPage((page) => client.serviceAccounts.tokens(account, page));
      session.print(options, all, (those) =>
        table(
          ["ID", "NAME", "AGE", "EXPIRES"],
          those.map((one) => [
            ...[one.id, one.name, age(one.createdAt, clock.nowMs()), one.expiresAt ?? "never"],
          ]),
        ),
      );
    });
  withExamples(withOutput(tokens), ["berth service-account tokens ci"]);
  const revoke = group
    .command("revoke")
    .summary("revoke a token of a service account")
    .argument("<account>", "name or id")
    .argument("<token>", "id")
    .action(async (account: string, id: string, options: OutputOptions) => {
      const gone = await (await session.client()).serviceAccounts.deleteToken(account, id);
      session.print(options, gone, () => `${id}\n`);
    });
  withExamples(withOutput(revoke), ["berth service-account revoke ci tok_01h…"]);
  const remove = group
    .command("delete")
    .summary("delete a service account; its tokens end, its boxes stay")
    .argument("<account>", "name or id")
    .option("-y, --yes", "do not ask (a script is never asked)")
    .action(async (ref: string, options: OutputOptions & { yes?: boolean }) => {
      await confirm(session, `Delete the service account ${plain(ref)}?`, options);
      const account = await (await session.client()).serviceAccounts.delete(ref);
      session.print(options, account, () => `${account.name}\n`);
    });
  withExamples(withOutput(remove), ["berth service-account delete ci"]);
}

export function addShareCommands(program: Command, session: Session): void {
  const group = program.command("share").summary("share a box with a member or a team");
  const add = group
    .command("add")
    .summary("share a box")
    .argument("<box>", "name or id")
    .option("--user <member>", "with whom: name, e-mail address or id")
    .option("--team <team>", "with which team")
    .addOption(
      new Option("--as <role>", "view: see it; use: also enter it; admin: also run and delete it")
        .choices(["view", "use", "admin"])
        .default("use"),
    )
    .action(
      async (
        box: string,
        options: OutputOptions & { user?: string; team?: string; as: BoxRole },
      ) => {
        const { user, team, as: role } = options;
        if ((user === undefined) === (team === undefined))
          throw new CliError("say with whom: --user or --team.", { exitCode: EXIT.usage });
        const share = await (await session.client()).shares.create(box, {
          ...(user ? { user } : {}),
          ...(team ? { team } : {}),
          role,
        });
        session.print(options, share, () => `${share.id}\n`);
      },
    );
  withExamples(withOutput(add), [
    "berth share add web --user ada",
    "berth share add web --team frontend --as view",
  ]);
  const list = group
    .command("list")
    .alias("ls")
    .summary("list with whom a box is shared")
    .argument("<box>", "name or id")
    .action(async (box: string, options: OutputOptions) => {
      const { items } = await (await session.client()).shares.list(box);
      session.print(options, items, (all) =>
        table(
          ["WITH", "AS", "ID"],
          all.map((one) => [one.user?.name ?? `the team ${one.team?.name}`, ...[one.role, one.id]]),
        ),
      );
    });
  withExamples(withOutput(list), ["berth share list web"]);
  const remove = group
    .command("remove")
    .summary("take a share back; what was opened by it ends within seconds")
    .argument("<box>", "name or id")
    .argument("<share>", "id")
    .action(async (box: string, id: string, options: OutputOptions) => {
      const gone = await (await session.client()).shares.delete(box, id);
      session.print(options, gone, () => `${id}\n`);
    });
  withExamples(withOutput(remove), ["berth share remove web gr_01h…"]);
  const handOver = program
    .command("hand-over")
    .summary("give a box to another owner or team")
    .argument("<box>", "name or id")
    .option("--owner <member>", "name, e-mail address or id")
    .option("--team <team>", "name or id; 'none': of no team")
    .action(async (ref: string, options: OutputOptions & { owner?: string; team?: string }) => {
      const { owner, team } = options;
      if (owner === undefined && team === undefined)
        throw new CliError("say to whom: --owner or --team.", { exitCode: EXIT.usage });
      const box = await (await session.client()).boxes.update(ref, {
        ...(owner ? { owner } : {}),
        ...(team ? { team: team === "none" ? null : team } : {}),
      });
      session.print(options, box, () => `${box.name}\n`);
    });
  withExamples(withOutput(handOver), ["berth hand-over web --owner ada"]);
}
