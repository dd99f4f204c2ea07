// What only this command can say about a refusal: the name that was meant, where the token came from, and that this
// command and the server are of different versions.

import { nearestOf } from "#lib/nearest.ts";
import { ApiError } from "#sdk/api-error.ts";
import { CliError, EXIT } from "./exit.ts";
import { namesOf, soon } from "./names.ts";
import { ownVersion } from "./own-version.ts";
import type { Session } from "./session.ts";

const UNKNOWN_NAME = /^There is no (box|template|node|member|team) '([^']+)'\./;
/** What a server says that does not know something of ours, or the other way round. */
const MISUNDERSTOOD = ["route_not_found", "invalid_request", "internal"];

export async function explained(error: unknown, session: Session): Promise<unknown> {
  if (!(error instanceof ApiError)) return error;
  if (error.code === "unauthenticated") return await withToken(error, session);
  if (error.code === "not_found") return await withNearest(error, session);
  if (MISUNDERSTOOD.includes(error.code)) return await withVersions(error, session);
  return error;
}

async function withToken(error: ApiError, session: Session): Promise<CliError> {
  const { from } = await session.credentials();
  return new CliError(error.detail.split(" Send ")[0] ?? error.detail, {
    exitCode: EXIT.notAllowed,
    next: `${from ? `The token is that of ${from}. ` : ""}\`berth login\` gets another by your identity provider; or set BERTH_TOKEN to one that somebody made with \`berth token create\`.`,
    cause: error,
  });
}

async function withNearest(error: ApiError, session: Session): Promise<unknown> {
  const [sentence, kind = "", name = ""] = UNKNOWN_NAME.exec(error.detail) ?? [];
  if (!sentence) return error;
  const nearest = nearestOf(name, await namesOf(session, kind));
  const list = kind === "box" ? "berth list" : `berth ${kind} list`;
  return new CliError(sentence, {
    next: `${nearest ? `Did you mean ${nearest}? ` : ""}\`${list}\` shows what you can reach.`,
    cause: error,
  });
}

async function withVersions(error: ApiError, session: Session): Promise<unknown> {
  const client = await session.client();
  const ours = ownVersion();
  const theirs = await soon(session, async () => (await client.system.get()).version, null);
  if (theirs === null || theirs === ours) return error;
  return new CliError(error.detail, {
    next: `This command is Berth ${ours}, and the server is ${theirs}: use the command of the server's version.`,
    cause: error,
  });
}
