// The settings of the installation in a state directory, recorded by `berth up`, so that later commands find
// it as it was started: `berth up` without options goes on with them.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CliError } from "#cli/exit.ts";
import {
  type Config,
  type Environment,
  environmentOf,
  readConfig,
  type VariableName,
} from "./config.ts";
import { type Installation, installationIn } from "./installation.ts";

export interface Installed {
  readonly config: Config;
  readonly installation: Installation;
  /** What was recorded; null when `berth up` never ran here. */
  readonly recorded: Config | null;
  /** Variables in which `config` is not as recorded. */
  readonly differences: readonly string[];
}

/** These hold for one start and are not remembered. */
const NOT_RECORDED = ["BERTH_JOIN_TOKEN", "BERTH_FAILPOINTS", "BERTH_URL", "BERTH_TOKEN"];

/** Options win over the environment, and that over what was recorded. */
export async function readInstalled(
  environment: Environment,
  overrides: Partial<Record<VariableName, string>>,
): Promise<Installed> {
  const { stateDir } = readConfig(environment, overrides);
  const recorded = await readSettings(stateDir);
  const config = readConfig({ ...recorded, ...definedOnly(environment) }, overrides);
  const before = recorded ? readConfig(recorded) : null;
  const now = settingsOf(config);
  return {
    config,
    installation: installationIn(stateDir),
    recorded: before,
    differences: recorded
      ? Object.keys({ ...now, ...recorded }).filter((name) => now[name] !== recorded[name])
      : [],
  };
}

/** Mode 0600, because DATABASE_URL may hold a password. */
export async function writeSettings({ config, installation }: Installed): Promise<void> {
  await mkdir(installation.stateDir, { recursive: true });
  const path = settingsPath(installation.stateDir);
  const text = `${JSON.stringify(settingsOf(config), null, 2)}\n`;
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

function settingsPath(stateDir: string): string {
  return join(stateDir, "settings.json");
}

async function readSettings(stateDir: string): Promise<Record<string, string> | null> {
  const path = settingsPath(stateDir);
  try {
    return JSON.parse(await readFile(path, "utf8")) as Record<string, string>;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new CliError(`${path} cannot be read: ${(error as Error).message}.`, {
      next: "Run the command as the user who ran `berth up` (usually root).",
    });
  }
}

function settingsOf(config: Config): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environmentOf(config)).filter(([name]) => !NOT_RECORDED.includes(name)),
  );
}

function definedOnly(environment: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => Boolean(entry[1])),
  );
}
