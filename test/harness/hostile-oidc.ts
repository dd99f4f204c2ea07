// An OpenID provider that lies: what it puts into tokens and answers is what a test says.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

interface Scope {
  after(work: () => Promise<void>): void;
}

export interface Lie {
  /** Replaces claims of the ID token; undefined takes one out. */
  claims?: Readonly<Record<string, unknown>>;
  /** Changes the finished ID token. */
  token?: (idToken: string) => string | Promise<string>;
  /** Another key than the published one signs. */
  isForged?: boolean;
  /** Replaces parameters of the redirect back; undefined takes one out. */
  answer?: Readonly<Record<string, string | undefined>>;
  metadata?: Readonly<Record<string, unknown>>;
  noIdToken?: boolean;
  /** Instead of whatever is asked for. */
  status?: number;
}

export interface HostileProvider {
  readonly issuer: string;
  lie: Lie;
  /** Bodies that came to the token endpoint. */
  readonly redeemed: URLSearchParams[];
  sign(claims: object, isForged?: boolean): Promise<string>;
}

export async function hostileProvider(scope: Scope): Promise<HostileProvider> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const other = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "k", alg: "ES256", use: "sig" };
  const nonces = new Map<string, string>();
  const redeemed: URLSearchParams[] = [];
  const sign = (claims: object, isForged = false) =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: "ES256", kid: "k" })
      .sign(isForged ? other.privateKey : privateKey);
  const server = createServer(async (request, response) => {
    const { lie, issuer } = hostile;
    const url = new URL(request.url ?? "/", issuer);
    const json = (body: object, status = lie.status ?? 200) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (url.pathname === "/.well-known/openid-configuration") {
      json({
        issuer,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        response_types_supported: ["code"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["ES256", "none", "HS256"],
        authorization_response_iss_parameter_supported: true,
        ...lie.metadata,
      });
    } else if (url.pathname === "/jwks") json({ keys: [jwk] });
    else if (url.pathname === "/auth") {
      const given = Object.fromEntries(url.searchParams);
      const code = `code-${nonces.size}`;
      nonces.set(code, given.nonce ?? "");
      const back = new URL(given.redirect_uri ?? issuer);
      const answer = { code, state: given.state, iss: issuer, ...lie.answer };
      for (const [name, value] of Object.entries(answer))
        if (value !== undefined) back.searchParams.set(name, value);
      response.writeHead(302, { location: back.href }).end();
    } else if (url.pathname === "/token") {
      let text = "";
      for await (const chunk of request) text += chunk;
      const body = new URLSearchParams(text);
      redeemed.push(body);
      const nowS = Math.floor(Date.now() / 1000);
      const claims = Object.entries({
        ...{ iss: issuer, aud: "client", sub: "mallory", iat: nowS, exp: nowS + 600 },
        nonce: nonces.get(body.get("code") ?? ""),
        ...{ email: "mallory@evil.test", email_verified: true, name: "Mallory" },
        ...lie.claims,
      }).filter(([, value]) => value !== undefined);
      const signed = await sign(Object.fromEntries(claims), lie.isForged);
      json({
        ...{ access_token: "at", token_type: "Bearer", expires_in: 600 },
        ...(lie.noIdToken ? {} : { id_token: lie.token ? await lie.token(signed) : signed }),
      });
    } else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  scope.after(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  const { port } = server.address() as AddressInfo;
  const hostile: HostileProvider = { issuer: `http://127.0.0.1:${port}`, lie: {}, redeemed, sign };
  return hostile;
}
