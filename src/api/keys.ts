// SSH keys, API tokens, and the web sessions that are got by tokens.

import { createHash } from "node:crypto";
import { Problem } from "#contract/errors.ts";
import type { SshKey } from "#contract/keys.ts";
import type { DeletedToken as DeletedTokenAnswer, Token } from "#contract/tokens.ts";
import { providerLogoutUrl as findProviderLogoutUrl } from "#identity/login.ts";
import { answerOnce } from "#store/idempotency.ts";
import { createSshKey, deleteSshKey, listSshKeys, type SshKeyView } from "#store/ssh-keys.ts";
import {
  createToken,
  createWebSession,
  type DeletedToken,
  deleteToken,
  endWebSession,
  type Identified,
  listTokens,
  type TokenView,
} from "#store/tokens.ts";
import { parsePublicKey, SshKeyError } from "#trust/ssh-certificates.ts";
import { hashToken, makeToken } from "#trust/token-hash.ts";
import type { ApiContext } from "./context.ts";
import { sessionCookie, setCookie } from "./credentials.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import type { Handlers } from "./route.ts";
import { whoIs } from "./who.ts";

/** A working day; logging in again costs a paste. */
const WEB_SESSION_MS = 12 * 60 * 60_000;

function shapeKey(key: SshKeyView): SshKey {
  return {
    id: key.id,
    name: key.name,
    type: key.publicKey.split(" ")[0] ?? "",
    publicKey: key.publicKey,
    fingerprint: key.fingerprint,
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    madeWith: key.madeWith,
  };
}

export function keyHandlers(): Pick<Handlers, Extract<keyof Handlers, `keys.${string}`>> {
  return {
    "keys.create": async ({ db, subject, credential, body, mutation }) => {
      const { publicKey, fingerprint } = readPublicKey(body.publicKey);
      return answerOnce(db, subject, mutation, async (tx) =>
        shapeKey(await createSshKey(tx, credential, { name: body.name, publicKey, fingerprint })),
      );
    },
    "keys.list": async ({ db, subject, query }) => {
      const scope = ["keys"];
      const after = textPosition(scope, query.cursor);
      const rows = await listSshKeys(db, subject, { after, limit: query.limit + 1 });
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeKey);
    },
    "keys.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeKey(await deleteSshKey(tx, subject, params.key)),
      ),
  };
}

/** Written anew from its parts: the comment may hold a name or a path, and is nobody's business. */
function readPublicKey(text: string): { publicKey: string; fingerprint: string } {
  try {
    const { type, blob } = parsePublicKey(text);
    const digest = createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
    return { publicKey: `${type} ${blob.toString("base64")}`, fingerprint: `SHA256:${digest}` };
  } catch (error) {
    if (!(error instanceof SshKeyError)) throw error;
    throw new Problem("invalid_request", `body.publicKey: ${error.message}`, {
      cause: error,
      fields: [{ path: "body.publicKey", message: error.message }],
    });
  }
}

export function shapeToken(token: TokenView, credential: Identified): Token {
  return {
    id: token.id,
    name: token.name,
    createdAt: token.createdAt.toISOString(),
    expiresAt: token.expiresAt?.toISOString() ?? null,
    lastUsedAt: token.lastUsedAt?.toISOString() ?? null,
    scopes: token.scopes && [...token.scopes],
    madeWith: token.madeWith,
    isCurrent: token.id === credential.tokenId,
  };
}

export function shapeDeleted(token: DeletedToken, credential: Identified): DeletedTokenAnswer {
  return { ...shapeToken(token, credential), ended: token.ended };
}

export function tokenHandlers(): Pick<Handlers, Extract<keyof Handlers, `tokens.${string}`>> {
  return {
    // No answer is remembered: it would hold the token. One that got lost is deleted by its name.
    "tokens.create": async ({ db, credential, body }) => {
      const token = makeToken();
      const made = await createToken(db, credential, {
        hash: hashToken(token),
        name: body.name,
        expiresInMs: body.expiresInMs ?? null,
        scopes: body.scopes ?? null,
      });
      return { ...shapeToken(made, credential), token };
    },
    "tokens.list": async ({ db, subject, credential, query }) => {
      const scope = ["tokens"];
      const after = textPosition(scope, query.cursor);
      const rows = await listTokens(db, subject, { after, limit: query.limit + 1 });
      const shape = (one: TokenView) => shapeToken(one, credential);
      return pageFrom(rows, query.limit, scope, (one) => one.id, shape);
    },
    "tokens.delete": ({ db, subject, credential, params, query, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeDeleted(await deleteToken(tx, credential, params.token, query), credential),
      ),
  };
}

export function webSessionHandlers(
  context: ApiContext,
): Pick<Handlers, Extract<keyof Handlers, `webSessions.${string}`>> {
  const { clock } = context;
  const cookie = sessionCookie(context.dashboardOrigin);
  return {
    "webSessions.create": async ({ db, subject, credential, setCookie: set }) => {
      const secret = makeToken();
      const session = await createWebSession(db, credential, {
        hash: hashToken(secret),
        lifetimeMs: WEB_SESSION_MS,
      });
      const leftS = Math.floor((session.expiresAt.getTime() - clock.nowMs()) / 1000);
      set(setCookie(cookie, secret, Math.max(1, leftS)));
      return {
        id: session.id,
        user: await whoIs(db, subject),
        expiresAt: session.expiresAt.toISOString(),
      };
    },
    "webSessions.delete": async ({ db, subject, credential, setCookie: set }) => {
      set(setCookie(cookie, "", 0));
      const providerLogoutUrl = await findProviderLogoutUrl(
        context.identity,
        credential.credentialId,
      );
      return {
        ended: await endWebSession(db, subject, credential.credentialId),
        providerLogoutUrl,
      };
    },
  };
}
