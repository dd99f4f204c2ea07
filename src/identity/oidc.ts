// OpenID Connect with one provider, by openid-client: authorization code with PKCE, device flow, refresh, log-out. Every ID
// token's signature is checked, wherever it came from. Says in three words how it failed: the provider is down, it
// refused, or what came is not valid.

import { createRemoteJWKSet, errors, customFetch as joseFetch, jwtVerify } from "jose";
import * as oidc from "openid-client";
import type { Clock } from "#lib/clock.ts";
import { type Confirmed, type ProviderSettings, readClaims } from "./provider.ts";
import { ProviderDown, reachOf } from "./reach.ts";

export class OidcError extends Error {
  override readonly name = "OidcError";
  /** `refused`: the provider has said no. `invalid`: what came is not to be believed. */
  readonly reason: "down" | "refused" | "invalid";
  /** The provider's own word: `invalid_grant`. */
  readonly code: string | null;
  constructor(reason: OidcError["reason"], message: string, cause: unknown, code?: string) {
    super(message, { cause });
    this.reason = reason;
    this.code = code ?? null;
  }
}

const TIMEOUT_S = 10;
/** Keys and endpoints may change; and a provider that is set up anew is believed at once, by its version. */
const KEEP_MS = 10 * 60_000;
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";
/** A provider's clock and ours. */
const CLOCK_TOLERANCE_S = 30;
const LOGOUT_TOKEN_MAX_AGE = "5m";
/** When neither token says how long it is good. */
const UNSAID_MS = 5 * 60_000;

/** Signed with a key that only the provider has. */
const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/** One that is down is not asked by every visitor of its login. */
const KEEP_FAILED_MS = 2_000;

interface Kept {
  readonly configuration: oidc.Configuration;
  readonly keys: ReturnType<typeof createRemoteJWKSet> | null;
}

export interface DeviceStart {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | null;
  readonly expiresInS: number;
  readonly intervalS: number;
}

export interface LogoutNotice {
  readonly jti: string;
  readonly sub: string | null;
  readonly sid: string | null;
}

export class OidcClients {
  readonly #clock: Clock;
  readonly #kept = new Map<
    string,
    { readonly found: Promise<Kept>; readonly version: string; untilMs: number }
  >();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async authorizationUrl(
    provider: ProviderSettings,
    attempt: {
      readonly redirectUri: string;
      readonly state: string;
      readonly nonce: string;
      readonly verifier: string;
    },
  ): Promise<string> {
    const { configuration } = await this.#of(provider);
    const url = oidc.buildAuthorizationUrl(configuration, {
      ...requestParameters(provider),
      redirect_uri: attempt.redirectUri,
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(attempt.verifier),
      code_challenge_method: "S256",
    });
    return url.href;
  }

  /** `answer`: the address that the provider sent the browser to. */
  async redeemCode(
    provider: ProviderSettings,
    answer: URL,
    expected: { readonly state: string; readonly nonce: string; readonly verifier: string },
  ): Promise<Confirmed> {
    const { configuration } = await this.#of(provider);
    return this.#confirmed(provider, configuration, null, () =>
      oidc.authorizationCodeGrant(configuration, answer, {
        expectedState: expected.state,
        expectedNonce: expected.nonce,
        pkceCodeVerifier: expected.verifier,
        idTokenExpected: true,
      }),
    );
  }

  async startDevice(provider: ProviderSettings): Promise<DeviceStart> {
    const { configuration } = await this.#of(provider);
    if (!configuration.serverMetadata().device_authorization_endpoint)
      throw new OidcError("refused", "it has no device flow", null);
    const started = await saidPlainly(() =>
      oidc.initiateDeviceAuthorization(configuration, requestParameters(provider)),
    );
    return {
      deviceCode: started.device_code,
      userCode: started.user_code,
      verificationUri: started.verification_uri,
      verificationUriComplete: started.verification_uri_complete ?? null,
      expiresInS: started.expires_in,
      intervalS: started.interval ?? 5,
    };
  }

  /** Asks once. */
  async askDevice(
    provider: ProviderSettings,
    deviceCode: string,
  ): Promise<Confirmed | "pending" | "slow_down"> {
    const { configuration } = await this.#of(provider);
    try {
      return await this.#confirmed(provider, configuration, null, () =>
        oidc.genericGrantRequest(configuration, DEVICE_GRANT, { device_code: deviceCode }),
      );
    } catch (error) {
      if (error instanceof OidcError && error.code === "authorization_pending") return "pending";
      if (error instanceof OidcError && error.code === "slow_down") return "slow_down";
      throw error;
    }
  }

  /** The same person as before, or it is not valid. */
  async refresh(provider: ProviderSettings, refreshToken: string, sub: string): Promise<Confirmed> {
    const { configuration } = await this.#of(provider);
    return this.#confirmed(provider, configuration, sub, () =>
      oidc.refreshTokenGrant(configuration, refreshToken),
    );
  }

  /** Where a browser ends its session at the provider too; null: the provider has no such place. */
  async logoutUrl(
    provider: ProviderSettings,
    idToken: string | null,
    afterwards: string,
  ): Promise<string | null> {
    const { configuration } = await this.#of(provider);
    if (!configuration.serverMetadata().end_session_endpoint) return null;
    return oidc.buildEndSessionUrl(configuration, {
      post_logout_redirect_uri: afterwards,
      ...(idToken ? { id_token_hint: idToken } : {}),
    }).href;
  }

  /** The provider forgets it; nothing to do at one that cannot. */
  async giveBack(provider: ProviderSettings, refreshToken: string): Promise<void> {
    const { configuration } = await this.#of(provider);
    if (!configuration.serverMetadata().revocation_endpoint) return;
    await saidPlainly(() =>
      oidc.tokenRevocation(configuration, refreshToken, { token_type_hint: "refresh_token" }),
    );
  }

  /** OpenID Connect Back-Channel Logout 1.0, 2.6. */
  async checkLogoutToken(provider: ProviderSettings, token: string): Promise<LogoutNotice> {
    const { keys, configuration } = await this.#of(provider);
    if (!keys) throw new OidcError("invalid", "the provider publishes no keys", null);
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ALGORITHMS,
      issuer: configuration.serverMetadata().issuer,
      audience: provider.clientId,
      requiredClaims: ["iat", "jti", "events"],
      maxTokenAge: LOGOUT_TOKEN_MAX_AGE,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(this.#clock.nowMs()),
    }).catch((error: unknown) => {
      if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout))
        throw new OidcError("invalid", "the log-out token is not valid", error);
      throw new OidcError("down", "its keys cannot be read", error);
    });
    const { sid } = readClaims(payload, "");
    const events = payload.events as Record<string, unknown> | null;
    const isLogout = typeof events === "object" && events !== null && LOGOUT_EVENT in events;
    if (!isLogout || "nonce" in payload || !(payload.sub ?? sid))
      throw new OidcError("invalid", "the log-out token is none", null);
    return { jti: payload.jti as string, sub: payload.sub ?? null, sid };
  }

  async #confirmed(
    provider: ProviderSettings,
    configuration: oidc.Configuration,
    knownSub: string | null,
    grant: () => Promise<oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers>,
  ): Promise<Confirmed> {
    const tokens = await saidPlainly(grant);
    const idClaims = tokens.claims();
    const sub = idClaims?.sub ?? knownSub;
    if (!sub || (knownSub !== null && sub !== knownSub))
      throw new OidcError("invalid", "the tokens are about nobody, or about somebody else", null);
    const isEnough = idClaims && readClaims(idClaims, provider.groupsClaim).groups !== null;
    const asked = isEnough ? {} : await this.#userInfo(configuration, tokens.access_token, sub);
    const nowMs = this.#clock.nowMs();
    const goodForMs = tokens.expires_in === undefined ? UNSAID_MS : tokens.expires_in * 1000;
    const said = readClaims({ ...asked, ...idClaims }, provider.groupsClaim);
    return {
      ...said,
      // Providers leave the claim out for whoever is in no group.
      groups: said.groups ?? (asked === null ? null : []),
      issuer: idClaims?.iss ?? configuration.serverMetadata().issuer,
      sub,
      refreshToken: tokens.refresh_token ?? null,
      idToken: tokens.id_token ?? null,
      goodUntilMs: idClaims ? idClaims.exp * 1000 : nowMs + goodForMs,
    };
  }

  /** What the ID token does not say. Null when it fails: a refresh token that was just used must not be lost for it. */
  async #userInfo(
    configuration: oidc.Configuration,
    accessToken: string,
    sub: string,
  ): Promise<Readonly<Record<string, unknown>> | null> {
    if (!configuration.serverMetadata().userinfo_endpoint) return {};
    return await oidc.fetchUserInfo(configuration, accessToken, sub).catch(() => null);
  }

  /** Those who ask at the same time ask once. */
  #of(provider: ProviderSettings): Promise<Kept> {
    const { id, version } = provider;
    const known = this.#kept.get(id);
    const nowMs = this.#clock.monotonicMs();
    if (known && known.version === version && nowMs < known.untilMs) return known.found;
    const kept = { found: connect(provider), version, untilMs: nowMs + KEEP_MS };
    kept.found.catch(() => {
      kept.untilMs = this.#clock.monotonicMs() + KEEP_FAILED_MS;
    });
    this.#kept.set(id, kept);
    return kept.found;
  }
}

async function connect(provider: ProviderSettings): Promise<Kept> {
  const reach = reachOf(provider.isTrusted);
  // `reach` refuses what is not https by itself, but for this machine.
  const discovered = await saidPlainly(() =>
    oidc.discovery(new URL(provider.issuer), provider.clientId, undefined, undefined, {
      timeout: TIMEOUT_S,
      [oidc.customFetch]: reach,
      execute: [oidc.allowInsecureRequests],
    }),
  );
  const metadata = discovered.serverMetadata();
  const methods = metadata.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
  const secret = provider.clientSecret;
  const clientSecret = methods.includes("client_secret_basic")
    ? oidc.ClientSecretBasic
    : oidc.ClientSecretPost;
  const configuration = new oidc.Configuration(
    metadata,
    provider.clientId,
    { [oidc.clockTolerance]: CLOCK_TOLERANCE_S },
    secret === null ? oidc.None() : clientSecret(secret),
  );
  configuration.timeout = TIMEOUT_S;
  configuration[oidc.customFetch] = reach;
  oidc.allowInsecureRequests(configuration);
  // Not only where the protocol asks for it: what TLS says of the token's way is not enough for us.
  oidc.enableNonRepudiationChecks(configuration);
  const keys = metadata.jwks_uri
    ? createRemoteJWKSet(new URL(metadata.jwks_uri), {
        timeoutDuration: TIMEOUT_S * 1000,
        [joseFetch]: reach,
      })
    : null;
  return { configuration, keys };
}

/** A refresh token is given to whom the person has agreed to: OpenID Connect Core 11. */
function requestParameters({ scopes, parameters }: ProviderSettings): Record<string, string> {
  return {
    ...(scopes.includes("offline_access") ? { prompt: "consent" } : {}),
    ...parameters,
    scope: scopes.join(" "),
  };
}

async function saidPlainly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toOidcError(error);
  }
}

function toOidcError(error: unknown): OidcError {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof ProviderDown) return new OidcError("down", cause.message, error);
  if (error instanceof oidc.ResponseBodyError || error instanceof oidc.AuthorizationResponseError) {
    const isBusy = ["temporarily_unavailable", "server_error"].includes(error.error);
    const said = `it said ${error.error}`;
    return new OidcError(isBusy ? "down" : "refused", said, error, error.error);
  }
  if (error instanceof oidc.ClientError && error.code === "OAUTH_TIMEOUT")
    return new OidcError("down", "it does not answer in time", error);
  if (error instanceof oidc.ClientError && isStrange(error.code))
    return new OidcError("down", `it does not speak OpenID Connect: ${error.message}`, error);
  return new OidcError("invalid", error instanceof Error ? error.message : String(error), error);
}

/** An answer that is no provider's: a proxy's page, a wrong address. */
function isStrange(code: string | undefined): boolean {
  return ["OAUTH_RESPONSE_IS_NOT_CONFORM", "OAUTH_RESPONSE_IS_NOT_JSON"].includes(code ?? "");
}
