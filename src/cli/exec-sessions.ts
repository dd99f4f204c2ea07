// The commands for exec sessions: programs in a box that outlive the command that started them.

import type { Command } from "commander";
import type { ExecSessionInfo } from "#wire/exec-frames.ts";
import { wake } from "./enter.ts";
import { CliError } from "./exit.ts";
import { type OutputOptions, withExamples, withOutput } from "./options.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import { age } from "./terminal.ts";
import { happening } from "./waiting.ts";

export function addSessionCommands(program: Command, session: Session): void {
  const group = program
    .command("session")
    .summary("programs and terminals in a box that outlive your connection");
  const attach = group
    .command("attach")
    .summary("see and use a session; leave it with ~. at the beginning of a line")
    .description(
      "Shows what the box has kept (1 MiB) and goes on from there. A connection that is lost is made again, by another gateway if need be; no output comes twice. `~.` at the beginning of a line leaves it, and it goes on; `berth session end` ends it.",
    )
    .argument("<box>", "name or id")
    .argument("[session]", "its name", "main")
    .option("-r, --read-only", "only look")
    .option("-n, --new", "start a login shell when there is none of that name")
    .action(
      async (ref: string, sessionId: string, options: { readOnly?: boolean; new?: boolean }) => {
        const { attach: show } = await import("./lasting-exec.ts");
        const { terminalSize } = await import("./passing.ts");
        const box = await wake(session, ref);
        await show(session, box, {
          sessionId,
          readOnly: options.readOnly === true,
          ...(options.new ? { start: { argv: [], pty: terminalSize() } } : {}),
        });
      },
    );
  withExamples(attach, [
    "berth session attach web --new",
    "berth session attach web build --read-only",
  ]);
  const list = group
    .command("list")
    .alias("ls")
    .summary("list the sessions of a box")
    .argument("<box>", "name or id")
    .action(async (ref: string, options: OutputOptions) => {
      const { listSessions } = await import("./lasting-exec.ts");
      const box = await (await session.client()).boxes.get(ref);
      // Who only looks wakes nobody.
      if (box.phase !== "running")
        throw new CliError(
          `${box.name} is ${happening(box)}: what is in it is seen when it runs.`,
          {
            next: `\`berth resume ${box.name}\` opens it as it was, \`berth start ${box.name}\` boots a stopped one.`,
          },
        );
      const sessions = await listSessions(session, box);
      session.print(options, sessions, (all) => sessionTable(all, session.terminal.clock.nowMs()));
    });
  withExamples(withOutput(list), ["berth session list web"]);
  const end = group
    .command("end")
    .summary("end a session and its program")
    .argument("<box>", "name or id")
    .argument("<session>", "its name")
    .action(async (ref: string, sessionId: string, options: OutputOptions) => {
      const { forget } = await import("./lasting-exec.ts");
      await forget(session, await wake(session, ref), sessionId);
      session.print(options, { session: sessionId }, () => `${sessionId}\n`);
    });
  withExamples(withOutput(end), ["berth session end web build"]);
}

function sessionTable(sessions: readonly ExecSessionInfo[], nowMs: number): string {
  return table(
    ["SESSION", "STATE", "FOR", "ATTACHED", "PROGRAM"],
    sessions.map(({ session, exitCode, startedAtMs, attached, argv }) => [
      ...[session, exitCode === undefined ? "running" : `exited ${exitCode}`],
      age(new Date(startedAtMs).toISOString(), nowMs),
      ...[String(attached), argv.length > 0 ? argv.join(" ") : "login shell"],
    ]),
  );
}
