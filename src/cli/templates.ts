// Templates: create from a file, follow a build, list, show.

import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { parseDocument } from "yaml";
import type { BerthClient, Template, TemplateDefinition, TemplateVersion } from "#sdk/client.ts";
import { ask, list } from "./command.ts";
import { CliError, EXIT } from "./exit.ts";
import {
  type OutputOptions,
  parseCount,
  type WaitOptions,
  withExamples,
  withOutput,
  withWait,
} from "./options.ts";
import { Progress } from "./progress.ts";
import type { Session } from "./session.ts";
import { facts } from "./table.ts";
import { age, duration, plain, plainLine } from "./terminal.ts";
import { happening } from "./waiting.ts";

const POLL_MS = 500;
const LOG_LINES_SHOWN = 20;

export function addTemplateCommands(program: Command, session: Session): void {
  const group = program.command("template").summary("describe environments, and build them");
  addCreate(group, session);
  addBuild(group, session);
  addList(group, session);
  addShow(group, session);
  addDelete(group, session);
}

interface CreateOptions extends OutputOptions, WaitOptions {
  readonly file: string;
}

function addCreate(group: Command, session: Session): void {
  const command = group
    .command("create")
    .summary("create a template, or a new version of it, from a file")
    .description("Create a template from a YAML file and follow its build until it is ready.")
    .requiredOption("-f, --file <path>", "the definition; - reads standard input")
    .action(async (options: CreateOptions) => {
      const definition = await readDefinition(options.file);
      const client = await session.client();
      const { template } = await client.templates.create(definition);
      await followBuild(session, template, options);
    });
  withExamples(withWait(withOutput(command), "60m"), [
    "berth template create -f node.yaml",
    "berth template create -f node.yaml --no-wait",
  ]);
}

interface BuildOptions extends OutputOptions, WaitOptions {
  readonly version?: number;
}

function addBuild(group: Command, session: Session): void {
  const command = group
    .command("build")
    .summary("build a version again, or follow the build that runs")
    .argument("<template>", "name or id")
    .option("--version <number>", "default: the newest version", parseCount)
    .action(async (ref: string, options: BuildOptions) => {
      const client = await session.client();
      const known = await client.templates.get(ref);
      const version = options.version ?? known.latest?.version;
      if (!version) throw new CliError(`template ${ref} has no version to build.`);
      const { template } = await client.templates.build(ref, version);
      await followBuild(session, template, options, version);
    });
  withExamples(withWait(withOutput(command), "60m"), ["berth template build default"]);
}

function addList(group: Command, session: Session): void {
  const { clock } = session.terminal;
  list(group, session, {
    summary: "list templates",
    examples: ["berth template list"],
    load: (client, _none, page) => client.templates.list(page),
    headings: ["NAME", "READY", "NEWEST", "STATE", "AGE"],
    row: (template) => [
      template.name,
      template.ready ? `${template.ready.version}` : "-",
      template.latest ? `${template.latest.version}` : "-",
      template.latest ? stateOf(template.latest) : "-",
      age(template.createdAt, clock.nowMs()),
    ],
    empty: "There is no template yet. `berth template create -f FILE` makes one.",
  });
}

function addShow(group: Command, session: Session): void {
  ask(group, session, "show", {
    summary: "show a template: versions, definition, build output",
    examples: ["berth template show default --version 2"],
    args: { "<template>": "name or id" },
    options: (command) =>
      command.option("--version <number>", "default: the newest version", parseCount),
    run: async (client, [ref]: [string], options: { readonly version?: number }) => {
      const template = await client.templates.get(ref);
      const number = options.version ?? template.latest?.version;
      const version = number ? await client.templates.version(ref, number) : null;
      return { ...template, version };
    },
    text: ({ version, ...template }) => {
      const head = facts([
        ["name", template.name],
        ["id", template.id],
        ["used by new boxes", template.ready ? `version ${template.ready.version}` : "none yet"],
        ["version shown", version ? `${version.version}: ${stateOf(version)}` : null],
        ["prebuild", version ? prebuildOf(version) : null],
      ]);
      if (!version) return head;
      const definition = plain(JSON.stringify(version.definition, null, 2));
      const log = version.log ? `\nbuild output (end):\n${plain(tail(version.log))}\n` : "";
      return `${head}\ndefinition:\n${definition}\n${log}`;
    },
  });
}

function addDelete(group: Command, session: Session): void {
  ask(group, session, "delete", {
    summary: "delete a template that no box uses",
    examples: ["berth template delete old"],
    args: { "<template>": "name or id" },
    run: async (client, [ref]: [string]) => (await client.templates.delete(ref)).template,
    text: ({ name }) => `${name}\n`,
  });
}

/** Reads a definition; the API checks what it says. */
export async function readDefinition(path: string): Promise<TemplateDefinition> {
  let text: string;
  try {
    text = await readFile(path === "-" ? "/dev/stdin" : path, "utf8");
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${(error as Error).message}.`, {
      exitCode: EXIT.usage,
      cause: error,
    });
  }
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error) throw new CliError(`${path} is not YAML: ${error.message}`, { exitCode: EXIT.usage });
  const definition: unknown = document.toJS();
  if (typeof definition !== "object" || definition === null || Array.isArray(definition))
    throw new CliError(`${path} does not hold a template definition.`, {
      exitCode: EXIT.usage,
      next: "Write at least `name: NAME`; docs/start.md shows a whole one.",
    });
  return definition as TemplateDefinition;
}

async function followBuild(
  session: Session,
  template: Template,
  options: OutputOptions & WaitOptions,
  version = template.latest?.version,
): Promise<void> {
  if (options.wait && version)
    await waitForBuild(session, { template: template.name, version }, options.timeout);
  const client = await session.client();
  const final = options.wait ? await client.templates.get(template.id) : template;
  session.print(options, final, () => `${final.name}\n`);
}

/** Shows the build's step and output until the version is ready; fails when the build failed. */
export async function waitForBuild(
  session: Session,
  wanted: { readonly template: string; readonly version: number },
  timeoutMs: number,
): Promise<void> {
  const { clock, interrupted } = session.terminal;
  const client = await session.client();
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const label = `${wanted.template}:${wanted.version}`;
  const progress = new Progress(session.terminal);
  const line = progress.line(`template ${label}`);
  let shownLog = "";
  try {
    for (;;) {
      const version = await client.templates.version(wanted.template, wanted.version);
      for (const text of newLines(shownLog, version.log)) progress.note(`  ${plainLine(text)}`);
      shownLog = version.log;
      if (version.state === "ready") {
        line.done("ready");
        return;
      }
      if (version.state === "failed") {
        line.fail(stateOf(version));
        throw new CliError(
          `the build of template ${label} failed: ${version.error ?? "no reason"}`,
          {
            next: `Correct the definition and run \`berth template create -f FILE\`, or try the same again with \`berth template build ${wanted.template}\`. \`berth template show ${wanted.template}\` prints the output.`,
          },
        );
      }
      line.update(await buildState(client, version));
      if (clock.monotonicMs() > deadlineMs)
        throw new CliError(`template ${label} is not ready after ${duration(timeoutMs)}.`, {
          next: `The build goes on; \`berth template build ${wanted.template}\` follows it.`,
        });
      await clock.sleep(POLL_MS, interrupted);
    }
  } catch (error) {
    if (!interrupted.aborted) throw error;
    throw new CliError(`stopped following the build of template ${label}.`, {
      exitCode: EXIT.interrupted,
      next: `It goes on; \`berth template build ${wanted.template}\` follows it again.`,
    });
  } finally {
    await progress.close();
  }
}

/** What the build is doing; while its box is not up yet, what that box is doing. */
async function buildState(client: BerthClient, version: TemplateVersion): Promise<string> {
  if (version.step || !version.builder) return stateOf(version);
  const builder = await client.boxes.get(version.builder).catch(() => null);
  return builder ? `${version.state}: its box is ${happening(builder)}` : stateOf(version);
}

function stateOf(version: TemplateVersion): string {
  const why = version.error ?? version.step;
  return why ? `${version.state}: ${why}` : version.state;
}

function prebuildOf(version: TemplateVersion): string {
  if (!version.prebuild) return "none: boxes boot";
  return `${version.prebuild.snapshotId}${version.prebuild.durable ? ", durable" : ""}`;
}

/**
 * Lines of `log` that come after those of `shown`. The API keeps the end of the output only, so the
 * start may have moved: what was shown is looked for from its last line.
 */
export function newLines(shown: string, log: string): string[] {
  if (log === shown) return [];
  let rest = log;
  if (log.startsWith(shown)) rest = log.slice(shown.length);
  else {
    const lastShown = shown.slice(-200);
    const at = lastShown ? log.indexOf(lastShown) : -1;
    if (at >= 0) rest = log.slice(at + lastShown.length);
  }
  return rest.split(/[\r\n]+/).filter((text) => text.trim() !== "");
}

function tail(log: string): string {
  return log.trimEnd().split("\n").slice(-LOG_LINES_SHOWN).join("\n");
}
