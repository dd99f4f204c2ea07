// `berth ssh-config`: lets plain ssh, scp, rsync, git, VS Code and JetBrains reach boxes as BOX.berth.

import { chmod, mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Session } from "./session.ts";
import { FAST_SETTINGS, FIXED_SETTINGS } from "./ssh.ts";
import { type SshPaths, sshPaths } from "./ssh-files.ts";

const BERTH = join(import.meta.dirname, "../../berth");
const DEV = "dev";

/** Prints the settings, or writes them and an Include into ~/.ssh/config. */
export async function sshConfig(session: Session, options: { install: boolean }): Promise<void> {
  const paths = sshPaths(session.terminal.env);
  const text = configText(paths);
  if (!options.install) {
    session.terminal.out(text);
    return;
  }
  await mkdir(paths.directory, { recursive: true, mode: 0o700 });
  const file = join(paths.directory, "config");
  await replace(file, text, 0o600);
  const sshDirectory = join(session.terminal.env.HOME || homedir(), ".ssh");
  await mkdir(sshDirectory, { recursive: true, mode: 0o700 });
  const added = await include(join(sshDirectory, "config"), file);
  session.terminal.out(
    `${added ? `Added to ${join(sshDirectory, "config")}: Include ${file}` : `${file} is up to date and included.`}\nNow \`ssh BOX.berth\` enters a box.\n`,
  );
}

function configText(paths: SshPaths): string {
  const file = (path: string) => `"${path.replaceAll("%", "%%")}"`;
  // ssh refuses host names with shell characters (9.6, and Debian's 9.2); the quotes are for older ones.
  const berth = `'${BERTH.replaceAll("'", "'\\''").replaceAll("%", "%%")}'`;
  const certificate = file(paths.directory).replace(/"$/, '/%n-cert.pub"');
  return [
    "# Written by `berth ssh-config`. Boxes are reached as BOX.berth, with a certificate of minutes.",
    "Host *.berth",
    `  User ${DEV}`,
    `  ProxyCommand ${berth} ssh --stdio '%n'`,
    `  IdentityFile ${file(paths.identity)}`,
    `  CertificateFile ${certificate}`,
    `  UserKnownHostsFile ${file(paths.knownHosts)}`,
    ...[...FIXED_SETTINGS, ...FAST_SETTINGS].map((setting) => `  ${setting}`),
    `Match host *.berth exec "${berth} ssh --prepare '%n'"`,
    "  IdentitiesOnly yes",
    "",
  ].join("\n");
}

/** The line must stand before any Host block, so it goes first. Returns false when it is there already. */
async function include(config: string, file: string): Promise<boolean> {
  const text = await readFile(config, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const line = `Include "${file}"`;
  if (text.split("\n").some((one) => one.trim() === line)) return false;
  const mode = await stat(config).then(
    (known) => known.mode & 0o777,
    () => 0o600,
  );
  await replace(config, `${line}\n${text ? `\n${text}` : ""}`, mode);
  return true;
}

async function replace(path: string, text: string, mode: number): Promise<void> {
  const next = `${path}.berth-new`;
  await writeFile(next, text, { mode });
  await chmod(next, mode);
  await rename(next, path);
}
