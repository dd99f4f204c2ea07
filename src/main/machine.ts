// Makes this machine one that can run Berth, saying what is done and why; or says what the operator must do.

import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { CliError, EXIT } from "#cli/exit.ts";
import { Progress } from "#cli/progress.ts";
import type { Terminal } from "#cli/terminal.ts";
import { run } from "#lib/run.ts";
import type { Address } from "./config.ts";
import { printAddress } from "./config.ts";
import { recordPath } from "./installation.ts";
import { installPackages, missingPackages } from "./packages.ts";
import { readLiving } from "./process-record.ts";
import { refuseTooLittle, roomFor } from "./room.ts";
import type { Installed } from "./settings.ts";

export async function prepareMachine(installed: Installed, terminal: Terminal): Promise<void> {
  const { config, installation } = installed;
  if (process.platform !== "linux") throw new CliError("Berth runs boxes on Linux only.");
  if (config.driver === "qemu") refuseWithoutRoot();
  refuseTooLittle(await roomFor(installation.stateDir), installed);
  if (config.driver === "qemu") await ensurePackages(terminal);
  try {
    for (const directory of [
      installation.stateDir,
      installation.runDir,
      installation.logDir,
      installation.objectsDir,
    ])
      await mkdir(directory, { recursive: true, mode: 0o755 });
    await access(installation.stateDir, constants.W_OK);
  } catch (error) {
    throw new CliError(
      `the state directory ${installation.stateDir} cannot be written: ${(error as Error).message}.`,
      { next: "Run as root, or choose another with --state-dir.", cause: error },
    );
  }
  await refuseTakenPorts(installed);
}

function refuseWithoutRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new CliError("`berth up` needs root to run virtual machines.", {
    exitCode: EXIT.notAllowed,
    next: "It makes network namespaces, cgroups and mounts, and drops privileges for each virtual machine. Run `sudo ./berth up`; or try Berth without virtual machines, and without root: `./berth up --driver fake --state-dir ~/berth-trial`.",
  });
}

async function ensurePackages(terminal: Terminal): Promise<void> {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  const names = missing.map((entry) => entry.package).join(" ");
  const hasApt = await access("/usr/bin/apt-get").then(
    () => true,
    () => false,
  );
  if (!hasApt)
    throw new CliError(
      `programs that Berth needs are missing: ${names} (names of Debian packages).`,
      {
        next: "Install them with this system's package manager, then run `berth up` again.",
      },
    );
  for (const entry of missing) terminal.err(`Needs ${entry.package}: ${entry.why}.\n`);
  const progress = new Progress(terminal);
  const line = progress.line("Debian packages");
  try {
    line.update(`installing ${names}`);
    await installPackages(missing, run);
    line.done("installed");
  } catch (error) {
    line.fail("could not be installed");
    throw new CliError(`apt-get could not install ${names}: ${(error as Error).message}`, {
      next: "Correct that, or install them by hand, then run `berth up` again.",
      cause: error,
    });
  } finally {
    await progress.close();
  }
  const still = await missingPackages();
  if (still.length > 0)
    throw new CliError(
      `these are still missing after the installation: ${still.map((entry) => entry.proof).join(", ")}.`,
      { next: "Install them by hand, then run `berth up` again." },
    );
}

/** Every address that `up` listens at: whose it is, and its option. */
function listeners({ config }: Installed): readonly (readonly [string, string, Address])[] {
  return [
    ["server", "--api-listen", config.apiListen],
    ["server", "--node-api-listen", config.nodeApiListen],
    ["gateway", "--gateway-listen", config.gatewayListen],
    ["gateway", "--gateway-node-listen", config.gatewayNodeListen],
    ["gateway", "--ssh-listen", config.sshListen],
  ];
}

/** A port that one of our own processes holds is in order: it is taken over with the process. */
async function refuseTakenPorts(installed: Installed): Promise<void> {
  const taken: { readonly address: string; readonly why: string; readonly option: string }[] = [];
  for (const [role, option, address] of listeners(installed)) {
    if (await readLiving(recordPath(installed.installation, role))) continue;
    const why = await whyNotBindable(address);
    if (why) taken.push({ address: printAddress(address), why, option });
  }
  if (taken.length === 0) return;
  throw new CliError(
    `${taken.map(({ address, why }) => `${address} cannot be used: ${why}`).join("; ")}.`,
    {
      next: `Choose other addresses: ${taken.map(({ option }) => `${option} HOST:PORT`).join(" ")}.`,
    },
  );
}

function whyNotBindable(address: Address): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code === "EADDRINUSE" ? "another program listens there" : error.message),
    );
    server.listen(address.port, address.host, () => server.close(() => resolve(null)));
  });
}
