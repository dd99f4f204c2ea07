// Asks before what cannot be taken back. A script is never asked: it has said what it wants.

import { CliError } from "./exit.ts";
import type { Session } from "./session.ts";

export async function confirm(
  session: Session,
  question: string,
  options: { readonly yes?: boolean },
): Promise<void> {
  if (options.yes || !session.terminal.canAsk) return;
  const answer = await session.terminal.ask(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError("nothing was done.");
}
