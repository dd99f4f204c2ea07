// How the CLI ends: exit codes, and problems as one clear paragraph with the next step.

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notAllowed: 4,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Something to tell the user: what happened, and what to do next. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: ExitCode;
  readonly next: string | null;
  constructor(
    message: string,
    options: { exitCode?: ExitCode; next?: string | null; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.next = options.next ?? null;
  }
}

/** Ends with the exit code of something else, such as a program in a box; prints nothing. */
export class ExitWith extends Error {
  override readonly name = "ExitWith";
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** Breaks text at spaces so that it fits; keeps line breaks. */
export function wrap(text: string, columns: number): string {
  return text
    .split("\n")
    .map((line) => {
      const lines = [""];
      for (const word of line.split(" ")) {
        const last = lines.length - 1;
        const joined = lines[last] ? `${lines[last]} ${word}` : word;
        if (joined.length <= columns || !lines[last]) lines[last] = joined;
        else lines.push(word);
      }
      return lines.join("\n");
    })
    .join("\n");
}
