// What OpenSSH needs to enter boxes without a question: a key of this user's cache, a certificate of
// minutes for each box, and the authority that boxes' host keys are signed by.

import { randomUUID } from "node:crypto";
import { chmod, link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { makeSshKey, publicKeyLineOf } from "#lib/ssh-keys.ts";
import type { SshCertificate } from "#sdk/client.ts";
import type { Session } from "./session.ts";

export interface SshPaths {
  readonly directory: string;
  /** Private key. Without a certificate, which lasts minutes, it opens nothing. */
  readonly identity: string;
  readonly knownHosts: string;
  certificate(hostName: string): string;
}

export interface SshEntry {
  readonly paths: SshPaths;
  readonly user: string;
  /** Name in the box's host certificate. */
  readonly hostName: string;
}

export function sshPaths(env: Readonly<Record<string, string | undefined>>): SshPaths {
  const cache = env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache");
  const directory = join(cache, "berth/ssh");
  return {
    directory,
    identity: join(directory, "id"),
    knownHosts: join(directory, "known_hosts"),
    certificate: (hostName) => join(directory, `${hostName}-cert.pub`),
  };
}

/** Gets a certificate for a box and writes what ssh reads. `alias`: the host name that the user typed. */
export async function prepareSsh(
  session: Session,
  boxId: string,
  alias?: string,
): Promise<SshEntry> {
  const paths = sshPaths(session.terminal.env);
  await mkdir(paths.directory, { recursive: true, mode: 0o700 });
  await chmod(paths.directory, 0o700);
  const client = await session.client();
  const issued: SshCertificate = await client.access.sshCertificate(boxId, {
    publicKey: await ensureKey(paths.identity),
  });
  await replaceFile(paths.certificate(alias ?? issued.hostName), `${issued.certificate.trim()}\n`);
  await replaceFile(paths.knownHosts, `${issued.knownHosts.trim()}\n`);
  return { paths, user: issued.user, hostName: issued.hostName };
}

/** Public key line of the key at `path`, which is made when there is none that can be read. */
async function ensureKey(path: string): Promise<string> {
  const made = `${path}.${randomUUID()}`;
  await writeFile(made, makeSshKey("berth").privateKeyOpenssh, { mode: 0o600 });
  try {
    // Of two that make one at once, the first wins and both use it.
    await link(made, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    const key = await readFile(path, "utf8");
    try {
      return publicKeyLineOf(key);
    } catch {
      await rename(made, path); // Damaged: nothing depends on the old one.
      return publicKeyLineOf(await readFile(path, "utf8"));
    }
  } finally {
    await rm(made, { force: true });
  }
}

/** Whole or not at all; unreadable for others. */
export async function replaceFile(path: string, text: string): Promise<void> {
  if ((await readFile(path, "utf8").catch(() => null)) === text) return;
  const next = `${path}.${randomUUID()}`;
  await writeFile(next, text, { mode: 0o600 });
  await rename(next, path);
}
