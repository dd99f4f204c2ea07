// `berth ssh`: the system's own OpenSSH, with a certificate of minutes and the gateway as its transport. The
// session is end to end between ssh and the box's sshd; the gateway sees ciphertext.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { openDoor, wake } from "./enter.ts";
import { CliError, ExitWith } from "./exit.ts";
import type { Session } from "./session.ts";
import { prepareSsh } from "./ssh-files.ts";
import { pipeStdio } from "./stdio.ts";

const SSH_PORT = 22;
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
  const box = await wake(session, ref);
  const { paths, user, hostName } = await prepareSsh(session, box.id);
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
export async function sshStdio(session: Session, ref: string): Promise<void> {
  const box = await wake(session, boxOfHost(ref));
  const stream = await openDoor(session, box, { port: SSH_PORT });
  await pipeStdio(stream).catch((error: Error) => {
    session.terminal.err(`berth: the connection to ${box.name} broke: ${error.message}\n`);
    throw new ExitWith(FAILED_TO_CONNECT);
  });
}

/** `berth ssh --prepare`: before ssh reads the certificate that the generated ssh_config names. */
export async function sshPrepare(session: Session, host: string): Promise<void> {
  const client = await session.client();
  const box = await client.boxes.get(boxOfHost(host));
  await prepareSsh(session, box.id, host);
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
