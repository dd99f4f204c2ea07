// The history of boxes and nodes, and the stream of what happens now.

import type { Command } from "commander";
import type { Event } from "#sdk/client.ts";
import { EXIT } from "./exit.ts";
import { type OutputOptions, parseCount, withExamples, withOutput } from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { plainLine } from "./terminal.ts";

const DEFAULT_EVENTS = 50;

interface EventsOptions extends OutputOptions {
  readonly follow?: boolean;
  readonly limit?: number;
}

export function addEventCommands(program: Command, session: Session): void {
  const command = program
    .command("events")
    .summary("show what happened, or follow it")
    .argument("[box]", "only events of this box")
    .option("-f, --follow", "go on with new events until Ctrl-C")
    .option("-n, --limit <number>", `how many past events (default: ${DEFAULT_EVENTS})`, parseCount)
    .action(async (box: string | undefined, options: EventsOptions) => {
      const client = await session.client();
      const filter = box ? { box } : {};
      const newest = await everyPage(
        (page) => client.events.list({ ...page, ...filter, order: "newest" }),
        options.limit ?? DEFAULT_EVENTS,
      );
      const past = newest.reverse();
      if (!options.follow) {
        session.print(options, past, (all) => all.map(eventLine).join(""));
        return;
      }
      // JSON of a stream is one object a line.
      const show = (event: Event) =>
        session.terminal.out(
          options.output === "json" ? `${JSON.stringify(event)}\n` : eventLine(event),
        );
      for (const event of past) show(event);
      const cursor = past.at(-1)?.cursor;
      const { interrupted } = session.terminal;
      try {
        for await (const event of client.watch(
          { ...filter, ...(cursor ? { cursor } : {}) },
          interrupted,
        ))
          show(event);
      } catch (error) {
        if (!interrupted.aborted) throw error;
      }
      if (interrupted.aborted) process.exitCode = EXIT.ok;
    });
  withExamples(withOutput(command), ["berth events web", "berth events --follow -o json"]);
}

function eventLine(event: Event): string {
  return `${event.at}  ${event.kind.padEnd(20)}  ${plainLine(event.message)}\n`;
}
