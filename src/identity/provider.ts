// A provider as the protocol needs it, and what it says of a person.

export interface ProviderSettings {
  readonly id: string;
  readonly label: string;
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client. */
  readonly clientSecret: string | null;
  readonly scopes: readonly string[];
  /** Added to every authorization request. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly isTrusted: boolean;
  readonly groupsClaim: string;
  /** Changes with every change of the settings. */
  readonly version: string;
}

/** Somebody, as a provider has just vouched for them. */
export interface Confirmed {
  readonly issuer: string;
  readonly sub: string;
  readonly name: string | null;
  readonly email: string | null;
  readonly isEmailVerified: boolean;
  /** Null: the provider could not be asked for them. */
  readonly groups: readonly string[] | null;
  /** The provider's session. */
  readonly sid: string | null;
  readonly refreshToken: string | null;
  readonly idToken: string | null;
  /** What it has said is good until then. */
  readonly goodUntilMs: number;
}

const MAX_GROUPS = 2000;
const MAX_TEXT = 320;

type Claims = Readonly<Record<string, unknown>>;

/** What a person is called, where they belong. Nothing that is not of its right form is taken. */
export function readClaims(claims: Claims, groupsClaim: string) {
  const email = textOf(claims.email);
  return {
    name: textOf(claims.name) ?? textOf(claims.preferred_username),
    email: email && /^[^\s@]+@[^\s@]+$/.test(email) ? email : null,
    // Only the word itself: "true" of a careless provider is no promise.
    isEmailVerified: claims.email_verified === true,
    groups: readGroups(claims, groupsClaim),
    sid: textOf(claims.sid),
  };
}

/** A claim by its name, or by a path with dots: `realm_access.roles`. */
function readGroups(claims: Claims, path: string): string[] | null {
  let found: unknown = Object.hasOwn(claims, path) ? claims[path] : undefined;
  if (found === undefined && path.includes(".")) {
    found = claims;
    for (const part of path.split("."))
      found =
        typeof found === "object" && found !== null && Object.hasOwn(found, part)
          ? (found as Claims)[part]
          : undefined;
  }
  if (found === undefined || found === null) return null;
  const names = Array.isArray(found) ? found : [found];
  return names.flatMap((one) => textOf(one) ?? []).slice(0, MAX_GROUPS);
}

function textOf(value: unknown): string | null {
  if (typeof value !== "string" || value.length === 0 || value.length > MAX_TEXT) return null;
  return value.isWellFormed() && !/\p{Cc}/u.test(value) ? value : null;
}
