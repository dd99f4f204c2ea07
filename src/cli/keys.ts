// SSH keys: they open the gateway's SSH door for machines without this command.

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { ask, list } from "./command.ts";
import { CliError } from "./exit.ts";
import { idOf } from "./names.ts";
import type { OutputOptions } from "./options.ts";
import type { Session } from "./session.ts";
import { age } from "./terminal.ts";

const DEFAULT_FILES = ["id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"];

export function addKeyCommands(program: Command, session: Session): void {
  const { terminal } = session;
  const group = program
    .command("key")
    .summary("your SSH keys: they let plain ssh in, without this command");
  ask(group, session, "add", {
    summary: "register a public key",
    examples: ["berth key add", "berth key add laptop.pub --name laptop"],
    args: { "[file]": "the .pub file (default: the first of ~/.ssh/id_*.pub)" },
    options: (command) =>
      command.option(
        "--name <name>",
        "what to call it (default: the key's comment, or the file's name)",
      ),
    run: async (
      client,
      [file]: [string | undefined],
      options: OutputOptions & { readonly name?: string },
    ) => {
      const { path, publicKey } = await readKey(file, terminal.env.HOME ?? homedir());
      const name = options.name ?? (publicKey.split(" ").slice(2).join(" ") || basename(path));
      const key = await client.keys.create({ name, publicKey });
      const { sshAddress } = await client.system.get();
      if (options.output === "text" && sshAddress) terminal.err(howToEnter(sshAddress));
      return key;
    },
    text: (key) =>
      `${key.id}  ${key.fingerprint}\n${key.expiresAt ? `It ends with your token: ${key.expiresAt}. One that lasts: with a token that does, or signed in.\n` : ""}`,
  });
  ask(group, session, "known-hosts", {
    summary: "print the known_hosts line by which ssh knows every box and gateway",
    examples: ["berth key known-hosts >> ~/.ssh/known_hosts"],
    run: (client) => client.access.sshAuthority(),
    text: ({ knownHosts }) => `${knownHosts}\n`,
  });
  list(group, session, {
    summary: "list your keys",
    examples: ["berth key list"],
    load: (client, _none, page) => client.keys.list(page),
    headings: ["ID", "NAME", "FINGERPRINT", "AGE", "EXPIRES"],
    row: (key) => [
      ...[key.id, key.name, key.fingerprint, age(key.createdAt, terminal.clock.nowMs())],
      key.expiresAt ?? "never",
    ],
    empty: "You have no key here. `berth key add` registers one.",
  });
  ask(group, session, "remove", {
    summary: "remove a key; its open sessions end within seconds",
    examples: ["berth key remove laptop"],
    args: { "<key>": "name or id" },
    aliases: ["rm"],
    run: async (client, [key]: [string]) =>
      client.keys.delete(await idOf(key, "key", client.keys.list)),
    text: ({ id }) => `${id}\n`,
  });
}

function howToEnter(sshAddress: string): string {
  const at = sshAddress.lastIndexOf(":");
  const [host, port] = [sshAddress.slice(0, at), sshAddress.slice(at + 1)];
  return `Enter a box with it: ssh -p ${port} BOX@${host}
The host is known by: berth key known-hosts >> ~/.ssh/known_hosts
`;
}

async function readKey(
  file: string | undefined,
  home: string,
): Promise<{ path: string; publicKey: string }> {
  const candidates = file ? [file] : DEFAULT_FILES.map((name) => join(home, ".ssh", name));
  for (const path of candidates) {
    const text = await readFile(path, "utf8").catch(() => null);
    if (text === null) continue;
    if (text.includes("PRIVATE KEY"))
      throw new CliError(`${path} is a private key: it stays with you.`, {
        next: `Register its public half: ${path}.pub.`,
      });
    return { path, publicKey: text.trim() };
  }
  throw new CliError(file ? `${file} cannot be read.` : "there is no public key in ~/.ssh.", {
    next: "`ssh-keygen -t ed25519` makes one.",
  });
}
