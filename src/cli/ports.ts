// Ports of a box: what listens, at which address browsers see it, and who may.

import { type Command, InvalidArgumentError, Option } from "commander";
import type { BerthClient, Box } from "#sdk/client.ts";
import { CliError, EXIT } from "./exit.ts";
import { type OutputOptions, parseDurationMs, withExamples, withOutput } from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";

const VISIBILITIES = ["private", "org", "public"] as const;
type Visibility = (typeof VISIBILITIES)[number];
const MAX_PORT = 65_535;

export function addPortCommands(program: Command, session: Session): void {
  const group = program.command("port").summary("ports of a box: list, preview, share, forward");
  addList(group, session);
  addOpen(group, session);
  addShare(group, session);
  addClose(group, session);
  addForward(group, session);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > MAX_PORT)
    throw new InvalidArgumentError("Write a port, 1 to 65535.");
  return port;
}

function addList(group: Command, session: Session): void {
  const command = group
    .command("list")
    .alias("ls")
    .summary("what listens in a box, and where it is previewed")
    .argument("<box>", "name or id")
    .action(async (ref: string, options: OutputOptions) => {
      const client = await session.client();
      const box = await client.boxes.get(ref);
      const previews = await previewsOf(client, box);
      session.print(options, { ports: box.ports, previews }, () =>
        box.ports.length + previews.length > 0 ? portTable(box, previews) : nothing(box),
      );
    });
  withExamples(withOutput(command), ["berth port list web"]);
}

type Preview = Awaited<ReturnType<BerthClient["previews"]["list"]>>["items"][number];

function previewsOf(client: BerthClient, box: Box): Promise<Preview[]> {
  return everyPage((page) => client.previews.list({ ...page, box: box.id }));
}

function portTable(box: Box, previews: readonly Preview[]): string {
  const ports = new Set([...box.ports, ...previews].map(({ port }) => port));
  return table(
    ["PORT", "PROGRAM", "VISIBILITY", "ADDRESS"],
    [...ports]
      .sort((left, right) => left - right)
      .map((port) => {
        const listening = box.ports.find((one) => one.port === port);
        const preview = previews.find((one) => one.port === port);
        return [
          String(port),
          listening ? (listening.program ?? "?") : "(nothing listens)",
          preview?.visibility ?? "-",
          preview?.url ?? `berth port open ${box.name} ${port}`,
        ];
      }),
  );
}

function nothing(box: Box): string {
  return box.phase === "running"
    ? `Nothing listens in ${box.name}.\n`
    : `${box.name} is ${box.phase}: ports are known while it runs.\n`;
}

function addOpen(group: Command, session: Session): void {
  const command = group
    .command("open")
    .summary("give a port an address of its own for browsers")
    .description(
      "Prints the address. private: you; org: your organization; public: everybody. Narrowing it changes the address, so that old ones lead nowhere.",
    )
    .argument("<box>", "name or id")
    .argument("<port>", "port in the box", parsePort)
    .addOption(
      new Option("--visibility <who>", "who may see it (default: private)").choices(VISIBILITIES),
    )
    .action(
      async (ref: string, port: number, options: OutputOptions & { visibility?: Visibility }) => {
        const client = await session.client();
        const { visibility } = options;
        const opened = await client.previews.open(ref, {
          port,
          ...(visibility ? { visibility } : {}),
        });
        const preview =
          visibility && opened.visibility !== visibility
            ? await client.previews.update(opened.id, { visibility })
            : opened;
        session.print(options, preview, () => `${preview.url}\n`);
      },
    );
  withExamples(withOutput(command), [
    "berth port open web 3000",
    "berth port open web 3000 --visibility org",
  ]);
}

function addShare(group: Command, session: Session): void {
  const command = group
    .command("share")
    .summary("make a link to a port that works for whoever has it, for a time")
    .argument("<box>", "name or id")
    .argument("<port>", "port in the box", parsePort)
    .option("--for <duration>", "how long it works, at most 168h (default: 24h)", parseDurationMs)
    .action(async (ref: string, port: number, options: OutputOptions & { for?: number }) => {
      const client = await session.client();
      const preview = await client.previews.open(ref, { port });
      const link = await client.previews.createLink(
        preview.id,
        options.for ? { expiresInMs: options.for } : {},
      );
      session.print(options, link, () => `${link.url}\n`);
    });
  withExamples(withOutput(command), ["berth port share web 3000 --for 2h"]);
}

function addClose(group: Command, session: Session): void {
  const command = group
    .command("close")
    .summary("take a port's address away; it never comes back")
    .argument("<box>", "name or id")
    .argument("<port>", "port in the box", parsePort)
    .action(async (ref: string, port: number, options: OutputOptions) => {
      const client = await session.client();
      const box = await client.boxes.get(ref);
      const preview = (await previewsOf(client, box)).find((one) => one.port === port);
      if (!preview)
        throw new CliError(`port ${port} of ${box.name} has no address.`, {
          next: `\`berth port list ${box.name}\` shows those that have.`,
        });
      const closed = await client.previews.close(preview.id);
      session.print(options, closed, () => `${preview.url}\n`);
    });
  withExamples(withOutput(command), ["berth port close web 3000"]);
}

function addForward(group: Command, session: Session): void {
  const command = group
    .command("forward")
    .summary("reach ports of a box on 127.0.0.1, until Ctrl-C")
    .argument("<box>", "name or id")
    .argument("<ports...>", "LOCAL:REMOTE, or one port for both")
    .action(async (box: string, ports: string[]) => {
      const { parseForward, portForward } = await import("./port-forward.ts");
      if (ports.length === 0) throw new CliError("no port was given.", { exitCode: EXIT.usage });
      await portForward(session, box, ports.map(parseForward));
    });
  withExamples(command, ["berth port forward web 8080", "berth port forward web 3000:80 :5432"]);
}
