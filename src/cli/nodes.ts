// Nodes, for operators: what they have, and whether new boxes may go there.

import { type Command, InvalidArgumentError } from "commander";
import type { Clock } from "#lib/clock.ts";
import type { Node } from "#sdk/client.ts";
import { ask, list } from "./command.ts";
import { confirm } from "./confirm.ts";
import { drainNode } from "./draining.ts";
import { type OutputOptions, parseDurationMs, timeoutOption, withQuiet } from "./options.ts";
import type { Session } from "./session.ts";
import { age } from "./terminal.ts";

const MINUTE_MS = 60_000;

export function addNodeCommands(program: Command, session: Session): void {
  const group = program.command("node").summary("the hosts that run boxes");
  const named = { "<node>": "name or id" };
  list(group, session, {
    summary: "list nodes",
    examples: ["berth node list"],
    load: (client, _none, page) => client.nodes.list(page),
    ...nodeColumns(session.terminal.clock),
    empty:
      "No node has joined. `berth up` runs one here; `berth node join-token` lets another join.",
  });
  ask(group, session, "join-token", {
    summary: "make a token that lets one node join",
    examples: [
      "berth node join-token",
      "BERTH_JOIN_TOKEN=$(berth node join-token) berth node   # on the new host, with BERTH_NODE_API_URL",
    ],
    options: (command) =>
      command
        .option("--name <name>", "only a node of this name may use it")
        .option("--for <duration>", "how long it is good (default: 1h)", parseDurationMs),
    run: (client, _none, options: { readonly name?: string; readonly for?: number }) =>
      client.nodes.createJoinToken({
        ...(options.name ? { name: options.name } : {}),
        ...(options.for ? { ttlMinutes: Math.ceil(options.for / MINUTE_MS) } : {}),
      }),
    text: ({ token }) => `${token}\n`,
  });
  ask(group, session, "remove", {
    summary: "remove a node that will not come back; what was only on it is lost",
    examples: ["berth node remove host-2"],
    args: named,
    options: (command) => command.option("-y, --yes", "do not ask (a script is never asked)"),
    before: (options: { readonly yes?: boolean }, [ref]) =>
      confirm(
        session,
        `Remove ${ref}? Its boxes start elsewhere from what is durable; what was only on it is lost.`,
        options,
      ),
    run: (client, [ref]: [string]) => client.nodes.delete(ref),
    text: ({ name }) => `${name}\n`,
  });
  for (const [verb, schedulable, summary] of SCHEDULABLE)
    ask(group, session, verb, {
      summary,
      examples: [`berth node ${verb} host-2`],
      args: named,
      run: (client, [ref]: [string]) => client.nodes.update(ref, { schedulable }),
      text: ({ name }) => `${name}\n`,
    });
  ask(group, session, "drain", {
    summary: "keep new boxes away from a node and pause those it has, whosever they are",
    examples: ["berth node drain host-2", "berth node uncordon host-2   # afterwards"],
    args: named,
    options: (command) => withQuiet(command).addOption(timeoutOption("15m")),
    run: async (client, [ref]: [string], { timeout }: { timeout: number }) => {
      const { name } = await client.nodes.update(ref, { schedulable: false });
      return { node: name, ...(await drainNode(session, name, timeout)) };
    },
    text: ({ node }) => `${node}\n`,
  });
  ask(group, session, "set", {
    summary: "set how much of a node may be promised to boxes",
    examples: ["berth node set host-2 --cpu-overcommit 4"],
    args: named,
    options: (command) =>
      command
        .option("--cpu-overcommit <factor>", "CPUs promised for each that it has", parseFactor)
        .option("--memory-overcommit <factor>", "memory promised for what it has", parseFactor)
        .option("--disk-overcommit <factor>", "disk promised for what it has", parseFactor),
    run: (client, [ref]: [string], { output: _, ...change }: OutputOptions & Overcommit) =>
      client.nodes.update(ref, change),
    text: ({ name, overcommit: { cpu, memory, disk } }) =>
      `${name} promises ${cpu}x CPUs, ${memory}x memory, ${disk}x disk\n`,
  });
}

const SCHEDULABLE = [
  ["cordon", false, "keep new boxes away from a node; running ones stay"],
  ["uncordon", true, "let new boxes onto a node again"],
] as const;

interface Overcommit {
  readonly cpuOvercommit?: number;
  readonly memoryOvercommit?: number;
  readonly diskOvercommit?: number;
}

function parseFactor(value: string): number {
  const factor = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (factor >= 0.1 && factor <= 64) return factor;
  throw new InvalidArgumentError("Write a number from 0.1 to 64, such as 1.5.");
}

export function nodeColumns(clock: Clock) {
  return {
    headings: ["NAME", "STATE", "REGION", "DRIVER", "BOXES", "CPUS", "MEMORY", "REPORT AGE"],
    row: (node: Node) => [
      node.name,
      `${node.reachable ? "reachable" : "unreachable"}${node.schedulable ? "" : ", cordoned"}`,
      node.region,
      node.driver ? `${node.driver} (${node.accelerator ?? "?"})` : "-",
      `${node.used.boxes}`,
      `${node.used.cpus} of ${node.capacity?.cpus ?? "?"}`,
      `${gib(node.used.memoryMib)} of ${node.capacity ? gib(node.capacity.memoryMib) : "?"} GiB`,
      node.lastReportAt ? age(node.lastReportAt, clock.nowMs()) : "-",
    ],
  };
}

function gib(mib: number): string {
  return (mib / 1024).toFixed(1);
}
