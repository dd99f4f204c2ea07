// The commands that enter boxes. Their code is loaded when they are used: `berth ssh --stdio` starts often.

import { type Command, Option } from "commander";
import { addSessionCommands } from "./exec-sessions.ts";
import { addOpenCommand } from "./open.ts";
import { collectPair, parseDurationMs, withExamples } from "./options.ts";
import { addPortCommands } from "./ports.ts";
import type { Session } from "./session.ts";

export function addDoorCommands(program: Command, session: Session): void {
  addSsh(program, session);
  addSshConfig(program, session);
  addExec(program, session);
  addLogs(program, session);
  addSessionCommands(program, session);
  addPortCommands(program, session);
  addOpenCommand(program, session);
}

function addSsh(program: Command, session: Session): void {
  const command = program
    .command("ssh")
    .summary("enter a box with OpenSSH; wakes it when it rests")
    .description(
      "Runs the system's ssh with a certificate of minutes, so there is no key to copy and no host key to accept. A box at rest is woken. Options of ssh stand before the box.",
    )
    .usage("[ssh options] <box> [-- command...]")
    .argument("<words...>", "options of ssh, the box, and a command")
    .addOption(new Option("--stdio", "be the transport of an ssh that runs already").hideHelp())
    .addOption(new Option("--prepare", "only get the certificate").hideHelp())
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (words: string[], options: { stdio?: boolean; prepare?: boolean }) => {
      const { ssh, sshPrepare, sshStdio } = await import("./ssh.ts");
      const { splitSshWords } = await import("./ssh-words.ts");
      const { box, sshArguments, command: remote } = splitSshWords(words);
      if (options.stdio) return sshStdio(session, box);
      if (options.prepare) return sshPrepare(session, box);
      await ssh(session, box, { sshArguments, command: remote });
    });
  withExamples(command, [
    "berth ssh web",
    "berth ssh web -- uname -a",
    "berth ssh -L 8080:localhost:80 web",
  ]);
}

function addSshConfig(program: Command, session: Session): void {
  const command = program
    .command("ssh-config")
    .summary("let plain ssh, scp, rsync and editors reach boxes as BOX.berth")
    .option("--install", "write it, and Include it from ~/.ssh/config")
    .action(async (options: { install?: boolean }) => {
      const { sshConfig } = await import("./ssh-config.ts");
      await sshConfig(session, { install: options.install === true });
    });
  withExamples(command, ["berth ssh-config --install && ssh web.berth", "berth ssh-config"]);
}

function addExec(program: Command, session: Session): void {
  const command = program
    .command("exec")
    .summary("run a program in a box: streams, terminal, signals and exit code pass through")
    .usage("[options] <box> -- <program> [arguments...]")
    .argument("<box>", "name or id")
    .argument("<program...>", "program and arguments; not a shell string")
    .option("-u, --user <name>", "Linux user: dev or root")
    .option("-w, --workdir <path>", "directory to start in (default: the user's home)")
    .option("-e, --env <NAME=VALUE>", "variable for the program (repeat)", collectPair)
    .option("-t, --tty", "give the program a terminal (default: when this is one)")
    .option("-T, --no-tty", "give it none")
    .option(
      "--timeout <duration>",
      "end it after this long, such as 90s; exit code 124",
      parseDurationMs,
    )
    .option(
      "-s, --session <name>",
      "let it outlive this command and lost connections, under this name",
    )
    .option("-d, --detach", "start it as a session, print its name, and return")
    .passThroughOptions()
    .action(async (box: string, argv: string[], options: Record<string, unknown>) => {
      const { exec } = await import("./exec.ts");
      const [first = ""] = argv;
      if (first.startsWith("-") && first !== "--")
        command.error(`error: ${first} stands behind the box: write berth exec ${first} … ${box}`);
      await exec(session, box, first === "--" ? argv.slice(1) : argv, {
        user: options.user as string | undefined,
        cwd: options.workdir as string | undefined,
        env: options.env as Record<string, string> | undefined,
        tty: options.tty as boolean | undefined,
        timeoutMs: options.timeout as number | undefined,
        sessionId: options.session as string | undefined,
        detach: options.detach === true,
      });
    });
  withExamples(command, [
    "berth exec web -- npm test",
    "berth exec web -- sh -c 'cd app && git status'",
    "tar c src | berth exec web -- tar x",
    "berth exec --detach --session build web -- make -j4",
  ]);
}

function addLogs(program: Command, session: Session): void {
  const command = program
    .command("logs")
    .summary("show the console of a running box")
    .argument("<box>", "name or id")
    .option("-f, --follow", "go on showing what is written, until Ctrl-C")
    .action(async (box: string, options: { follow?: boolean }) => {
      const { logs } = await import("./logs.ts");
      await logs(session, box, { follow: options.follow === true });
    });
  withExamples(command, ["berth logs web", "berth logs web --follow"]);
}
