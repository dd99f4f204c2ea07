// SSH keys: they open the gateway's SSH door for machines without this command.

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { CliError } from "./exit.ts";
import { type OutputOptions, withExamples, withOutput } from "./options.ts";
import { everyPage } from "./pages.ts";
import type { Session } from "./session.ts";
import { table } from "./table.ts";
import { age } from "./terminal.ts";

const DEFAULT_FILES = ["id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"];

export function addKeyCommands(program: Command, session: Session): void {
  const group = program
    .command("key")
    .summary("your SSH keys: they let plain ssh in, without this command");
  const add = group
    .command("add")
    .summary("register a public key")
    .argument("[file]", "the .pub file (default: the first of ~/.ssh/id_*.pub)")
    .option("--name <name>", "what to call it (default: the key's comment, or the file's name)")
    .action(async (file: string | undefined, options: OutputOptions & { name?: string }) => {
      const { path, publicKey } = await readKey(file, session.terminal.env.HOME ?? homedir());
      const name = options.name ?? (publicKey.split(" ").slice(2).join(" ") || basename(path));
      const client = await session.client();
      const key = await client.keys.create({ name, publicKey });
      const { sshAddress } = await client.system.get();
      session.print(options, key, () => `${key.id}  ${key.fingerprint}\n`);
      if (options.output === "text" && sshAddress) session.terminal.err(howToEnter(sshAddress));
    });
  withExamples(withOutput(add), ["berth key add", "berth key add laptop.pub --name laptop"]);
  const knownHosts = group
    .command("known-hosts")
    .summary("print the known_hosts line by which ssh knows every box and gateway")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const authority = await client.access.sshAuthority();
      session.print(options, authority, () => `${authority.knownHosts}\n`);
    });
  withExamples(withOutput(knownHosts), ["berth key known-hosts >> ~/.ssh/known_hosts"]);
  const list = group
    .command("list")
    .alias("ls")
    .summary("list your keys")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const keys = await everyPage((page) => client.keys.list(page));
      session.print(options, keys, (all) =>
        table(
          ["ID", "NAME", "FINGERPRINT", "AGE"],
          all.map((key) => [
            ...[key.id, key.name, key.fingerprint],
            age(key.createdAt, session.terminal.clock.nowMs()),
          ]),
        ),
      );
    });
  withExamples(withOutput(list), ["berth key list"]);
  const remove = group
    .command("remove")
    .alias("rm")
    .summary("remove a key; its open sessions end within seconds")
    .argument("<key>", "id")
    .action(async (id: string, options: OutputOptions) => {
      const client = await session.client();
      const key = await client.keys.delete(id);
      session.print(options, key, () => `${id}\n`);
    });
  withExamples(withOutput(remove), ["berth key remove key_01h…"]);
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
