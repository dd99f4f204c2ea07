// Shell completion. The shells' scripts only ask `berth __complete`; what fits is decided here, from the
// commands themselves and, for names, from the API when it answers soon enough.

import { Argument, type Command } from "commander";
import { namesOf } from "./names.ts";
import type { Session } from "./session.ts";

const SCRIPTS = {
  bash: `# Berth completion for bash: eval "$(berth completion bash)"
_berth_complete() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _berth_complete berth
`,
  zsh: `#compdef berth
# Berth completion for zsh: eval "$(berth completion zsh)"
_berth() {
  local -a found
  found=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
compdef _berth berth
`,
  fish: `# Berth completion for fish: berth completion fish | source
function __berth_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete -- $words[2..-1] 2>/dev/null
end
complete -c berth -f -a '(__berth_complete)'
`,
} as const;
type Shell = keyof typeof SCRIPTS;
const SHELLS = Object.keys(SCRIPTS) as Shell[];

export function addCompletionCommands(program: Command, session: Session): void {
  program
    .command("completion")
    .summary("print the completion script of a shell")
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .addHelpText(
      "after",
      `\nExamples:\n  $ echo 'eval "$(berth completion bash)"' >>~/.bashrc\n  $ berth completion fish >~/.config/fish/completions/berth.fish`,
    )
    .action((shell: Shell) => {
      session.terminal.out(SCRIPTS[shell]);
    });
  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .action(async (words: string[]) => {
      const found = await complete(program, session, words);
      session.terminal.out(found.map((word) => `${word}\n`).join(""));
    });
}

/** What the last word may become; the words before it are complete. */
export async function complete(
  program: Command,
  session: Session,
  words: readonly string[],
): Promise<string[]> {
  const last = words.at(-1) ?? "";
  let command = program;
  let position = 0;
  let optionInHand: string | null = null;
  for (const word of words.slice(0, -1)) {
    if (optionInHand) {
      optionInHand = null;
      continue;
    }
    if (word.startsWith("-")) {
      const option = command.options.find((one) => one.short === word || one.long === word);
      if (option && (option.required || option.optional)) optionInHand = word;
      continue;
    }
    const next = childOf(command, word);
    if (next) command = next;
    else position += 1;
  }
  const candidates = await candidatesFor({ command, position, optionInHand, last, session });
  return candidates.filter((candidate) => candidate.startsWith(last));
}

async function candidatesFor(at: {
  command: Command;
  position: number;
  optionInHand: string | null;
  last: string;
  session: Session;
}): Promise<string[]> {
  const { command, position, optionInHand, last, session } = at;
  if (optionInHand) {
    const option = command.options.find(
      (one) => one.short === optionInHand || one.long === optionInHand,
    );
    if (option?.argChoices) return option.argChoices;
    return await namesOf(session, kindOf(/<(\w+)>/.exec(option?.flags ?? "")?.[1] ?? ""));
  }
  if (last.startsWith("-"))
    return ["--help", ...command.options.flatMap((one) => (one.long ? [one.long] : []))];
  const children = command.commands.map((child) => child.name());
  if (children.length > 0) return children.filter((name) => !name.startsWith("__"));
  const args = command.registeredArguments;
  const argument = args[Math.min(position, args.length - 1)];
  if (!argument || (position >= args.length && !argument.variadic)) return [];
  if (argument.argChoices) return argument.argChoices;
  return await namesOf(session, kindOf(argument.name()));
}

/** What a word in a usage line stands for; `berth ssh` takes options of ssh too, and its first word is a box. */
function kindOf(word: string): string {
  return { words: "box", user: "member" }[word] ?? word;
}

function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find((child) => child.name() === word || child.aliases().includes(word));
}
