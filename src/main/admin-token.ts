// The administrator's token of this machine, in a file that only its owner reads. `berth up` and the server both make
// sure of it, whoever comes first; the server takes its hash into the database.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type Credentials, credentialsPath } from "#cli/credentials.ts";
import { makeToken } from "#trust/token-hash.ts";
import { type Config, localUrl } from "./config.ts";

export async function ensureCredentials(config: Config): Promise<Credentials> {
  const path = credentialsPath(config.stateDir);
  const url = localUrl("http", config.apiListen);
  await mkdir(dirname(path), { recursive: true });
  const fresh = { url, token: makeToken() };
  // Only one of two that start together creates it.
  await writeFile(path, print(fresh), { mode: 0o600, flag: "wx" }).catch((error) => {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  });
  const known = await read(path);
  if (known?.url === url) return known;
  const corrected = { url, token: known?.token ?? fresh.token };
  await writeFile(`${path}.new`, print(corrected), { mode: 0o600 });
  await rename(`${path}.new`, path);
  return corrected;
}

async function read(path: string): Promise<Credentials | null> {
  try {
    const { url, token } = JSON.parse(await readFile(path, "utf8")) as Partial<Credentials>;
    return url && token ? { url, token } : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function print(credentials: Credentials): string {
  return `${JSON.stringify(credentials)}\n`;
}
