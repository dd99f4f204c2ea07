// The audit trail as anybody can check it: an entry, the one text that stands for it, the chain of hashes over those
// texts, and what is signed. Pure: whoever checks (the CLI, an auditor's own program) brings SHA-256 and Ed25519.

export const INSTALLATION_CHAIN = "installation";
export const AUDIT_OUTCOMES = ["ok", "refused", "failed"] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

export type AuditValue = string | number | boolean;

/** What is hashed: everything that is known of one act. */
export interface AuditEntry {
  /** Grows along a chain; given by the database. */
  readonly id: number;
  /** ISO 8601, milliseconds, UTC. */
  readonly at: string;
  readonly verb: string;
  readonly outcome: AuditOutcome;
  readonly code: string | null;
  readonly actorId: string | null;
  readonly actorRoles: readonly string[];
  readonly credentialId: string | null;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly resource: Readonly<Record<string, string>>;
  readonly touched: readonly string[];
  readonly data: Readonly<Record<string, AuditValue>>;
  readonly requestId: string | null;
}

/** One line of an export. */
export interface SealedEntry {
  readonly chain: string;
  /** 1, 2, 3, … without a gap. */
  readonly seq: number;
  /** The hash of the line before; of the first: ZERO_HASH. */
  readonly previous: string;
  readonly hash: string;
  readonly entry: AuditEntry;
}

/**
 * A place in a chain that the installation has signed. `head`: so far it reached then. `anchor`: up to here retention
 * has removed it.
 */
export interface AuditMark {
  readonly kind: "head" | "anchor";
  readonly chain: string;
  readonly seq: number;
  readonly hash: string;
  readonly at: string;
}

export interface SignedAuditMark extends AuditMark {
  /** Ed25519 over `markText`, in base64. */
  readonly signature: string;
}

/** Before the first entry. */
export const ZERO_HASH = "0".repeat(64);
const VERSION = 1;
const TEXT_CHARS_MAX = 300;

/**
 * JSON with sorted keys and nothing between: equal values have one text. What a terminal or an editor would act on
 * (control characters, ends of lines, changes of direction) is escaped, so that the text looks like what it is.
 */
export function canonicalText(value: unknown): string {
  const text = JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : part,
  );
  return text.replaceAll(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const UNSEEN = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** What the hash of a sealed entry is taken of. The place in the chain is a part of it. */
export function sealText({ chain, seq, previous, entry }: Omit<SealedEntry, "hash">): string {
  return canonicalText({ v: VERSION, chain, seq, previous, entry });
}

export function sealLine({ chain, seq, previous, hash, entry }: SealedEntry): string {
  return canonicalText({ v: VERSION, chain, seq, previous, hash, entry });
}

export function markLine(mark: SignedAuditMark): string {
  return canonicalText({ v: VERSION, ...mark });
}

/** What a mark's signature is over. */
export function markText({ kind, chain, seq, hash, at }: AuditMark): string {
  return canonicalText({ v: VERSION, kind, chain, seq, hash, at });
}

/** Text that Postgres and every JSON reader keep as it is: no NUL, no half characters, not without an end. */
export function auditText(text: string, maxChars = TEXT_CHARS_MAX): string {
  const kept = text.length > maxChars ? `${text.slice(0, maxChars - 1)}…` : text;
  return kept.replaceAll("\0", "\ufffd").toWellFormed();
}
