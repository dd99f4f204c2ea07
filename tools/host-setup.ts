// Installs what the tests need of Debian beyond what Berth itself needs, saying what and why.

import { run } from "#lib/run.ts";
import { installPackages, missingPackages, type Needed, PACKAGES } from "#main/packages.ts";

const FOR_TESTS: readonly Needed[] = [
  { package: "openssh-server", proof: "sshd", why: "certificates are tried against a real sshd" },
  { package: "rsync", proof: "rsync", why: "is tried through the gateway" },
  {
    package: "chromium",
    proof: "/usr/bin/chromium",
    why: "the web app is tried in a real browser",
  },
  { package: "git", proof: "git", why: "is tried through the gateway" },
];

export async function setUpHost(): Promise<void> {
  const missing = await missingPackages([...PACKAGES, ...FOR_TESTS]);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0)
    throw new Error(
      `these Debian packages are missing and only root can install them: ${missing.map((m) => m.package).join(" ")}`,
    );
  for (const entry of missing) console.log(`installing ${entry.package}: ${entry.why}`);
  await installPackages(missing, run);
}
