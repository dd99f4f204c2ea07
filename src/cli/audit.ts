// The audit trail: search it, follow it, export its chain, and check that nobody has changed it.

import { open } from "node:fs/promises";
import type { Command } from "commander";
import type { AuditEntry, BerthClient } from "#sdk/client.ts";
import { type AuditVerdict, verifyFile, verifyLive } from "./audit-verify.ts";
import { CliError, EXIT, ExitWith } from "./exit.ts";
import { type OutputOptions, parseCount, withExamples, withOutput } from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import { plainLine } from "./terminal.ts";

const DEFAULT_ENTRIES = 50;
const TAIL_ENTRIES = 10;

interface FilterOptions extends OutputOptions {
  readonly actor?: string;
  readonly resource?: string;
  readonly verb?: string;
  readonly outcome?: "ok" | "refused" | "failed";
  readonly since?: string;
  readonly until?: string;
  readonly text?: string;
  readonly installation?: boolean;
  readonly limit?: number;
}

export function addAuditCommands(program: Command, session: Session): void {
  const group = program.command("audit").summary("who did what, from where, and how it ended");
  addList(group, session);
  addTail(group, session);
  addExport(group, session);
  addVerify(group, session);
  addKey(group, session);
}

function addList(group: Command, session: Session): void {
  const list = withFilter(group.command("list").alias("ls").summary("search the trail"))
    .option("-n, --limit <number>", `how many (default: ${DEFAULT_ENTRIES})`, parseCount)
    .action(async (options: FilterOptions) => {
      const client = await session.client();
      const entries = await newest(client, options, options.limit ?? DEFAULT_ENTRIES);
      session.print(options, entries, entryTable);
    });
  withExamples(withOutput(list), [
    "berth audit list --resource web",
    "berth audit list --actor mia --verb boxes. --since 2026-11-01",
    "berth audit list --outcome refused --text 203.0.113.7",
  ]);
}

function addTail(group: Command, session: Session): void {
  const tail = withFilter(group.command("tail").summary("follow the trail until Ctrl-C"))
    .option("-n, --limit <number>", `how many past entries (default: ${TAIL_ENTRIES})`, parseCount)
    .action(async (options: FilterOptions) => {
      const client = await session.client();
      const { interrupted } = session.terminal;
      const show = (entry: AuditEntry) =>
        session.terminal.out(
          options.output === "json" ? `${JSON.stringify(entry)}\n` : entryLine(entry),
        );
      // Listens first: nothing falls between what is past and what comes.
      const opened = Promise.withResolvers<void>();
      const stream = client.audit.watch(filterOf(options), interrupted, () => opened.resolve());
      const next = stream.next();
      next.catch(opened.reject);
      try {
        await opened.promise;
        const past = await newest(client, options, options.limit ?? TAIL_ENTRIES);
        for (const entry of past.toReversed()) show(entry);
        const last = past[0]?.id ?? 0;
        for (let step = await next; !step.done; step = await stream.next())
          if (step.value.id > last) show(step.value);
      } catch (error) {
        if (!interrupted.aborted) throw error;
      }
      if (interrupted.aborted) process.exitCode = EXIT.ok;
    });
  withExamples(withOutput(tail), ["berth audit tail", "berth audit tail --verb enter. -o json"]);
}

function addExport(group: Command, session: Session): void {
  const command = group
    .command("export")
    .summary("print the chain as JSON Lines, for keeping and for `verify`")
    .option("--after <seq>", "only what comes after this place of the chain", parseCount)
    .option("--installation", "the installation's own chain")
    .action(async (options: { after?: number; installation?: boolean }) => {
      const client = await session.client();
      const after = options.after ? { after: options.after } : {};
      const query = { scope: scopeOf(options), ...after };
      for await (const line of client.audit.export(query, session.terminal.interrupted))
        session.terminal.out(`${line}\n`);
    });
  withExamples(command, ["berth audit export > trail.jsonl", "berth audit export --after 1200"]);
}

function addVerify(group: Command, session: Session): void {
  const command = group
    .command("verify")
    .summary("check that no entry was changed, removed, moved or added")
    .argument("[file]", "an export that was kept; without it the server's chain is fetched")
    .option(
      "--keep <file>",
      "remembers what was verified, and checks that the chain goes on from it",
    )
    .option("--key <file>", "the public key (PEM) that an export is signed with")
    .option("--installation", "the installation's own chain")
    .action(async (file: string | undefined, options: VerifyOptions) => {
      const keep = options.keep ?? null;
      const found =
        file === undefined
          ? await verifyLive(
              await session.client(),
              scopeOf(options),
              keep,
              session.terminal.interrupted,
            )
          : await verifyFile(linesOf(file), options.key ?? null, keep);
      session.print(options, found, verdictText);
      if (!found.isWhole) throw new ExitWith(EXIT.failed);
    });
  withExamples(withOutput(command), [
    "berth audit verify --keep ~/berth-audit.json",
    "berth audit verify trail.jsonl --key berth-audit.pem",
  ]);
}

function addKey(group: Command, session: Session): void {
  const command = group
    .command("key")
    .summary("print the public key that heads of chains are signed with")
    .action(async () => {
      const client = await session.client();
      session.terminal.out((await client.audit.head()).publicKeyPem);
    });
  withExamples(command, ["berth audit key > berth-audit.pem"]);
}

interface VerifyOptions extends OutputOptions {
  readonly keep?: string;
  readonly key?: string;
  readonly installation?: boolean;
}

function withFilter(command: Command): Command {
  return command
    .option("--actor <user>", "id or name of who did it")
    .option("--resource <resource>", "id or name of what it was done to")
    .option("--verb <operation>", "such as boxes.create, or boxes. for all of these")
    .option("--outcome <outcome>", "ok, refused or failed")
    .option("--since <time>", "ISO 8601, or a day")
    .option("--until <time>", "ISO 8601, or a day")
    .option("--text <text>", "anywhere in an entry")
    .option("--installation", "the installation's own trail");
}

function filterOf(options: FilterOptions) {
  const { actor, resource, verb, outcome, text } = options;
  const [since, until] = [options.since, options.until].map((time) =>
    time !== undefined && /^\d{4}-\d\d-\d\d$/.test(time) ? `${time}T00:00:00Z` : time,
  );
  const given = { actor, resource, verb, outcome, since, until, text };
  return {
    scope: scopeOf(options),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
}

function scopeOf({ installation }: { readonly installation?: boolean }): "org" | "installation" {
  return installation ? "installation" : "org";
}

function newest(client: BerthClient, options: FilterOptions, limit: number) {
  return everyPage((page) => client.audit.list({ ...page, ...filterOf(options) }), limit);
}

function whoOf({ actor }: AuditEntry): string {
  return actor ? (actor.name ?? actor.id) : "-";
}

function whatOf({ resource, touched, data }: AuditEntry): string {
  const named = Object.values(resource);
  const facts = Object.entries(data).map(([name, value]) => `${name}=${value}`);
  return [...(named.length > 0 ? named : touched.slice(0, 3)), ...facts].join(" ");
}

function outcomeOf({ outcome, code }: AuditEntry): string {
  return code === null ? outcome : `${outcome}: ${code}`;
}

function entryTable(entries: readonly AuditEntry[]): string {
  return table(
    ["TIME", "WHO", "FROM", "VERB", "OUTCOME", "WHAT"],
    entries.map((entry) => [
      ...[entry.at, whoOf(entry), entry.address ?? "-", entry.verb],
      ...[outcomeOf(entry), whatOf(entry)],
    ]),
  );
}

function entryLine(entry: AuditEntry): string {
  const cells = [entry.at, whoOf(entry), entry.address ?? "-", entry.verb, outcomeOf(entry)];
  return `${[...cells, whatOf(entry)].map(plainLine).join("  ").trimEnd()}\n`;
}

function verdictText(found: AuditVerdict): string {
  const { chain, entries, seq, hash, fault, met, unseen } = found;
  if (fault)
    return plainLine(
      `NOT WHOLE: ${chain}, at entry ${fault.seq}: ${fault.kind}: ${fault.detail}`,
    ).concat("\n");
  return [
    `whole: ${chain}, ${entries} entries up to ${seq} (${hash})`,
    ...met.map((from) => `  goes through ${from}`),
    ...unseen.map((from) => `  retention has removed ${from}`),
  ]
    .map((line) => `${plainLine(line)}\n`)
    .join("");
}

async function* linesOf(file: string): AsyncGenerator<string, void> {
  const handle = await open(file).catch((error: Error) => {
    throw new CliError(`The export cannot be read: ${error.message}.`, {
      next: "Give the path of a file that `berth audit export` has written.",
    });
  });
  yield* handle.readLines();
}
