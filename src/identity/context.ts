// What logins are made with.

import { Problem } from "#contract/errors.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Database } from "#store/db.ts";
import { findProvider, type ProviderView } from "#store/providers.ts";
import type { Sealer } from "#trust/seal.ts";
import { OidcClients, OidcError } from "./oidc.ts";
import type { ProviderSettings } from "./provider.ts";

export interface IdentityContext {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly sealer: Sealer;
  readonly clients: OidcClients;
  /** Where browsers reach us: what providers send them back to. */
  readonly dashboardOrigin: string;
}

export function identityContext(parts: Omit<IdentityContext, "clients">): IdentityContext {
  return { ...parts, clients: new OidcClients(parts.clock) };
}

/** Each provider has an address of its own to answer to: what is meant for one is never taken for another's. */
export function redirectUriOf({ dashboardOrigin }: IdentityContext, providerId: string): string {
  return `${dashboardOrigin}/v1/login/callback/${providerId}`;
}

export function logoutUriOf({ dashboardOrigin }: IdentityContext, providerId: string): string {
  return `${dashboardOrigin}/v1/login/logout/${providerId}`;
}

export const CLIENT_SECRET = "client-secret";

export async function needProvider(
  { db }: IdentityContext,
  reference: string,
): Promise<ProviderView> {
  const provider = await findProvider(db, reference);
  if (provider) return provider;
  throw new Problem("not_found", `There is no identity provider '${reference.slice(0, 80)}'.`);
}

/** As the protocol needs it: with its secret open. */
export function settingsOf({ sealer }: IdentityContext, provider: ProviderView): ProviderSettings {
  const { clientSecret: sealed, changedAt } = provider;
  const clientSecret = sealed === null ? null : sealer.open(CLIENT_SECRET, sealed);
  if (sealed !== null && clientSecret === null)
    throw new Problem(
      "provider_unavailable",
      `The client secret of ${provider.label} cannot be read: set it again.`,
    );
  return { ...provider, clientSecret, version: String(changedAt.getTime()) };
}

/** Says whose fault it is, and names the provider. */
export async function withProvider<T>(
  { log }: IdentityContext,
  provider: ProviderView,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OidcError)) throw error;
    const { reason, message } = error;
    log.warn({ err: error, provider: provider.id }, "a login failed at its provider");
    if (reason === "down")
      throw new Problem("provider_unavailable", `${provider.label} does not answer: ${message}.`, {
        cause: error,
      });
    if (reason === "refused")
      throw new Problem("login_failed", `${provider.label} refused it: ${message}.`, {
        cause: error,
      });
    throw new Problem("login_failed", `What ${provider.label} sent is not valid: ${message}.`, {
      cause: error,
    });
  }
}
