// A control plane and a real OpenID provider that knows each other: what logins are tried with.

import assert from "node:assert/strict";
import type { Provider } from "#contract/providers.ts";
import { checkLogins } from "#identity/check-logins.ts";
import { createClient } from "#sdk/client.ts";
import { type Caller, type ControlPlane, controlPlane, DASHBOARD } from "./control-plane.ts";
import { type OidcOptions, type OidcProvider, oidcProvider, type Page, Person } from "./oidc.ts";

type Scope = Parameters<typeof controlPlane>[0];
type NewProvider = Parameters<Caller["client"]["providers"]["create"]>[0];

export const ALICE = {
  ...{ email: "alice@corp.test", email_verified: true, name: "Alice" },
  groups: ["engineers"],
};

export interface SignIn {
  readonly plane: ControlPlane;
  readonly oidc: OidcProvider;
  /** Of the installation, known to both sides; new users are members of the administrator's organization. */
  readonly provider: Provider;
  /** Another provider at the same issuer, with a client of its own. */
  addProvider(by: Caller, settings?: Partial<NewProvider>): Promise<Provider>;
  person(name: string): Person;
  /** Through the whole browser flow; the last page. */
  logIn(person: Person, query?: string, provider?: string): Promise<Page>;
  /** A request with the person's session, as the dashboard's pages send it. */
  as(person: Person, path: string, init?: RequestInit): Promise<Page>;
  /** One pass of the loop that asks providers. */
  check(): Promise<void>;
}

export async function signIn(
  scope: Scope,
  options: OidcOptions & { readonly provider?: Partial<NewProvider> } = {},
): Promise<SignIn> {
  const plane = await controlPlane(scope);
  const oidc = await oidcProvider(scope, {
    ...options,
    accounts: { alice: ALICE, ...options.accounts },
  });
  const add = async (by: Caller, settings: Partial<NewProvider> = {}): Promise<Provider> => {
    const made = await by.client.providers.create({
      ...{ name: "corp", label: "Corp", issuer: oidc.issuer, clientId: "to-be-registered" },
      ...settings,
    });
    const client = await oidc.registerClient({
      redirectUri: made.redirectUri,
      logoutUri: made.logoutUri.replace(DASHBOARD, plane.url),
      afterLogoutUri: `${DASHBOARD}/login`,
    });
    return by.client.providers.update(made.id, client);
  };
  const provider = await add(plane.admin, {
    ...{ isOfInstallation: true, defaultRole: "member" },
    ...options.provider,
  });
  const servers = { [DASHBOARD]: plane.url };
  return {
    ...{ plane, oidc, provider },
    addProvider: add,
    person: (name) => new Person(name, servers),
    logIn: (person, query = "", reference = provider.id) =>
      person.visit(`${DASHBOARD}/v1/login/${reference}${query}`, isPlain),
    as: (person, path, init = {}) =>
      person.ask(new URL(path, DASHBOARD), {
        ...init,
        headers: { "sec-fetch-site": "same-origin", ...init.headers },
      }),
    check: async () => {
      while ((await checkLogins(plane.identity)) === "again");
    },
  };
}

/** A page of the dashboard, which is not built here. */
function isPlain(url: URL): boolean {
  return url.origin === DASHBOARD && !url.pathname.startsWith("/v1/");
}

/** Who a session is, by the API. */
export async function whoIs(world: SignIn, person: Person) {
  const page = await world.as(person, "/v1/system");
  return page.status === 200 ? JSON.parse(page.text).user : null;
}

export function clientOf(world: SignIn, token: string) {
  return createClient({ url: world.plane.url, token, retries: 0 });
}

/** The words of a page for people. */
export function assertPage(page: Page, status: number, words: RegExp): void {
  assert.equal(page.status, status, page.text);
  assert.match(page.text, words);
}
