// Quotas: what is taken beside what may be, and how limits are set.

import { type Command, Option } from "commander";
import type { QuotaScope } from "#domain/quota.ts";
import { nearestOf } from "#lib/nearest.ts";
import type { AnswerOf, BodyOf } from "#sdk/operations.ts";
import { CliError, EXIT } from "./exit.ts";
import { type OutputOptions, withExamples, withOutput } from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import { bytes } from "./terminal.ts";

type Quota = AnswerOf<"quotas.getOrg">;
type QuotaLimits = Quota["limits"];
type UpdateQuota = BodyOf<"quotas.setUser">;
type Resource = keyof Quota["usage"];
type Unit = "count" | "mib" | "gib" | "bytes" | "names";

/** Limits as they are called here, in the order in which they are shown. */
const LIMITS: Readonly<Record<string, { readonly key: keyof QuotaLimits; readonly unit: Unit }>> = {
  boxes: { key: "boxes", unit: "count" },
  running: { key: "running", unit: "count" },
  cpus: { key: "cpus", unit: "count" },
  memory: { key: "memoryMib", unit: "mib" },
  gpus: { key: "gpus", unit: "count" },
  disk: { key: "diskGib", unit: "gib" },
  snapshots: { key: "snapshotBytes", unit: "bytes" },
  "shared-ports": { key: "sharedPorts", unit: "count" },
  "creates-per-hour": { key: "createsPerHour", unit: "count" },
  "box-cpus": { key: "boxCpus", unit: "count" },
  "box-memory": { key: "boxMemoryMib", unit: "mib" },
  "box-disk": { key: "boxDiskGib", unit: "gib" },
  templates: { key: "templates", unit: "names" },
};

const UNIT_BYTES = { mib: 1024 ** 2, gib: 1024 ** 3, bytes: 1 } as const;
const SUFFIX_BYTES: Readonly<Record<string, number>> = {
  ...{ KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 },
};

export function addQuotaCommands(program: Command, session: Session): void {
  const group = program.command("quota").summary("limits, and what is taken of them");
  const show = group
    .command("show", { isDefault: true })
    .summary("what you, your teams and your organization take, beside what you may")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const quotas = await client.quotas.get();
      const { user, teams, org } = quotas;
      session.print(options, quotas, () => sideBySide([user, ...teams, ...(org ? [org] : [])]));
    });
  withExamples(withOutput(show), ["berth quota"]);
  addList(group, session);
  addDefaults(group, session);
  addSet(group, session);
}

function addDefaults(group: Command, session: Session): void {
  const command = group
    .command("defaults")
    .summary("limits of every organization, team and user of the installation (for operators)")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      session.print(options, await client.quotas.getInstallation(), defaultsTable);
    });
  withExamples(withOutput(command), ["berth quota defaults"]);
}

function defaultsTable(defaults: AnswerOf<"quotas.getInstallation">): string {
  const held = [defaults.org, defaults.team, defaults.user] as readonly Partial<QuotaLimits>[];
  const rows = Object.entries(LIMITS).flatMap(([name, { key, unit }]) => {
    const cells = held.map((limits) => limits[key] ?? null);
    const shown = cells.map((limit) => (limit === null ? "" : printed(limit, unit)));
    return shown.every((cell) => cell === "") ? [] : [[name, ...shown]];
  });
  return rows.length > 0
    ? table(["", "EACH ORGANIZATION", "EACH TEAM", "EACH USER"], rows)
    : "There are none. `berth quota set --default org boxes=100` sets one.\n";
}

function sideBySide(quotas: readonly Quota[]): string {
  const titles = { user: "you", team: "team", org: "organization" } as const;
  const rows = Object.entries(LIMITS).flatMap(([name, { key, unit }]) => {
    const cells = quotas.map((quota) => cellOf(quota, key, unit));
    return cells.every((cell) => cell === "") ? [] : [[name, ...cells]];
  });
  const headings = quotas.map(({ scope, name }) =>
    scope === "user" ? `YOU (${name})` : `${titles[scope].toUpperCase()} ${name}`,
  );
  return table(["", ...headings], rows);
}

/** Empty: it is neither counted nor limited. */
function cellOf(quota: Quota, key: keyof QuotaLimits, unit: Unit): string {
  const limit = quota.limits[key];
  const used = quota.usage[key as Resource] as number | undefined;
  if (used === undefined) return limit === null ? "" : `at most ${printed(limit, unit)}`;
  return limit === null ? printed(used, unit) : `${printed(used, unit)} of ${printed(limit, unit)}`;
}

function printed(value: number | readonly string[], unit: Unit): string {
  if (typeof value !== "number") return value.join(",");
  if (unit === "count" || unit === "names") return String(value);
  return value === 0 ? "0" : bytes(value * UNIT_BYTES[unit]);
}

interface ListOptions extends OutputOptions {
  readonly teams?: boolean;
}

function addList(group: Command, session: Session): void {
  const command = group
    .command("list")
    .alias("ls")
    .summary("what each user takes; of teams with --teams")
    .option("--teams", "of each team")
    .action(async (options: ListOptions) => {
      const client = await session.client();
      const scope = options.teams ? "team" : "user";
      const quotas = await everyPage((page) => client.quotas.list({ scope, ...page }));
      const shown = Object.entries(LIMITS).slice(0, 8);
      session.print(options, quotas, (all) =>
        table(
          [scope.toUpperCase(), ...shown.map(([name]) => name.toUpperCase())],
          all.map((quota) => [
            quota.name,
            ...shown.map(([, { key, unit }]) => cellOf(quota, key, unit)),
          ]),
        ),
      );
    });
  withExamples(withOutput(command), ["berth quota list", "berth quota list --teams"]);
}

interface SetOptions extends OutputOptions {
  readonly org?: string;
  readonly team?: string;
  readonly user?: string;
  readonly everyTeam?: boolean;
  readonly everyUser?: boolean;
  readonly default?: QuotaScope;
}

function addSet(group: Command, session: Session): void {
  const command = group
    .command("set")
    .summary("set limits; what is taken already stays, and more is refused")
    .argument("<limit...>", `NAME=VALUE, or NAME=none: ${Object.keys(LIMITS).join(", ")}`)
    .option("--user <user>", "of one user: id, name or email")
    .option("--team <team>", "of one team")
    .option("--every-user", "of each user that has no limit of its own")
    .option("--every-team", "of each team that has no limit of its own")
    .option("--org <org>", "of an organization (for operators)")
    .addOption(
      new Option(
        "--default <whose>",
        "of each org, team or user of the installation, where neither it nor its organization has one (for operators)",
      ).choices(["org", "team", "user"]),
    )
    .action(async (words: readonly string[], options: SetOptions) => {
      const change = changeOf(words);
      const client = await session.client();
      const set = setterOf(options);
      if (!set)
        throw refused(
          "Say whose limits: one of --user, --team, --every-user, --every-team, --org, --default.",
        );
      const done = await set(client, change);
      session.print(options, done, () => `${words.join(" ")}\n`);
    });
  withExamples(withOutput(command), [
    "berth quota set --user ada boxes=20 memory=64GiB",
    "berth quota set --every-user boxes=5 running=2 templates=default,go",
    "berth quota set --team core cpus=none",
    "berth quota set --default org boxes=100 running=40",
  ]);
}

type Client = Awaited<ReturnType<Session["client"]>>;
type Set = (client: Client, change: UpdateQuota) => Promise<unknown>;

/** Null: not exactly one was named. */
function setterOf(options: SetOptions): Set | null {
  const { org, team, user, everyTeam, everyUser } = options;
  const setters: Set[] = [];
  if (org) setters.push((client, change) => client.quotas.setOrg(org, change));
  if (team) setters.push((client, change) => client.quotas.setTeam(team, change));
  if (user) setters.push((client, change) => client.quotas.setUser(user, change));
  if (everyTeam) setters.push((client, change) => client.quotas.setDefault("team", change));
  if (everyUser) setters.push((client, change) => client.quotas.setDefault("user", change));
  const scope = options.default;
  if (scope) setters.push((client, change) => client.quotas.setInstallation(scope, change));
  return setters.length === 1 ? (setters[0] ?? null) : null;
}

function changeOf(words: readonly string[]): UpdateQuota {
  return Object.fromEntries(
    words.map((word) => {
      const [name = "", value = "", ...rest] = word.split("=");
      const limit = LIMITS[name];
      if (!limit) {
        const nearest = nearestOf(name, Object.keys(LIMITS));
        throw refused(`There is no limit '${name}'${nearest ? `: did you mean ${nearest}?` : "."}`);
      }
      if (value === "" || rest.length > 0) throw refused(`Write ${name}=VALUE, or ${name}=none.`);
      return [limit.key, value === "none" ? null : parsed(name, value, limit.unit)];
    }),
  ) as UpdateQuota;
}

function parsed(name: string, value: string, unit: Unit): number | string[] {
  if (unit === "names") return value.split(",").filter(Boolean);
  const [, digits, suffix] = /^(\d{1,12}(?:\.\d{1,3})?)(KiB|MiB|GiB|TiB)?$/.exec(value) ?? [];
  if (digits === undefined || (unit === "count" && (suffix || digits.includes("."))))
    throw refused(
      `${name} is '${value}': write ${unit === "count" ? "a whole number" : "a size, such as 64GiB"}.`,
    );
  if (unit === "count") return Number(digits);
  if (!suffix) throw refused(`${name} is '${value}': say the unit, as in ${value}GiB.`);
  return Math.floor((Number(digits) * (SUFFIX_BYTES[suffix] ?? 1)) / UNIT_BYTES[unit]);
}

function refused(message: string): CliError {
  return new CliError(message, {
    exitCode: EXIT.usage,
    next: "`berth quota set --help` shows how.",
  });
}
