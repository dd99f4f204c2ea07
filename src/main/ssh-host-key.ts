// The host key of a gateway's SSH door: made once and kept, with a certificate by the host authority that is asked for
// again each day. The last certificate is on disk, so that the door opens while the control plane is away.

import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SshHostKey } from "#gateway/ssh-door.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { makeSshKey, publicKeyLineOf } from "#lib/ssh-keys.ts";

export interface SshHostKeyOptions {
  readonly directory: string;
  /** Asks the control plane for a certificate of the public key line. */
  readonly certify: (publicKeyLine: string) => Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const RENEW_MS = 24 * 60 * 60_000;
const RETRY_MS = 1000;

export async function openSshHostKey(options: SshHostKeyOptions): Promise<SshHostKey> {
  const { directory, clock, log, signal } = options;
  await mkdir(directory, { recursive: true });
  const keyPath = join(directory, "ssh_host_ed25519_key");
  const certificatePath = `${keyPath}-cert.pub`;
  const privateKeyOpenssh = await readOrMake(keyPath);
  let certificate = await readFile(certificatePath, "utf8").catch(() => null);
  const renew = async () => {
    const line = await options.certify(publicKeyLineOf(privateKeyOpenssh));
    await replace(certificatePath, line);
    certificate = line;
  };
  const tryToRenew = () =>
    renew().then(
      () => true,
      (err: unknown) => {
        log.warn({ err }, "the SSH door's host certificate could not be renewed; trying again");
        return false;
      },
    );
  while (!(await tryToRenew()) && certificate === null) await clock.sleep(RETRY_MS, signal);
  void (async () => {
    for (let isFresh = true; !signal.aborted; isFresh = await tryToRenew())
      await clock.sleep(isFresh ? RENEW_MS : RETRY_MS * 60, signal).catch(() => {});
  })();
  return { privateKeyOpenssh, certificateLine: () => certificate ?? "" };
}

async function readOrMake(path: string): Promise<string> {
  const known = await readFile(path, "utf8").catch(() => null);
  if (known !== null) return known;
  const { privateKeyOpenssh } = makeSshKey("berth-gateway");
  await replace(path, privateKeyOpenssh);
  return privateKeyOpenssh;
}

async function replace(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await chmod(`${path}.new`, 0o600);
  await rename(`${path}.new`, path);
}
