// The commands that run Berth itself. `up`, `down`, `status` and `doctor` are for people; `server`, `gateway` and
// `node` are the processes that `up` starts, and that an operator of several hosts starts himself.

import { type Command, Option } from "commander";
import { timeoutOption, withExamples, withOutput } from "#cli/options.ts";
import type { Session } from "#cli/session.ts";
import type { VariableName } from "./config.ts";

/** Options of `up` that stand for a variable. */
const CONFIG_OPTIONS: readonly (readonly [string, VariableName, string])[] = [
  ["--state-dir <path>", "BERTH_STATE_DIR", "where everything is kept"],
  ["--driver <name>", "BERTH_DRIVER", "qemu, or fake to try Berth without virtual machines"],
  ["--api-listen <address>", "BERTH_API_LISTEN", "address of the user API"],
  ["--node-api-listen <address>", "BERTH_NODE_API_LISTEN", "address of the node API"],
  ["--gateway-listen <address>", "BERTH_GATEWAY_LISTEN", "address of the gateway for clients"],
  [
    "--gateway-node-listen <address>",
    "BERTH_GATEWAY_NODE_LISTEN",
    "address of the gateway for nodes",
  ],
  ["--ssh-listen <address>", "BERTH_SSH_LISTEN", "address of the gateway for plain ssh"],
];

export function addRoleCommands(program: Command, session: Session): void {
  program.commandsGroup("Running Berth:");
  addUp(program, session);
  addDown(program, session);
  addStatus(program, session);
  addDoctor(program, session);
  for (const [name, summary] of [
    ["server", "run the control plane: API, scheduler, reconcilers (any number of replicas)"],
    ["gateway", "run a gateway: the doors for SSH, terminals and ports"],
  ] as const)
    addRole(
      program
        .command(name)
        .summary(summary)
        .description(`${capital(summary)}.`),
      name,
      session,
    );
  // `berth node` alone runs the agent; its subcommands are the operator's.
  const node = program.commands.find((command) => command.name() === "node");
  if (node)
    addRole(
      node.description("The hosts that run boxes. Alone: run the agent of this host."),
      "node",
      session,
    );
  addRole(program.command("supervise", { hidden: true }), "supervise", session);
}

function addRole(
  command: Command,
  name: "server" | "gateway" | "node" | "supervise",
  { terminal }: Session,
): void {
  command
    .addOption(new Option("--record <path>", "claim this process record").hideHelp())
    .addHelpText("after", "\nConfigured by variables; docs/configuration.md lists them.")
    .action(async (options: { record?: string }) => {
      const { runRole } = await import("./role-process.ts");
      await runRole(name, options.record ?? null, terminal);
    });
}

function capital(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}`;
}

function withConfigOptions(command: Command, only?: readonly VariableName[]): Command {
  for (const [flags, variable, about] of CONFIG_OPTIONS)
    if (!only || only.includes(variable))
      command.addOption(new Option(flags, `${about} (${variable})`));
  return command;
}

function overridesOf(options: Readonly<Record<string, unknown>>) {
  const overrides: Partial<Record<VariableName, string>> = {};
  for (const [flags, variable] of CONFIG_OPTIONS) {
    const value = options[new Option(flags).attributeName()];
    if (typeof value === "string") overrides[variable] = value;
  }
  return overrides;
}

function addUp(program: Command, session: Session): void {
  const command = program
    .command("up")
    .summary("run everything on this machine, and get a first box")
    .description(
      "Installs what is missing, starts the database, the control plane, the gateway and the agent, builds the default template and creates a first box. Run again it takes seconds. Stays in the foreground without --detach.",
    )
    .option("-d, --detach", "return when everything runs; a supervisor stays")
    .option("--no-first-box", "do not create the box `first`")
    .action(async (options: Record<string, unknown>) => {
      const { up } = await import("./up.ts");
      await up(session, {
        overrides: overridesOf(options),
        detach: options.detach === true,
        firstBox: options.firstBox !== false,
      });
    });
  withExamples(withConfigOptions(command), [
    "berth up",
    "berth up --detach",
    "berth up --driver fake --state-dir /tmp/berth   # a trial without root or virtual machines",
  ]);
}

function addDown(program: Command, session: Session): void {
  const command = program
    .command("down")
    .summary("pause every box, then stop everything on this machine")
    .option("--keep-boxes", "leave the boxes running; the next `berth up` takes them over")
    .addOption(timeoutOption("15m"))
    .action(async (options: Record<string, unknown>) => {
      const { down } = await import("./down.ts");
      await down(session, {
        overrides: overridesOf(options),
        keepBoxes: options.keepBoxes === true,
        timeoutMs: options.timeout as number,
      });
    });
  withExamples(withConfigOptions(command, ["BERTH_STATE_DIR"]), [
    "berth down",
    "berth down --keep-boxes",
  ]);
}

function addStatus(program: Command, session: Session): void {
  const command = program
    .command("status")
    .summary("show what runs: processes, nodes, boxes")
    .action(async (options: Record<string, unknown>) => {
      const { status } = await import("./status.ts");
      await status(session, {
        overrides: overridesOf(options),
        output: options.output === "json" ? "json" : "text",
      });
    });
  withExamples(withOutput(withConfigOptions(command, ["BERTH_STATE_DIR"])), [
    "berth status",
    "berth status -o json",
  ]);
}

function addDoctor(program: Command, session: Session): void {
  const command = program
    .command("doctor")
    .summary("check this machine and say what to do about each fault")
    .action(async (options: Record<string, unknown>) => {
      const { doctor } = await import("./doctor.ts");
      await doctor(session, {
        overrides: overridesOf(options),
        output: options.output === "json" ? "json" : "text",
      });
    });
  withExamples(withOutput(withConfigOptions(command, ["BERTH_STATE_DIR", "BERTH_DRIVER"])), [
    "berth doctor",
  ]);
}
