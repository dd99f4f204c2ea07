// The commands of the CLI. main/ adds those that run Berth itself.

import { Command } from "commander";
import { addAuditCommands } from "./audit.ts";
import { addBoxCommands } from "./boxes.ts";
import { addBudgetCommands } from "./budgets.ts";
import { addCheckpointCommands } from "./checkpoints.ts";
import { addCompletionCommands } from "./completion.ts";
import { addDoorCommands } from "./doors.ts";
import { addEventCommands } from "./events.ts";
import { addKeyCommands } from "./keys.ts";
import { addLoginCommands } from "./login.ts";
import { addNodeCommands } from "./nodes.ts";
import { addOrgCommands } from "./orgs.ts";
import { ownVersion } from "./own-version.ts";
import { addProviderCommands } from "./providers.ts";
import { addQuotaCommands } from "./quotas.ts";
import type { Session } from "./session.ts";
import { addShareCommands } from "./shares.ts";
import { addServiceAccountCommands, addTeamCommands } from "./teams.ts";
import { addTemplateCommands } from "./templates.ts";
import { addTokenCommands } from "./tokens.ts";
import { addPriceCommands, addUsageCommands } from "./usage.ts";

export function createProgram(session: Session): Command {
  const { terminal } = session;
  const program = new Command("berth")
    .description(
      "Dev machines that are real virtual machines: created, paused, resumed and forked in seconds.",
    )
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      getOutHelpWidth: () => Math.min(terminal.columns, 100),
      getErrHelpWidth: () => Math.min(terminal.columns, 100),
      getOutHasColors: () => terminal.hasColor,
      getErrHasColors: () => terminal.hasColor,
    })
    .showHelpAfterError("(--help shows how it is used)")
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .exitOverride()
    .version(ownVersion(), "-V, --version", "print the version of this command")
    .hook("preAction", (_program, command) => {
      terminal.isQuiet = command.opts().quiet === true;
    });
  program.commandsGroup("Boxes:");
  addBoxCommands(program, session);
  addCheckpointCommands(program, session);
  addDoorCommands(program, session);
  addEventCommands(program, session);
  addShareCommands(program, session);
  program.commandsGroup("Templates and nodes:");
  addTemplateCommands(program, session);
  addNodeCommands(program, session);
  addAuditCommands(program, session);
  program.commandsGroup("Usage and cost:");
  addQuotaCommands(program, session);
  addUsageCommands(program, session);
  addBudgetCommands(program, session);
  addPriceCommands(program, session);
  program.commandsGroup("People:");
  addOrgCommands(program, session);
  addTeamCommands(program, session);
  addServiceAccountCommands(program, session);
  addProviderCommands(program, session);
  program.commandsGroup("You:");
  addLoginCommands(program, session);
  addKeyCommands(program, session);
  addTokenCommands(program, session);
  program.commandsGroup("This command:");
  addCompletionCommands(program, session);
  program.addHelpCommand(
    new Command("help")
      .argument("[command]")
      .summary("show how a command is used")
      .helpGroup("This command:"),
  );
  program.addHelpText(
    "after",
    `
Examples:
  $ berth create web                     a new box, running in about a second
  $ berth ssh web                        enter it
  $ berth pause web                      close the lid: every process is kept
  $ berth resume web                     and goes on
  $ berth fork web --count 3             three copies, each with its own identity`,
  );
  return program;
}

/** What holds for every command, when all are there: a summary is a description too, and `rm` is short for what removes. */
export function finish(program: Command): void {
  for (const command of program.commands) {
    const [name, summary] = [command.name(), command.summary()];
    if (!command.description() && summary)
      command.description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`);
    const short = { list: "ls", delete: "rm", remove: "rm" }[name];
    if (short && !program.commands.some((one) => one.aliases().includes(short)))
      command.alias(short);
    finish(command);
  }
}
