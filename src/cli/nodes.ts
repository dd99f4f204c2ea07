// Nodes, for operators: what they have, and whether new boxes may go there.

import { type Command, InvalidArgumentError } from "commander";
import type { Node } from "#sdk/client.ts";
import { confirm } from "./confirm.ts";
import { drainNode } from "./draining.ts";
import {
  type OutputOptions,
  parseCount,
  timeoutOption,
  withExamples,
  withOutput,
} from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import { age } from "./terminal.ts";

export function addNodeCommands(program: Command, session: Session): void {
  const group = program.command("node").summary("the hosts that run boxes");
  const list = group
    .command("list")
    .alias("ls")
    .summary("list nodes")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const nodes = await everyPage((page) => client.nodes.list(page));
      session.print(options, nodes, (all) =>
        all.length > 0
          ? nodeTable(all, session.terminal.clock.nowMs())
          : "No node has joined. `berth up` runs one here; `berth node join-token` lets another join.\n",
      );
    });
  withExamples(withOutput(list), ["berth node list"]);
  addJoinToken(group, session);
  addRemove(group, session);
  addSchedulable(
    group,
    session,
    "cordon",
    "keep new boxes away from a node; running ones stay",
    false,
  );
  addSchedulable(group, session, "uncordon", "let new boxes onto a node again", true);
  addDrain(group, session);
  addSet(group, session);
}

function addDrain(group: Command, session: Session): void {
  const command = group
    .command("drain")
    .summary("keep new boxes away from a node and pause those it has, whosever they are")
    .argument("<node>", "name or id")
    .addOption(timeoutOption("15m"))
    .action(async (ref: string, options: OutputOptions & { readonly timeout: number }) => {
      const client = await session.client();
      const node = await client.nodes.update(ref, { schedulable: false });
      const drained = await drainNode(session, node.name, options.timeout);
      session.print(options, { ...drained, node: node.name }, () => `${node.name}\n`);
    });
  withExamples(withOutput(command), [
    "berth node drain host-2",
    "berth node uncordon host-2   # afterwards",
  ]);
}

function addRemove(group: Command, session: Session): void {
  const command = group
    .command("remove")
    .summary("remove a node that will not come back; what was only on it is lost")
    .argument("<node>", "name or id")
    .option("-y, --yes", "do not ask (a script is never asked)")
    .action(async (ref: string, options: OutputOptions & { readonly yes?: boolean }) => {
      const question = `Remove ${ref}? Its boxes start elsewhere from what is durable; what was only on it is lost.`;
      await confirm(session, question, options);
      const client = await session.client();
      const node = await client.nodes.delete(ref);
      session.print(options, node, () => `${node.name}\n`);
    });
  withExamples(withOutput(command), ["berth node remove host-2"]);
}

interface JoinTokenOptions extends OutputOptions {
  readonly name?: string;
  readonly ttlMinutes?: number;
}

function addJoinToken(group: Command, session: Session): void {
  const command = group
    .command("join-token")
    .summary("make a token that lets one node join")
    .option("--name <name>", "only a node of this name may use it")
    .option("--ttl-minutes <minutes>", "how long it is good (default: 60)", parseCount)
    .action(async (options: JoinTokenOptions) => {
      const client = await session.client();
      const made = await client.nodes.createJoinToken({
        ...(options.name ? { name: options.name } : {}),
        ...(options.ttlMinutes ? { ttlMinutes: options.ttlMinutes } : {}),
      });
      session.print(options, made, () => `${made.token}\n`);
    });
  withExamples(withOutput(command), [
    "berth node join-token",
    "BERTH_JOIN_TOKEN=$(berth node join-token) berth node   # on the new host, with BERTH_NODE_API_URL",
  ]);
}

function addSchedulable(
  group: Command,
  session: Session,
  verb: string,
  summary: string,
  schedulable: boolean,
): void {
  const command = group
    .command(verb)
    .summary(summary)
    .argument("<node>", "name or id")
    .action(async (ref: string, options: OutputOptions) => {
      const client = await session.client();
      const node = await client.nodes.update(ref, { schedulable });
      session.print(options, node, () => `${node.name}\n`);
    });
  withExamples(withOutput(command), [`berth node ${verb} host-2`]);
}

interface SetOptions extends OutputOptions {
  readonly cpuOvercommit?: number;
  readonly memoryOvercommit?: number;
  readonly diskOvercommit?: number;
}

function addSet(group: Command, session: Session): void {
  const command = group
    .command("set")
    .summary("set how much of a node may be promised to boxes")
    .argument("<node>", "name or id")
    .option("--cpu-overcommit <factor>", "CPUs promised for each that it has", parseFactor)
    .option("--memory-overcommit <factor>", "memory promised for what it has", parseFactor)
    .option("--disk-overcommit <factor>", "disk promised for what it has", parseFactor)
    .action(async (ref: string, { output, ...change }: SetOptions) => {
      const client = await session.client();
      const node = await client.nodes.update(ref, change);
      const { cpu, memory, disk } = node.overcommit;
      session.print(
        { output },
        node,
        () => `${node.name} promises ${cpu}x CPUs, ${memory}x memory, ${disk}x disk\n`,
      );
    });
  withExamples(withOutput(command), ["berth node set host-2 --cpu-overcommit 4"]);
}

function parseFactor(value: string): number {
  const factor = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (factor >= 0.1 && factor <= 64) return factor;
  throw new InvalidArgumentError("Write a number from 0.1 to 64, such as 1.5.");
}

export function nodeTable(nodes: readonly Node[], nowMs: number): string {
  return table(
    ["NAME", "STATE", "REGION", "DRIVER", "BOXES", "CPUS", "MEMORY", "REPORT AGE"],
    nodes.map((node) => [
      node.name,
      `${node.reachable ? "reachable" : "unreachable"}${node.schedulable ? "" : ", cordoned"}`,
      node.region,
      node.driver ? `${node.driver} (${node.accelerator ?? "?"})` : "-",
      `${node.used.boxes}`,
      `${node.used.cpus} of ${node.capacity?.cpus ?? "?"}`,
      `${gib(node.used.memoryMib)} of ${node.capacity ? gib(node.capacity.memoryMib) : "?"} GiB`,
      node.lastReportAt ? age(node.lastReportAt, nowMs) : "-",
    ]),
  );
}

function gib(mib: number): string {
  return (mib / 1024).toFixed(1);
}
