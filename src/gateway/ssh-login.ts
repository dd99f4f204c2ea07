// Who is at the SSH door: the holder of a registered key, or of a certificate of Berth's user authority. Checked once
// per connection, and again whenever the control plane says that something changed.

import { createHash } from "node:crypto";
import type { AuthContext, PublicKeyAuthContext } from "ssh2";
import ssh2 from "ssh2";
import type { FeedBox } from "#contract/gateway-feed.ts";
import { SshKeyError } from "#trust/ssh-certificates.ts";
import {
  checkUserCertificate,
  ExpiredCertificate,
  USER_CERTIFICATE_TYPE,
  type UserCertificate,
} from "#trust/ssh-user-certificates.ts";
import { stillHolds } from "./entry.ts";
import type { Known } from "./known.ts";

export interface Login {
  /** Where it came from. */
  readonly address?: string;
  readonly userId: string;
  /** The registered key (one of them, when it is registered in several organizations), or what the certificate was got by. */
  readonly credentialId: string;
  /** False: the connection ends. */
  isStillGood(known: Known): boolean;
  /** The box of that name or id, when this login may enter it. */
  find(known: Known, name: string): FeedBox | null;
  /** The box of that name or id that its organizations have, whether or not it may enter it. */
  lookFor(known: Known, name: string): FeedBox | null;
  /** What lets it into this box; null: nothing (any more), and what it has open there ends. */
  letIn(known: Known, box: FeedBox): string | null;
}

/** So long a certificate lasts (src/api/access.ts). */
const SSH_LIFETIME_MS = 5 * 60_000;

/** Written by the API into each certificate: USER@BOX#CREDENTIAL. */
const KEY_ID = /^([a-z0-9_]+)@([a-z0-9_]+)#([a-z0-9_]+)$/;

export type Attempt =
  | { readonly kind: "asked" }
  | { readonly kind: "in"; readonly login: Login }
  | { readonly kind: "refused"; readonly why: string; readonly holder?: Holder };

/** Whose certificate was refused, and for which box it was. */
export interface Holder {
  readonly userId: string;
  readonly boxId: string;
  readonly credentialId: string;
  readonly code: "ticket_expired" | "revoked";
}

/** `asked`: the client wants to know whether the key would do, and has not signed yet. */
export function attempt(context: AuthContext, known: Known, nowMs: number): Attempt {
  if (context.method !== "publickey")
    return { kind: "refused", why: `${context.method} is not taken here` };
  const { key, signature } = context;
  try {
    const { login, over, verifies } =
      key.algo === USER_CERTIFICATE_TYPE
        ? byCertificate(key.data, known, nowMs)
        : byKey(context, known, nowMs);
    if (!signature) return { kind: "asked" };
    // A certificate is no secret: of whoever only has seen one, nothing is told to its holder's organization.
    if (!verifies(context)) return { kind: "refused", why: "not signed" };
    return over ? { kind: "refused", ...over } : { kind: "in", login };
  } catch (error) {
    if (!(error instanceof SshKeyError)) throw error;
    return { kind: "refused", why: error.message };
  }
}

interface Candidate {
  readonly login: Login;
  /** It holds no more: to be told when the holder has proven to be it. */
  readonly over?: { readonly why: string; readonly holder: Holder };
  readonly verifies: (context: PublicKeyAuthContext) => boolean;
}

function byKey({ key }: PublicKeyAuthContext, known: Known, nowMs: number): Candidate {
  const fingerprint = fingerprintOf(key.data);
  const good = (now: Known) =>
    now
      .keys(fingerprint)
      .filter(({ keyId, untilMs }) => !now.isRevoked(keyId) && nowMs < (untilMs ?? Infinity));
  const first = good(known)[0];
  if (!first) throw new SshKeyError(`the key ${fingerprint} is not registered`);
  const { userId } = first;
  return {
    login: {
      userId,
      credentialId: first.keyId,
      isStillGood: (now) => good(now).length > 0,
      find: (now, name) => {
        for (const { orgId } of good(now)) {
          const box = now.findBox(orgId, name);
          if (box && now.mayEnter(userId, box.boxId)) return box;
        }
        return null;
      },
      lookFor: (now, name) => {
        const boxes = good(now).map(({ orgId }) => now.findBox(orgId, name));
        return boxes.find((box) => box !== null) ?? null;
      },
      letIn: (now, { boxId, orgId }) => {
        const key = good(now).find((one) => one.orgId === orgId);
        return key && now.mayEnter(userId, boxId) ? key.keyId : null;
      },
    },
    verifies: (context) => signedBy(context),
  };
}

function byCertificate(blob: Buffer, known: Known, nowMs: number): Candidate {
  const { certificate, isExpired } = readCertificate(blob, known, nowMs);
  const { userId, boxId, credentialId } = namesIn(certificate.keyId);
  if (!certificate.principals.includes(boxId))
    throw new SshKeyError("the certificate is not for a box");
  const refusal = isExpired
    ? ({ why: "the certificate has expired", code: "ticket_expired" } as const)
    : known.isRevoked(credentialId)
      ? ({ why: "the certificate was revoked", code: "revoked" } as const)
      : null;
  const isLetIn = stillHolds(certificate.notAfterMs - SSH_LIFETIME_MS, (now) =>
    now.mayEnter(userId, boxId),
  );
  return {
    ...(refusal && {
      over: { why: refusal.why, holder: { userId, boxId, credentialId, code: refusal.code } },
    }),
    login: {
      userId,
      credentialId,
      isStillGood: (now) => !now.isRevoked(credentialId),
      find: (now, name) => {
        const box = now.box(boxId);
        return box && (name === box.boxId || name === box.name) ? box : null;
      },
      // For one box only: what else it asks for is none of its business, and is noted at the box that it is for.
      lookFor: (now) => now.box(boxId),
      letIn: (now) => (!now.isRevoked(credentialId) && isLetIn(now) ? credentialId : null),
    },
    verifies: ({ blob: signed, signature }) => holds(certificate, signed, signature),
  };
}

function readCertificate(
  blob: Buffer,
  known: Known,
  nowMs: number,
): { readonly certificate: UserCertificate; readonly isExpired: boolean } {
  try {
    const certificate = checkUserCertificate(blob, { userCa: known.settings.sshUserCa, nowMs });
    return { certificate, isExpired: false };
  } catch (error) {
    if (!(error instanceof ExpiredCertificate)) throw error;
    return { certificate: error.certificate, isExpired: true };
  }
}

function namesIn(keyId: string): Omit<Holder, "code"> {
  const [, userId, boxId, credentialId] = KEY_ID.exec(keyId) ?? [];
  if (!userId || !boxId || !credentialId) throw new SshKeyError("the certificate is not for a box");
  return { userId, boxId, credentialId };
}

function holds(certificate: UserCertificate, signed?: Buffer, signature?: Buffer): boolean {
  return signed !== undefined && signature !== undefined && certificate.verifies(signed, signature);
}

function signedBy({ key, blob, signature, hashAlgo }: PublicKeyAuthContext): boolean {
  const parsed = ssh2.utils.parseKey(key.data);
  if (parsed instanceof Error || !blob || !signature) return false;
  const one = Array.isArray(parsed) ? parsed[0] : parsed;
  return one?.verify(blob, signature, hashAlgo) === true;
}

/** As `ssh-keygen -lf` prints it. */
function fingerprintOf(blob: Buffer): string {
  const digest = createHash("sha256").update(blob).digest("base64");
  return `SHA256:${digest.replace(/=+$/, "")}`;
}
