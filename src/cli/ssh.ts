// `berth ssh`: the system's own OpenSSH, with a certificate of minutes and the gateway as its transport. The
// session is end to end between ssh and the box's sshd; the gateway sees ciphertext.

import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Box } from "#sdk/client.ts";
import { openDoor, ticketKey, wake } from "./enter.ts";
import { CliError, ExitWith } from "./exit.ts";
import { keepWay, lastWay } from "./last-way.ts";
import type { Session } from "./session.ts";
import { prepareSsh, type SshEntry, sshPaths } from "./ssh-files.ts";
import { pipeStdio } from "./stdio.ts";

const SSH_DOOR = { port: 22 };
const SIGNAL_EXIT_BASE = 128;
const FAILED_TO_CONNECT = 255;

export interface SshOptions {
  /** Given to ssh before the host: -L, -A, -v, -o …. */
  readonly sshArguments: readonly string[];
  /** A command to run, as ssh takes it; empty: a login shell. */
  readonly command: readonly string[];
}

/** The program to start again from ssh: Node and the executable's file, without the sh wrapper. */
export function selfCommand(): readonly string[] {
  return [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "../main/berth.ts"),
  ];
}

export async function ssh(session: Session, ref: string, options: SshOptions): Promise<never> {
  const { box, paths, user, hostName } = await prepare(session, ref);
  const proxy = [...selfCommand(), "ssh", "--stdio", box.id].map(quote).join(" ");
  const settings = [
    `ProxyCommand=${percent(proxy)}`,
    `User=${user}`,
    `HostKeyAlias=${hostName}`,
    `IdentityFile=${percent(paths.identity)}`,
    `CertificateFile=${percent(paths.certificate(hostName))}`,
    `UserKnownHostsFile=${percent(paths.knownHosts)}`,
    ...FIXED_SETTINGS,
  ];
  const argv = [
    ...asOptions(settings),
    ...options.sshArguments,
    ...asOptions(FAST_SETTINGS),
    "--",
    hostName,
    ...options.command,
  ];
  throw new ExitWith(await runSsh(argv, session.terminal.env));
}

interface Prepared extends SshEntry {
  readonly box: Pick<Box, "id" | "name">;
}

async function prepare(session: Session, ref: string): Promise<Prepared> {
  try {
    const box = await wake(session, ref);
    const entry = await prepareSsh(session, box.id);
    await keepWay(session, box, { login: { user: entry.user, hostName: entry.hostName } });
    return { box, ...entry };
  } catch (error) {
    const { box, login } = await lastWay(session, ref, error);
    if (!login) throw error;
    return { box, paths: sshPaths(session.terminal.env), ...login };
  }
}

function asOptions(settings: readonly string[]): string[] {
  return settings.flatMap((setting) => ["-o", setting]);
}

/** Also in the generated ssh_config. */
export const FIXED_SETTINGS: readonly string[] = [
  "IdentitiesOnly yes",
  "PreferredAuthentications publickey",
  "StrictHostKeyChecking yes", // Never a prompt: the host proves itself by certificate, or is refused.
  "GlobalKnownHostsFile none",
  "UpdateHostKeys no",
];

/** Only for speed; what the user sets comes first. */
export const FAST_SETTINGS: readonly string[] = [
  // The post-quantum exchange costs 0.1 s at a login, more in an emulated box.
  "KexAlgorithms ^curve25519-sha256",
  "Ciphers ^aes128-gcm@openssh.com", // Three times the throughput of ssh's own first choice.
];

function runSsh(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn("ssh", argv, { stdio: "inherit", env });
    const pass = (signal: NodeJS.Signals) => child.kill(signal);
    process.on("SIGTERM", pass);
    process.on("SIGHUP", pass);
    child.on("error", (cause) =>
      reject(
        new CliError("ssh could not be started.", {
          next: "Install OpenSSH's client: `apt-get install openssh-client`.",
          cause,
        }),
      ),
    );
    child.on("exit", (code, signal) => {
      process.off("SIGTERM", pass);
      process.off("SIGHUP", pass);
      resolve(code ?? SIGNAL_EXIT_BASE + signalNumber(signal));
    });
  });
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[String(signal)] ?? 1;
}

/** `berth ssh --stdio`: the transport that ssh starts as its ProxyCommand. */
export async function sshStdio(session: Session, host: string): Promise<void> {
  const box = await awake(session, boxOfHost(host));
  const stream = await openDoor(session, box, SSH_DOOR);
  const ticket = session.tickets.get(ticketKey(box, SSH_DOOR));
  if (ticket) await keepWay(session, box, { ticket });
  await pipeStdio(stream).catch((error: Error) => {
    session.terminal.err(`berth: the connection to ${box.name} broke: ${error.message}\n`);
    throw new ExitWith(FAILED_TO_CONNECT);
  });
}

async function awake(session: Session, ref: string): Promise<Pick<Box, "id" | "name">> {
  try {
    return await wake(session, ref);
  } catch (error) {
    const { box, ticket } = await lastWay(session, ref, error);
    if (ticket) session.tickets.set(ticketKey(box, SSH_DOOR), ticket);
    session.terminal.err(
      `The control plane does not answer: entering ${box.name} by the ticket of last time, good until ${ticket?.expiresAt}.\n`,
    );
    return box;
  }
}

/** `berth ssh --prepare`: before ssh reads the certificate that the generated ssh_config names. */
export async function sshPrepare(session: Session, host: string): Promise<void> {
  const ref = boxOfHost(host);
  try {
    const client = await session.client();
    const box = await client.boxes.get(ref);
    await prepareSsh(session, box.id, host);
  } catch (error) {
    await lastWay(session, ref, error); // What it wrote then is still there.
  }
}

const HOST_SUFFIX = ".berth";

/** "web.berth", as ssh knows it, or "web". */
function boxOfHost(host: string): string {
  const box = host.endsWith(HOST_SUFFIX) ? host.slice(0, -HOST_SUFFIX.length) : host;
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(box))
    throw new CliError(`'${host}' is not a box: write BOX${HOST_SUFFIX}.`, {
      next: "`berth list` shows the names.",
    });
  return box;
}

/** For the shell that runs a ProxyCommand. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** ssh replaces tokens such as %h in its settings. */
function percent(text: string): string {
  return text.replaceAll("%", "%%");
}
