// Logging in by a provider. Nothing is written before somebody comes back from it: what an attempt must remember is sealed
// and kept by whoever makes it, the browser in a cookie of its own for each attempt, the CLI as a handle.

import { randomBytes } from "node:crypto";
import { randomNonce, randomPKCECodeVerifier, randomState } from "openid-client";
import { Problem } from "#contract/errors.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { type Admitted, admitPerson, tellDenied, type Wanted } from "#store/identities.ts";
import {
  type Caller,
  createLogin,
  findLogin,
  type NewLogin,
  newSessionId,
  takeLogin,
} from "#store/logins.ts";
import { findProvider, type ProviderView } from "#store/providers.ts";
import { hashToken, makeToken } from "#trust/token-hash.ts";
import {
  type IdentityContext,
  needProvider,
  redirectUriOf,
  settingsOf,
  withProvider,
} from "./context.ts";
import type { Confirmed } from "./provider.ts";

/** From the first step to the last. */
const ATTEMPT_MS = 10 * 60_000;

interface Attempt {
  readonly id: string;
  readonly providerId: string;
  readonly wanted: Wanted;
  readonly untilMs: number;
}

interface WebAttempt extends Attempt {
  readonly nonce: string;
  readonly verifier: string;
  readonly next: string;
}

interface DeviceAttempt extends Attempt {
  readonly deviceCode: string;
}

export interface StartedLogin {
  /** At the provider. */
  readonly url: string;
  /** Names the browser's cookie of this attempt. */
  readonly key: string;
  readonly sealed: string;
  readonly lifetimeMs: number;
}

export interface LoggedIn extends Admitted {
  readonly sessionId: string;
  readonly secret: string;
  readonly expiresAt: Date;
}

/** `next`: where the browser goes afterwards; checked by the caller. */
export async function startWebLogin(
  context: IdentityContext,
  reference: string,
  wanted: Wanted,
  next: string,
): Promise<StartedLogin> {
  const provider = await needProvider(context, reference);
  const state = randomState();
  const attempt: WebAttempt = {
    ...newAttempt(context, provider, wanted),
    nonce: randomNonce(),
    verifier: randomPKCECodeVerifier(),
    next,
  };
  const url = await withProvider(context, provider, () =>
    context.clients.authorizationUrl(settingsOf(context, provider), {
      redirectUri: redirectUriOf(context, provider.id),
      state,
      ...attempt,
    }),
  );
  const sealed = context.sealer.seal(webPurpose(state), JSON.stringify(attempt));
  return { url, key: attemptKey(state), sealed, lifetimeMs: ATTEMPT_MS };
}

/** What the cookie of an attempt is found by. */
export function attemptKey(state: string): string {
  return state.slice(0, 10);
}

/** `search`: what the provider gave the browser to bring; `sealed`: the attempt, from the browser's own cookie. */
export async function finishWebLogin(
  context: IdentityContext,
  reference: string,
  {
    search,
    sealed,
    caller,
  }: { readonly search: string; readonly sealed: string | null; readonly caller: Caller },
): Promise<LoggedIn & { readonly next: string }> {
  const provider = await needProvider(context, reference);
  const answer = new URL(redirectUriOf(context, provider.id) + search);
  const state = answer.searchParams.get("state") ?? "";
  const attempt = openAttempt<WebAttempt>(context, webPurpose(state), sealed, provider.id);
  await takeOnce(context, attempt);
  const confirmed = await withProvider(context, provider, () =>
    context.clients.redeemCode(settingsOf(context, provider), answer, { state, ...attempt }),
  );
  const done = await letIn(context, provider, confirmed, { ...attempt, kind: "web", caller });
  return { ...done, next: attempt.next };
}

export interface StartedDevice {
  readonly handle: string;
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | null;
  readonly expiresInS: number;
  readonly intervalS: number;
  readonly providerLabel: string;
}

export async function startDeviceLogin(
  context: IdentityContext,
  reference: string,
  wanted: Wanted,
): Promise<StartedDevice> {
  const provider = await needProvider(context, reference);
  const { deviceCode, ...started } = await withProvider(context, provider, () =>
    context.clients.startDevice(settingsOf(context, provider)),
  );
  const expiresInS = Math.min(started.expiresInS, ATTEMPT_MS / 1000);
  const attempt: DeviceAttempt = { ...newAttempt(context, provider, wanted), deviceCode };
  const handle = context.sealer.seal(DEVICE, JSON.stringify(attempt));
  return { ...started, expiresInS, handle, providerLabel: provider.label };
}

export async function pollDeviceLogin(
  context: IdentityContext,
  handle: string,
  caller: Caller,
): Promise<LoggedIn | "pending" | "slow_down"> {
  const attempt = openAttempt<DeviceAttempt>(context, DEVICE, handle, null);
  const provider = await needProvider(context, attempt.providerId);
  const answer = await withProvider(context, provider, () =>
    context.clients.askDevice(settingsOf(context, provider), attempt.deviceCode),
  );
  if (answer === "pending" || answer === "slow_down") return answer;
  await takeOnce(context, attempt);
  return letIn(context, provider, answer, { ...attempt, kind: "cli", caller });
}

/** Where a browser that has logged out here logs out at its provider too; null: nowhere. */
export async function providerLogoutUrl(
  context: IdentityContext,
  sessionId: string,
): Promise<string | null> {
  const login = await findLogin(context.db, sessionId);
  const provider = login && (await findProvider(context.db, login.providerId));
  if (!login || !provider) return null;
  const idToken = login.idToken && context.sealer.open(idTokenPurpose(sessionId), login.idToken);
  try {
    const afterwards = `${context.dashboardOrigin}/login`;
    return await context.clients.logoutUrl(settingsOf(context, provider), idToken, afterwards);
  } catch (err) {
    // Logging out here does not wait for a provider that is down.
    context.log.warn({ err, provider: provider.id }, "no log-out at the provider");
    return null;
  }
}

const DEVICE = "login:device";

function webPurpose(state: string): string {
  return `login:web:${state}`;
}

export function refreshPurpose(sessionId: string): string {
  return `refresh:${sessionId}`;
}

export function idTokenPurpose(sessionId: string): string {
  return `id-token:${sessionId}`;
}

function newAttempt({ clock }: IdentityContext, provider: ProviderView, wanted: Wanted): Attempt {
  const id = randomBytes(16).toString("base64url");
  return { id, providerId: provider.id, wanted, untilMs: clock.nowMs() + ATTEMPT_MS };
}

/** Sealed by us for this purpose, not too old, and for this provider. */
function openAttempt<T extends Attempt>(
  { sealer, clock }: IdentityContext,
  purpose: string,
  sealed: string | null,
  providerId: string | null,
): T {
  const text = sealed === null ? null : sealer.open(purpose, sealed);
  if (text === null)
    throw new Problem("login_failed", "This is no answer to a login that was started here.");
  const attempt = JSON.parse(text) as T;
  if (attempt.untilMs < clock.nowMs())
    throw new Problem("login_failed", "The login took longer than 10 minutes.");
  if (providerId !== null && attempt.providerId !== providerId)
    throw new Problem("login_failed", "The answer is of another provider than was asked.");
  return attempt;
}

/** Before anything is done with the answer, so that no failure after it makes a second try possible. */
async function takeOnce({ db }: IdentityContext, { id }: Attempt): Promise<void> {
  if (!(await takeLogin(db, id, 2 * ATTEMPT_MS)))
    throw new Problem("login_failed", "This login was answered already.");
}

async function letIn(
  { db, sealer }: IdentityContext,
  provider: ProviderView,
  confirmed: Confirmed,
  { wanted, kind, caller }: Pick<Attempt, "wanted"> & Pick<NewLogin, "kind" | "caller">,
): Promise<LoggedIn> {
  const admitted = await admitPerson(db, provider, confirmed, wanted).catch(async (error) => {
    if (error instanceof StoreRefusal && error.code === "login_denied")
      await tellDenied(db, provider, confirmed, caller, error.detail);
    throw error;
  });
  const secret = makeToken();
  const sessionId = newSessionId();
  const sealed = (purpose: string, text: string | null) =>
    text === null ? null : sealer.seal(purpose, text);
  const { expiresAt } = await createLogin(db, {
    ...{ sessionId, kind, caller, hash: hashToken(secret) },
    ...{ userId: admitted.userId, orgId: admitted.orgId, identityId: admitted.identityId },
    providerId: provider.id,
    refreshToken: sealed(refreshPurpose(sessionId), confirmed.refreshToken),
    idToken: sealed(idTokenPurpose(sessionId), confirmed.idToken),
    sid: confirmed.sid,
    goodUntil: new Date(confirmed.goodUntilMs),
    checkEveryMs: provider.checkEveryMs,
    sessionMaxMs: provider.sessionMaxMs,
  });
  return { ...admitted, sessionId, secret, expiresAt };
}
