// Where the CLI finds the API and its token: the environment, the user's own file, or the state
// directory of an installation on this machine.

import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { CliError, EXIT } from "./exit.ts";

export interface Credentials {
  readonly url: string;
  readonly token: string;
  /** Where the token was found; unknown when somebody else has found it. */
  readonly from?: string;
}

/** Written by `berth up` with mode 0600. */
export function credentialsPath(stateDir: string): string {
  return join(stateDir, "credentials.json");
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The user's own file; `berth login` writes it. */
export function ownCredentialsPath(env: Environment): string {
  const configDir = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config");
  return join(configDir, "berth/credentials.json");
}

export async function writeOwnCredentials(
  env: Environment,
  credentials: Credentials,
): Promise<void> {
  const path = ownCredentialsPath(env);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Never readable by others, not even for a moment; whole or not at all.
  await writeFile(`${path}.${process.pid}`, `${JSON.stringify(credentials)}\n`, { mode: 0o600 });
  await rename(`${path}.${process.pid}`, path);
}

export async function removeOwnCredentials(env: Environment): Promise<void> {
  await rm(ownCredentialsPath(env), { force: true });
}

export async function findCredentials(env: Environment): Promise<Credentials> {
  if (env.BERTH_URL && env.BERTH_TOKEN)
    return { url: env.BERTH_URL, token: env.BERTH_TOKEN, from: "BERTH_TOKEN" };
  const stateDir = env.BERTH_STATE_DIR || "/var/lib/berth";
  const paths = env.BERTH_STATE_DIR
    ? [credentialsPath(stateDir)]
    : [ownCredentialsPath(env), credentialsPath(stateDir)];
  for (const path of paths) {
    const found = await readCredentials(path);
    if (found)
      return {
        url: env.BERTH_URL || found.url,
        token: env.BERTH_TOKEN || found.token,
        from: env.BERTH_TOKEN ? "BERTH_TOKEN" : path,
      };
  }
  throw new CliError("no token for Berth was found on this machine.", {
    exitCode: EXIT.notAllowed,
    next: "Start Berth here with `berth up`, log in to one elsewhere with `berth login --url`, or set BERTH_URL and BERTH_TOKEN.",
  });
}

async function readCredentials(path: string): Promise<Credentials | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    if (code === "EACCES")
      throw new CliError(
        `the token in ${path} can be read only by the user who ran \`berth up\`.`,
        {
          exitCode: EXIT.notAllowed,
          next: `Run the command as that user (usually root), or set BERTH_URL and BERTH_TOKEN.`,
        },
      );
    throw error;
  }
  try {
    const { url, token } = JSON.parse(text) as Partial<Credentials>;
    if (url && token) return { url, token };
  } catch {}
  throw new CliError(`${path} is damaged.`, {
    next: "Run `berth up` again: it writes the file anew.",
  });
}
