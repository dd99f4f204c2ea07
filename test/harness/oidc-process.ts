// A real OpenID provider (oidc-provider) as a process of its own, for tests: `node oidc-process.ts CONFIG` with CONFIG as
// JSON. Says `ready PORT`. Who may log in is said at /control/accounts/NAME; whoever is disabled there is unknown to it.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Provider } from "oidc-provider";

interface Account {
  readonly disabled?: boolean;
  readonly [claim: string]: unknown;
}

const config = JSON.parse(process.argv[2] ?? "{}") as {
  port?: number;
  accounts?: Record<string, Account>;
  clients?: object[];
  /** Seconds: AccessToken, IdToken, RefreshToken. */
  ttl?: Record<string, number>;
  key?: object;
};
const accounts = new Map(Object.entries(config.accounts ?? {}));
let handle: (request: never, response: never) => void = () => {};

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url ?? "/", "http://any");
  const name = /^\/control\/accounts\/([\w.@-]+)$/.exec(pathname)?.[1];
  if (name && request.method === "PUT") {
    let text = "";
    for await (const chunk of request) text += chunk;
    accounts.set(name, JSON.parse(text));
    response.writeHead(204).end();
    return;
  }
  handle(request as never, response as never);
});

process.stdin.on("close", () => process.exit()).resume();

server.listen(config.port ?? 0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  const key =
    config.key ??
    generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: config.clients ?? [],
    jwks: { keys: [{ ...key, use: "sig", alg: "ES256", kid: "test" }] },
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    cookies: { keys: [randomUUID()] },
    claims: {
      openid: ["sub", "groups"],
      email: ["email", "email_verified"],
      profile: ["name"],
    },
    conformIdTokenClaims: false,
    features: {
      backchannelLogout: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      registration: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    rotateRefreshToken: true,
    // By itself it sends notices to public addresses only.
    fetch: (
      url: string,
      { dispatcher: _publicOnly, ...options }: RequestInit & { dispatcher: unknown },
    ) => fetch(url, options),
    ttl: { AccessToken: 3600, IdToken: 3600, RefreshToken: 86_400, ...config.ttl },
    findAccount: (_context: unknown, id: string) => {
      const account = accounts.get(id);
      if (!account || account.disabled) return undefined;
      const { disabled: _disabled, ...claims } = account;
      return { accountId: id, claims: () => ({ ...accounts.get(id), sub: id, ...claims }) };
    },
  });
  handle = provider.callback();
  console.log(`ready ${port}`);
});
