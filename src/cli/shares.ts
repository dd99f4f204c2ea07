// Boxes that are shared, and boxes that are handed over.

import { type Command, Option } from "commander";
import { ask, list } from "./command.ts";
import { CliError, EXIT } from "./exit.ts";
import { idOf } from "./names.ts";
import type { Session } from "./session.ts";

const BOX = "name or id of the box";

interface ShareOptions {
  readonly user?: string;
  readonly team?: string;
  readonly as: "view" | "use" | "admin";
}

interface HandOverOptions {
  readonly owner?: string;
  readonly team?: string;
}

export function addShareCommands(program: Command, session: Session): void {
  const group = program.command("share").summary("share a box with a member or a team");
  ask(group, session, "add", {
    summary: "share a box",
    examples: ["berth share add web --user ada", "berth share add web --team frontend --as view"],
    args: { "<box>": BOX },
    options: (command) =>
      command
        .option("--user <member>", "with whom: name, e-mail address or id")
        .option("--team <team>", "with which team")
        .addOption(
          new Option(
            "--as <role>",
            "view: see it; use: also enter it; admin: also run and delete it",
          )
            .choices(["view", "use", "admin"])
            .default("use"),
        ),
    before: ({ user, team }: ShareOptions) => {
      if ((user === undefined) === (team === undefined))
        throw new CliError("say with whom: --user or --team.", { exitCode: EXIT.usage });
    },
    run: (client, [box]: [string], { user, team, as: role }: ShareOptions) =>
      client.shares.create(box, { ...(user ? { user } : {}), ...(team ? { team } : {}), role }),
    text: ({ id }) => `${id}\n`,
  });
  list(group, session, {
    summary: "list with whom a box is shared",
    examples: ["berth share list web"],
    args: { "<box>": BOX },
    load: (client, [box]: [string]) => client.shares.list(box),
    headings: ["WITH", "AS", "ID"],
    row: (one) => [one.user?.name ?? `the team ${one.team?.name}`, one.role, one.id],
  });
  ask(group, session, "remove", {
    summary: "take a share back; what was opened by it ends within seconds",
    examples: ["berth share remove web ada"],
    args: { "<box>": BOX, "<share>": "name of the member or team, or id of the share" },
    run: async (client, [box, share]: [string, string]) => {
      const load = async () => ({
        items: (await client.shares.list(box)).items.map(({ id, user, team }) => ({
          id,
          name: user?.name ?? team?.name ?? null,
        })),
      });
      return client.shares.delete(box, await idOf(share, "share", load));
    },
    text: ({ id }) => `${id}\n`,
  });
  ask(program, session, "hand-over", {
    summary: "give a box to another owner or team",
    examples: ["berth hand-over web --owner ada"],
    args: { "<box>": BOX },
    options: (command) =>
      command
        .option("--owner <member>", "name, e-mail address or id")
        .option("--team <team>", "name or id; 'none': of no team"),
    before: ({ owner, team }: HandOverOptions) => {
      if (owner === undefined && team === undefined)
        throw new CliError("say to whom: --owner or --team.", { exitCode: EXIT.usage });
    },
    run: (client, [box]: [string], { owner, team }: HandOverOptions) =>
      client.boxes.update(box, {
        ...(owner ? { owner } : {}),
        ...(team ? { team: team === "none" ? null : team } : {}),
      }),
    text: ({ name }) => `${name}\n`,
  });
}
