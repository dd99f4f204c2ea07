// A real OpenSSH server on loopback that trusts a user CA, as a box's does: a `dev` user, principals, a host
// certificate. Debian's sshd is unpacked, not installed (installing would start a service), and runs in a
// mount namespace with its own /etc/passwd, so the host gets no user. Needs root.

import { type ChildProcess, spawn } from "node:child_process";
import {
  access,
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { systemClock } from "#lib/clock.ts";
import { run } from "#lib/run.ts";
import { freePort } from "./free-ports.ts";

export interface SshdOptions {
  readonly userCaLine: string;
  readonly principals: readonly string[];
  readonly hostPrivateKeyOpenssh: string;
  readonly hostCertificate: string;
}

export interface Sshd {
  readonly port: number;
  readonly pid: number;
  /** Home directory of dev. */
  readonly home: string;
  log(): string;
  stop(): Promise<void>;
}

const TOOLS = resolve(import.meta.dirname, "../../.tools/openssh-server");
const DEV_UID = 64_999;
const START_TIMEOUT_MS = 60_000;

export async function startSshd(options: SshdOptions): Promise<Sshd> {
  if (process.getuid?.() !== 0)
    throw new Error("a test with a real sshd needs root: run it as root");
  const tools = await ensureSshd();
  const directory = await mkdtemp(join(tmpdir(), "berth-sshd-"));
  await chmod(directory, 0o755);
  const home = join(directory, "home");
  await mkdir(home);
  await chown(home, DEV_UID, DEV_UID);
  const port = await freePort();
  await writeFiles(directory, home, port, options);
  const sshd = join(tools, "usr/sbin/sshd");
  const script = [
    "set -e",
    `mount --bind ${directory}/passwd /etc/passwd`,
    "mount -t tmpfs -o mode=0755 tmpfs /run",
    "mkdir -m 0755 /run/sshd",
    // sshd trusts only files below directories that nobody else can write: not /tmp.
    `cp ${directory}/principals /run/principals`,
    `exec ${sshd} -D -e -f ${directory}/sshd_config`,
  ].join("\n");
  const child = spawn("unshare", ["--mount", "sh", "-c", script], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env.PATH, LD_LIBRARY_PATH: join(tools, "usr/lib/x86_64-linux-gnu") },
  });
  let log = "";
  child.stderr.on("data", (chunk) => {
    log += chunk;
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGKILL");
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilListening(port, child, () => log);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, pid: child.pid ?? 0, home, log: () => log, stop };
}

async function writeFiles(directory: string, home: string, port: number, options: SshdOptions) {
  const file = (name: string, text: string, mode = 0o644) =>
    writeFile(join(directory, name), text, { mode });
  const passwd = (await readFile("/etc/passwd", "utf8")).replace(/^(sshd|dev):.*\n/gm, "");
  await file(
    "passwd",
    `${passwd}sshd:x:64998:65534::/run/sshd:/usr/sbin/nologin\ndev:*:${DEV_UID}:${DEV_UID}::${home}:/bin/bash\n`,
  );
  await file("user_ca.pub", `${options.userCaLine}\n`);
  await file("principals", `${options.principals.join("\n")}\n`);
  await file("host_key", options.hostPrivateKeyOpenssh, 0o600);
  await file("host_key-cert.pub", `${options.hostCertificate}\n`);
  await file(
    "sshd_config",
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${directory}/host_key`,
      `HostCertificate ${directory}/host_key-cert.pub`,
      `TrustedUserCAKeys ${directory}/user_ca.pub`,
      "AuthorizedPrincipalsFile /run/principals",
      "AuthorizedKeysFile none",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "UsePAM no",
      "AllowUsers dev",
      "PidFile none",
      "MaxStartups 500",
      "Subsystem sftp internal-sftp",
      "",
    ].join("\n"),
  );
}

/** Debian's sshd, unpacked once under .tools. */
async function ensureSshd(): Promise<string> {
  const exists = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );
  if (await exists(join(TOOLS, "usr/sbin/sshd"))) return TOOLS;
  const packages = await mkdtemp(join(tmpdir(), "berth-debs-"));
  const download = () =>
    run(["apt-get", "download", "-qq", "openssh-server", "libwrap0"], {
      cwd: packages,
      timeoutMs: 300_000,
    });
  try {
    await download().catch(async () => {
      await run(["apt-get", "update", "-qq"], { timeoutMs: 300_000 });
      await download();
    });
    await run(["sh", "-c", "for deb in *.deb; do dpkg-deb -x $deb root; done"], { cwd: packages });
    await mkdir(resolve(TOOLS, ".."), { recursive: true });
    await run(["cp", "-a", join(packages, "root"), `${TOOLS}.${process.pid}`]);
    // Another test file may have been first; its copy is as good.
    await rename(`${TOOLS}.${process.pid}`, TOOLS).catch(() =>
      rm(`${TOOLS}.${process.pid}`, { recursive: true, force: true }),
    );
  } finally {
    await rm(packages, { recursive: true, force: true });
  }
  return TOOLS;
}

async function untilListening(port: number, child: ChildProcess, log: () => string): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + START_TIMEOUT_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`sshd ended: ${log()}`);
    const open = await new Promise<boolean>((done) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("connect", () => {
        socket.destroy();
        done(true);
      });
      socket.on("error", () => done(false));
    });
    if (open) return;
    if (systemClock.monotonicMs() > deadlineMs) throw new Error(`sshd does not listen: ${log()}`);
    await systemClock.sleep(50);
  }
}
