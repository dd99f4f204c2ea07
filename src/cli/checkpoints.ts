// Checkpoints: snapshots that the user keeps. They are named by id, or by the name they were given.

import type { Command } from "commander";
import type { Snapshot } from "#sdk/client.ts";
import { ask, list } from "./command.ts";
import { CliError } from "./exit.ts";
import {
  type OutputOptions,
  type WaitOptions,
  withExamples,
  withOutput,
  withWait,
} from "./options.ts";
import { everyPage } from "./pages.ts";
import { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import { age, bytes, duration } from "./terminal.ts";
import { waitForBoxes } from "./waiting.ts";

const POLL_MS = 250;

export function addCheckpointCommands(program: Command, session: Session): void {
  const group = program.command("checkpoint").summary("keep states of a box, and go back to them");
  addCreate(group, session);
  addList(group, session);
  addRestore(group, session);
  addDelete(group, session);
}

interface CreateOptions extends OutputOptions, WaitOptions {
  readonly name?: string;
}

function addCreate(group: Command, session: Session): void {
  const command = group
    .command("create")
    .summary("keep the state of a box as it is now; the box goes on")
    .argument("<box>", "name or id")
    .option("--name <name>", "what to call it")
    .action(async (ref: string, options: CreateOptions) => {
      const client = await session.client();
      const { snapshot } = await client.checkpoints.create(ref, {
        ...(options.name ? { name: options.name } : {}),
      });
      const final = options.wait
        ? await waitForSnapshot(session, snapshot, options.timeout)
        : snapshot;
      session.print(options, final, () => `${final.id}\n`);
    });
  withExamples(withWait(withOutput(command)), [
    "berth checkpoint create web",
    "berth checkpoint create web --name before-upgrade",
  ]);
}

function addList(group: Command, session: Session): void {
  const { clock } = session.terminal;
  list(group, session, {
    summary: "list checkpoints",
    examples: ["berth checkpoint list web"],
    args: { "[box]": "only those of this box" },
    load: (client, [box]: [string | undefined], page) =>
      client.snapshots.list({ ...page, kind: "checkpoint", ...(box ? { box } : {}) }),
    headings: ["ID", "NAME", "BOX", "STATE", "MEMORY", "SIZE", "AGE"],
    row: (one) => [
      ...[one.id, one.name ?? "-", one.box.name, one.state, one.withMemory ? "yes" : "no"],
      one.allocatedBytes === null ? "-" : bytes(one.allocatedBytes),
      age(one.createdAt, clock.nowMs()),
    ],
    empty: "There is no checkpoint. `berth checkpoint create BOX` makes one.",
  });
}

function addRestore(group: Command, session: Session): void {
  const command = group
    .command("restore")
    .summary("take a box back to a checkpoint; its state now is kept as one")
    .argument("<box>", "name or id")
    .argument("<checkpoint>", "name or id")
    .action(async (ref: string, wanted: string, options: OutputOptions & WaitOptions) => {
      const client = await session.client();
      const checkpoint = await findCheckpoint(session, wanted, ref);
      const { box } = await client.checkpoints.restore(ref, { snapshot: checkpoint.id });
      const [final] = options.wait
        ? await waitForBoxes(
            session,
            [{ box: box.id, label: box.name, goal: "settled" }],
            options.timeout,
          )
        : [box];
      session.print(options, final, () => `${box.name}\n`);
    });
  withExamples(withWait(withOutput(command)), ["berth checkpoint restore web before-upgrade"]);
}

function addDelete(group: Command, session: Session): void {
  ask(group, session, "delete", {
    summary: "delete a checkpoint",
    examples: ["berth checkpoint delete before-upgrade"],
    args: { "<checkpoint>": "name or id" },
    aliases: ["rm"],
    run: async (client, [wanted]: [string]) => {
      const checkpoint = await findCheckpoint(session, wanted);
      return (await client.snapshots.delete(checkpoint.id)).snapshot;
    },
    text: ({ id }) => `${id}\n`,
  });
}

async function listCheckpoints(session: Session, box?: string): Promise<Snapshot[]> {
  const client = await session.client();
  return await everyPage((page) =>
    client.snapshots.list({ ...page, kind: "checkpoint", ...(box ? { box } : {}) }),
  );
}

async function findCheckpoint(session: Session, wanted: string, box?: string): Promise<Snapshot> {
  const found = (await listCheckpoints(session, box)).filter(
    (one) => one.id === wanted || one.name === wanted,
  );
  if (found.length === 1 && found[0]) return found[0];
  const list = `\`berth checkpoint list${box ? ` ${box}` : ""}\` shows what is there`;
  throw found.length > 1
    ? new CliError(`${found.length} checkpoints are called ${wanted}.`, {
        next: `Say which by its id: ${list}.`,
      })
    : new CliError(`there is no checkpoint ${wanted}${box ? ` of ${box}` : ""}.`, {
        next: `${list[0]}${list.slice(1)}.`,
      });
}

async function waitForSnapshot(
  session: Session,
  snapshot: Snapshot,
  timeoutMs: number,
): Promise<Snapshot> {
  const { clock, interrupted } = session.terminal;
  const client = await session.client();
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const progress = new Progress(session.terminal);
  const line = progress.line(`checkpoint of ${snapshot.box.name}`);
  try {
    for (let now = snapshot; ; now = await client.snapshots.get(snapshot.id)) {
      if (now.state === "local" || now.state === "durable") {
        line.done(now.state);
        return now;
      }
      if (now.state === "failed") {
        line.fail("failed");
        throw new CliError(`the checkpoint failed: ${now.error ?? "no reason was given"}`);
      }
      line.update(now.error ?? now.state);
      if (clock.monotonicMs() > deadlineMs)
        throw new CliError(`the checkpoint is not taken after ${duration(timeoutMs)}.`, {
          next: `The request stays; \`berth checkpoint list ${snapshot.box.name}\` shows it.`,
        });
      await clock.sleep(POLL_MS, interrupted);
    }
  } finally {
    await progress.close();
  }
}
