// The verbs of boxes.

import type { Command } from "commander";
import { Option } from "commander";
import type { Box, WaitGoal } from "#sdk/client.ts";
import { boxDetails, boxTable } from "./box-text.ts";
import { confirm } from "./confirm.ts";
import {
  collect,
  collectPair,
  type OutputOptions,
  parseCount,
  timeoutOption,
  type WaitOptions,
  withExamples,
  withOutput,
  withQuiet,
  withWait,
} from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { priceLine } from "./usage.ts";
import { waitForBoxes } from "./waiting.ts";

const GOALS = ["running", "paused", "stopped", "deleted", "settled", "durable"] as const;

interface Intent {
  readonly verb: "start" | "stop" | "restart" | "pause" | "resume";
  readonly summary: string;
  readonly goal: WaitGoal;
  readonly examples: readonly string[];
}

const INTENTS: readonly Intent[] = [
  {
    verb: "start",
    summary: "start boxes: from memory when paused, else by booting their disks",
    goal: "running",
    examples: ["berth start web"],
  },
  {
    verb: "stop",
    summary: "stop boxes: disks are kept, the next start boots",
    goal: "stopped",
    examples: ["berth stop web"],
  },
  {
    verb: "restart",
    summary: "shut boxes down and boot them again",
    goal: "running",
    examples: ["berth restart web"],
  },
  {
    verb: "pause",
    summary: "pause boxes: memory and processes are kept, compute is freed",
    goal: "paused",
    examples: ["berth pause web", "berth pause web && berth wait web --for durable"],
  },
  {
    verb: "resume",
    summary: "resume paused boxes: every process goes on where it was",
    goal: "running",
    examples: ["berth resume web"],
  },
];

export function addBoxCommands(program: Command, session: Session): void {
  addCreate(program, session);
  addList(program, session);
  addShow(program, session);
  for (const intent of INTENTS) addIntent(program, session, intent);
  addFork(program, session);
  addDelete(program, session);
  addWait(program, session);
}

interface CreateOptions extends OutputOptions, WaitOptions {
  readonly template: string;
  readonly version?: number;
  readonly env?: Record<string, string>;
  readonly team?: string;
}

function addCreate(program: Command, session: Session): void {
  const command = program
    .command("create")
    .summary("create a box")
    .description("Create a box from a template. With a prebuild it is running in about a second.")
    .argument("[name]", "name of the box, and its host name; made up without")
    .option("-t, --template <template>", "template to create it from", "default")
    .option("--version <number>", "version of the template; default: the newest ready", parseCount)
    .option("-e, --env <NAME=VALUE>", "variable for its shells and programs (repeat)", collectPair)
    .option("--team <team>", "team that it belongs to: its members may see and enter it")
    .action(async (name: string | undefined, options: CreateOptions) => {
      const client = await session.client();
      const price = await priceLine(session, options.template, options.version);
      if (price) session.terminal.err(`${price}\n`);
      const { box } = await client.boxes.create({
        template: options.template,
        ...(name ? { name } : {}),
        ...(options.version ? { version: options.version } : {}),
        ...(options.env ? { env: options.env } : {}),
        ...(options.team ? { team: options.team } : {}),
      });
      await finish(session, [box], "running", options);
    });
  withExamples(withWait(withOutput(command)), [
    "berth create web",
    "berth create api --template node --env PORT=3000",
    "berth create -o json | jq -r .id",
  ]);
}

interface ListOptions extends OutputOptions {
  readonly template?: string;
}

function addList(program: Command, session: Session): void {
  const command = program
    .command("list")
    .alias("ls")
    .summary("list boxes")
    .option("-t, --template <template>", "only boxes of this template")
    .action(async (options: ListOptions) => {
      const client = await session.client();
      const boxes = await everyPage((page) =>
        client.boxes.list({ ...page, ...(options.template ? { template: options.template } : {}) }),
      );
      session.print(options, boxes, (all) =>
        all.length > 0
          ? boxTable(all, session.terminal.clock.nowMs())
          : "There is no box yet. `berth create` makes one.\n",
      );
    });
  withExamples(withOutput(command), ["berth list", "berth list -o json | jq -r '.[].name'"]);
}

function addShow(program: Command, session: Session): void {
  const command = program
    .command("show")
    .summary("show everything about a box")
    .argument("<box>", "name or id")
    .action(async (ref: string, options: OutputOptions) => {
      const client = await session.client();
      const box = await client.boxes.get(ref);
      session.print(options, box, (one) => boxDetails(one, session.terminal.clock.nowMs()));
    });
  withExamples(withOutput(command), ["berth show web"]);
}

function addIntent(program: Command, session: Session, intent: Intent): void {
  const command = program
    .command(intent.verb)
    .summary(intent.summary)
    .description(`${intent.summary[0]?.toUpperCase()}${intent.summary.slice(1)}.`)
    .argument("<box...>", "names or ids")
    .action(async (refs: string[], options: OutputOptions & WaitOptions) => {
      const client = await session.client();
      const boxes = await forEachBox(
        refs,
        async (ref) => (await client.boxes[intent.verb](ref)).box,
      );
      await finish(session, boxes, intent.goal, options);
    });
  withExamples(withWait(withOutput(command)), intent.examples);
}

interface ForkOptions extends OutputOptions, WaitOptions {
  readonly count?: number;
  readonly name?: string[];
}

function addFork(program: Command, session: Session): void {
  const command = program
    .command("fork")
    .summary("fork a box: copies with the same processes and identities of their own")
    .argument("<box>", "name or id; running, paused or stopped")
    .option("-n, --count <number>", "how many forks (default: 1)", parseCount)
    .option("--name <name>", "name of a fork (repeat, once for each fork)", collect)
    .action(async (ref: string, options: ForkOptions) => {
      const count = options.count ?? options.name?.length ?? 1;
      if (options.name && options.name.length !== count)
        command.error(
          `error: --count ${count} needs ${count} times --name, or none (got ${options.name.length})`,
        );
      const client = await session.client();
      const { forks } = await client.boxes.fork(ref, {
        count,
        ...(options.name ? { names: options.name } : {}),
      });
      await finish(
        session,
        forks.map((fork) => fork.box),
        "running",
        options,
      );
    });
  withExamples(withWait(withOutput(command)), [
    "berth fork web",
    "berth fork web --count 3",
    "berth fork web --name try-a --name try-b",
  ]);
}

interface DeleteOptions extends OutputOptions, WaitOptions {
  readonly yes?: boolean;
}

function addDelete(program: Command, session: Session): void {
  const command = program
    .command("delete")
    .alias("rm")
    .summary("delete boxes with their disks, for good")
    .argument("<box...>", "names or ids")
    .option("-y, --yes", "do not ask (a script is never asked)")
    .action(async (refs: string[], options: DeleteOptions) => {
      const all = refs.length === 1 ? "it" : "them";
      const question = `Delete ${refs.join(", ")} with everything in ${all}, for good?`;
      await confirm(session, question, options);
      const client = await session.client();
      const boxes = await forEachBox(refs, async (ref) => (await client.boxes.delete(ref)).box);
      await finish(session, boxes, "deleted", options);
    });
  withExamples(withWait(withOutput(command)), [
    "berth delete web",
    "berth delete try-a try-b --yes",
  ]);
}

interface WaitCommandOptions extends OutputOptions {
  readonly for: WaitGoal;
  readonly timeout: number;
}

function addWait(program: Command, session: Session): void {
  const command = program
    .command("wait")
    .summary("wait until boxes reach a goal")
    .argument("<box...>", "names or ids")
    .addOption(
      new Option("--for <goal>", "settled: nothing left to do; durable: safe in the object store")
        .choices(GOALS)
        .default("settled"),
    )
    .addOption(timeoutOption("10m"))
    .action(async (refs: string[], options: WaitCommandOptions) => {
      const boxes = await waitForBoxes(
        session,
        refs.map((ref) => ({ box: ref, label: ref, goal: options.for })),
        options.timeout,
      );
      printBoxes(session, boxes, options);
    });
  withExamples(withQuiet(withOutput(command)), [
    "berth wait web --for running",
    "berth wait web --for durable --timeout 5m",
  ]);
}

/** Asks for each box; when one is refused, the others have been asked all the same. */
async function forEachBox(
  refs: readonly string[],
  ask: (ref: string) => Promise<Box>,
): Promise<Box[]> {
  const outcomes = await Promise.allSettled([...new Set(refs)].map(ask));
  const refused = outcomes.find((outcome) => outcome.status === "rejected");
  if (refused) throw refused.reason;
  return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<Box>).value);
}

async function finish(
  session: Session,
  boxes: readonly Box[],
  goal: WaitGoal,
  options: OutputOptions & WaitOptions,
): Promise<void> {
  const final = options.wait
    ? await waitForBoxes(
        session,
        boxes.map((box) => ({ box: box.id, label: box.name, goal })),
        options.timeout,
      )
    : boxes;
  printBoxes(session, final, options);
}

/** One box: an object in JSON; several: a list. The text is the names alone, for scripts. */
function printBoxes(session: Session, boxes: readonly Box[], options: OutputOptions): void {
  session.print(options, boxes.length === 1 ? boxes[0] : boxes, () =>
    boxes.map((box) => `${box.name}\n`).join(""),
  );
}
