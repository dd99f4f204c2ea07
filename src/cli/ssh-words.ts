// Tells the box among the words of `berth ssh`: [ssh options] BOX [--] [command].

import { CliError, EXIT } from "./exit.ts";

export interface SshWords {
  readonly sshArguments: readonly string[];
  readonly box: string;
  readonly command: readonly string[];
}

/** Options of ssh (9.2) that take a value as the next word. */
const WITH_VALUE = "BbcDEeFIiJLlmOopQRSWw";

export function splitSshWords(words: readonly string[]): SshWords {
  let at = 0;
  while (at < words.length) {
    const word = words[at] ?? "";
    if (word === "--" || !word.startsWith("-") || word === "-") break;
    // "-vL 80:x:80": the first letter that takes a value ends the cluster.
    const letters = [...word.slice(1)];
    const valueAt = letters.findIndex((letter) => WITH_VALUE.includes(letter));
    at += valueAt >= 0 && valueAt === letters.length - 1 ? 2 : 1;
  }
  const sshArguments = words.slice(0, at);
  if (words[at] === "--") at += 1;
  const box = words[at];
  if (!box)
    throw new CliError("no box was given.", {
      exitCode: EXIT.usage,
      next: "`berth ssh --help` shows how.",
    });
  const rest = words.slice(at + 1);
  return { sshArguments, box, command: rest[0] === "--" ? rest.slice(1) : rest };
}
