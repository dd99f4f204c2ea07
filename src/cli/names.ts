// Names of what there is, for completion and for "did you mean". They are asked for with a limit of time: a shell that
// hangs on Tab, or an error that comes late, is worse than one without a name.

import { CliError, EXIT } from "./exit.ts";
import { everyPage, type PageQuery } from "./pages.ts";
import type { Session } from "./session.ts";

const NAMES_TIMEOUT_MS = 1500;

/** What `load` gives, or `otherwise` when it fails or takes too long. */
export async function soon<T>(session: Session, load: () => Promise<T>, otherwise: T): Promise<T> {
  // Ended with the answer: a sleep that goes on would keep the process, and the user's shell, waiting.
  const answered = new AbortController();
  const late = session.terminal.clock
    .sleep(NAMES_TIMEOUT_MS, answered.signal)
    .then(() => otherwise)
    .catch(() => otherwise);
  const found = await Promise.race([load().catch(() => otherwise), late]);
  answered.abort();
  return found;
}

/** The newest 200 at most, by the name that commands know the kind by. */
export async function namesOf(session: Session, kind: string): Promise<string[]> {
  const page = { limit: 200 };
  return await soon(session, async () => {
    const client = await session.client();
    if (kind === "box") return (await client.boxes.list(page)).items.map((one) => one.name);
    if (kind === "template")
      return (await client.templates.list(page)).items.map((one) => one.name);
    if (kind === "node") return (await client.nodes.list(page)).items.map((one) => one.name);
    if (kind === "team") return (await client.teams.list(page)).items.map((one) => one.name);
    if (kind === "member") return (await client.members.list(page)).items.map((one) => one.name);
    return [];
  }, []);
}

/** The id of what has this id, or alone this name. */
export async function idOf<T extends { readonly id: string; readonly name: string | null }>(
  wanted: string,
  what: string,
  load: (page: PageQuery) => Promise<{
    readonly items: readonly T[];
    readonly nextCursor?: string | null;
  }>,
): Promise<string> {
  const all = await everyPage(async (page) => ({ nextCursor: null, ...(await load(page)) }));
  const found = all.filter((one) => one.id === wanted || one.name === wanted);
  const [only] = found;
  if (only && found.length === 1) return only.id;
  const list = `berth ${what} list`;
  throw found.length > 1
    ? new CliError(`there are ${found.length} of the name ${wanted}: ${idsOf(found)}.`, {
        exitCode: EXIT.usage,
        next: "Say which by its id.",
      })
    : new CliError(`there is no ${what} '${wanted}'.`, {
        next: `\`${list}\` shows what is there.`,
      });
}

function idsOf(found: readonly { readonly id: string }[]): string {
  return found.map((one) => one.id).join(", ");
}
