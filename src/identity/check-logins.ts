// Asks providers whether their sessions may go on. A no ends the session at once, and suspends the person when it was the last;
// silence lets it go on for as long as was said before, and not longer. What has ended is given back to the provider. Other
// credentials end here in time, too; and of whom a provider has not spoken for too long is suspended.

import { Problem } from "#contract/errors.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { backoffMs } from "#lib/backoff.ts";
import { transact } from "#store/db.ts";
import { endExpired } from "#store/ended-credentials.ts";
import { confirmPerson } from "#store/identities.ts";
import {
  claimDueLogins,
  type DueLogin,
  delayEndedLogin,
  type EndedLogin,
  endOverdueLogins,
  endProviderSessions,
  endSession,
  forgetRefreshToken,
  keepRefreshToken,
  listEndedLogins,
  postponeLogin,
  refuseLogin,
  refuseUnconfirmed,
  renewLogin,
  takeLogin,
  trimUsedLogins,
} from "#store/logins.ts";
import { findProvider } from "#store/providers.ts";
import { type IdentityContext, needProvider, settingsOf, withProvider } from "./context.ts";
import { idTokenPurpose, refreshPurpose } from "./login.ts";
import { OidcError } from "./oidc.ts";

const BATCH = 20;
const RETRY = { firstMs: 2_000, longestMs: 60_000 };
const GIVE_BACK_AGAIN_MS = 5 * 60_000;
const TRIM = 1_000;
/** A notice of log-out is good for minutes. */
const LOGOUT_NOTICE_MS = 15 * 60_000;

/** One pass; `again`: there may be more at once. */
export async function checkLogins(context: IdentityContext): Promise<"done" | "again"> {
  const { db } = context;
  const overdue = (await endExpired(db, BATCH)) + (await endOverdueLogins(db, BATCH));
  const due = await claimDueLogins(db, BATCH);
  const refused = await Promise.all(due.map((login) => checkLogin(context, login)));
  const unconfirmed = await refuseUnconfirmed(db, BATCH);
  const ended = await listEndedLogins(db, BATCH);
  await Promise.all(ended.map((login) => giveBack(context, login)));
  await trimUsedLogins(db, TRIM);
  // Who was refused has perhaps other sessions, which are due by it.
  const isFull = overdue >= BATCH || due.length === BATCH || unconfirmed === BATCH;
  return isFull || refused.includes(true) ? "again" : "done";
}

/** True: the provider has refused the person. */
async function checkLogin(context: IdentityContext, login: DueLogin): Promise<boolean> {
  const { db, sealer, clients, log } = context;
  const { sessionId, sub, userId } = login;
  const provider = await findProvider(db, login.providerId);
  const token = sealer.open(refreshPurpose(sessionId), login.refreshToken);
  if (!provider || token === null) {
    await endSession(db, sessionId, "its provider is not known any more");
    return false;
  }
  try {
    const said = await clients.refresh(settingsOf(context, provider), token, sub);
    await db.failpoints.hit("identity.refresh.answered");
    if (said.refreshToken !== null)
      await keepRefreshToken(
        db,
        sessionId,
        sealer.seal(refreshPurpose(sessionId), said.refreshToken),
      );
    await transact(db, "identity.login.checked", async (tx) => {
      const vouched = { ...said, issuer: login.issuer };
      await confirmPerson(tx, provider, userId, vouched, login.askedAt);
      await renewLogin(tx, sessionId, {
        idToken: said.idToken && sealer.seal(idTokenPurpose(sessionId), said.idToken),
        goodUntil: new Date(said.goodUntilMs),
        checkEveryMs: provider.checkEveryMs,
      });
    });
    return false;
  } catch (error) {
    const refusal = refusalOf(error);
    // What is not valid may not be the provider's own word: it says nothing of the person.
    const isInvalid = error instanceof OidcError && error.reason === "invalid";
    if (refusal !== null) {
      await (isInvalid ? endSession(db, sessionId, refusal) : refuseLogin(db, login, refusal));
      return !isInvalid;
    }
    log.warn(
      { err: error, provider: provider.id },
      "a provider could not be asked about a session",
    );
    await postponeLogin(db, sessionId, backoffMs(login.checksFailed + 1, RETRY));
    return false;
  }
}

/** Why the session is over; null: the provider has not said no to this person. */
function refusalOf(error: unknown): string | null {
  if (error instanceof StoreRefusal && error.code === "login_denied") return error.detail;
  if (!(error instanceof OidcError) || error.reason === "down") return null;
  if (error.reason === "invalid") return `its provider's answer is not valid: ${error.message}`;
  // Others say that the provider does not know us any more, as long as somebody sets it up anew.
  return error.code === "invalid_grant" ? "its provider has refused to let it go on" : null;
}

async function giveBack(context: IdentityContext, login: EndedLogin): Promise<void> {
  const { db, sealer, clients } = context;
  const provider = await findProvider(db, login.providerId);
  const token = sealer.open(refreshPurpose(login.sessionId), login.refreshToken);
  try {
    if (provider && token !== null) await clients.giveBack(settingsOf(context, provider), token);
  } catch (error) {
    const isLater =
      error instanceof Problem || (error instanceof OidcError && error.reason === "down");
    if (isLater) return delayEndedLogin(db, login.sessionId, GIVE_BACK_AGAIN_MS);
    if (!(error instanceof OidcError)) throw error;
  }
  await forgetRefreshToken(db, login.sessionId);
}

/** A provider says, behind the browser's back, that somebody has logged out. How many sessions ended. */
export async function logOutByProvider(
  context: IdentityContext,
  reference: string,
  token: string,
): Promise<number> {
  const { db, clients } = context;
  const provider = await needProvider(context, reference);
  const notice = await withProvider(context, provider, () =>
    clients.checkLogoutToken(settingsOf(context, provider), token),
  );
  if (!(await takeLogin(db, `logout:${provider.id}:${notice.jti}`, LOGOUT_NOTICE_MS)))
    throw new Problem("login_failed", "This notice came before.");
  return endProviderSessions(db, provider.id, notice);
}
