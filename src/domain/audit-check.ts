// Checks an export of an audit chain line by line. A fold: what is known after a line is all that the next one needs,
// so a chain of any length is checked as it streams in.

import {
  type AuditMark,
  canonicalText,
  markText,
  type SealedEntry,
  type SignedAuditMark,
  sealText,
  ZERO_HASH,
} from "./audit.ts";

export interface AuditTools {
  /** In hex. */
  readonly sha256: (text: string) => string;
  /** Whether the installation signed that text. */
  readonly verifies: (text: string, signature: string) => boolean;
}

/** The chain is not what was sealed, and where that shows first. */
export interface AuditFault {
  readonly kind:
    | "malformed"
    | "edited"
    | "missing"
    | "reordered"
    | "forked"
    | "truncated"
    | "unsigned"
    | "forged"
    | "other_chain";
  readonly seq: number;
  readonly detail: string;
}

/** Where a check stands. */
export interface AuditCheck {
  readonly chain: string;
  readonly seq: number;
  readonly hash: string;
  /** How many entries were checked. */
  readonly entries: number;
  readonly isBegun: boolean;
  /** Signed heads that are still to be met. */
  readonly awaited: readonly AuditMark[];
  /** The last place that a signed head vouches for. */
  readonly vouchedTo: number;
  /** Heads that are older than what retention has left. */
  readonly unseen: readonly AuditMark[];
}

export type AuditStep = AuditCheck | AuditFault;

export function isFault(step: AuditStep): step is AuditFault {
  return "kind" in step;
}

/** `heads`: signed before, and kept where this chain's keeper could not change them. */
export function startCheck(
  chain: string,
  heads: readonly SignedAuditMark[],
  tools: AuditTools,
): AuditStep {
  for (const head of heads) {
    const fault = checkMark(chain, head, tools);
    if (fault) return fault;
  }
  const awaited = heads.filter((head) => head.seq > 0);
  return {
    ...{ chain, seq: 0, hash: ZERO_HASH, entries: 0, isBegun: false },
    ...{ awaited, vouchedTo: 0, unseen: [] },
  };
}

export function checkLine(at: AuditCheck, line: string, tools: AuditTools): AuditStep {
  const next = at.seq + 1;
  const parsed = parse(line);
  if (!parsed)
    return { kind: "malformed", seq: next, detail: "the line is not as Berth writes it" };
  if (isMark(parsed)) return passMark(at, parsed, tools);
  return passEntry(at, parsed, tools);
}

/** When no line is left. */
export function endCheck(at: AuditCheck): AuditStep {
  const [missed] = at.awaited;
  if (missed) {
    const detail = `the chain ends at ${at.seq}, but had ${missed.seq} entries at ${missed.at}`;
    return { kind: "truncated", seq: at.seq + 1, detail };
  }
  if (at.vouchedTo === at.seq) return at;
  const detail = "no signed head follows: the export broke off, or its end was cut away";
  return { kind: "unsigned", seq: at.vouchedTo + 1, detail };
}

function passEntry(at: AuditCheck, sealed: SealedEntry, { sha256 }: AuditTools): AuditStep {
  const next = at.seq + 1;
  const { chain, seq, previous, hash } = sealed;
  if (chain !== at.chain)
    return { kind: "other_chain", seq: next, detail: `the entry is of the chain ${chain}` };
  if (seq > next)
    return { kind: "missing", seq: next, detail: `${next} is followed or replaced by ${seq}` };
  if (seq < next)
    return { kind: "reordered", seq: next, detail: `entry ${seq} stands where ${next} belongs` };
  if (sha256(sealText(sealed)) !== hash)
    return { kind: "edited", seq, detail: "the entry is not the one that was sealed" };
  if (previous !== at.hash)
    return { kind: "forked", seq, detail: "the entry was sealed after another one" };
  return meet({ ...at, seq, hash, entries: at.entries + 1, isBegun: true });
}

function passMark(at: AuditCheck, mark: SignedAuditMark, tools: AuditTools): AuditStep {
  const fault = checkMark(at.chain, mark, tools);
  if (fault) return fault;
  const { kind, seq, hash } = mark;
  if (kind === "anchor") {
    if (at.isBegun)
      return { kind: "malformed", seq: at.seq + 1, detail: "an anchor in the middle of the chain" };
    return meet({ ...at, seq, hash, isBegun: true });
  }
  if (seq > at.seq)
    return { kind: "missing", seq: at.seq + 1, detail: `a signed head says ${seq} entries` };
  if (seq < at.seq)
    return { kind: "reordered", seq: at.seq + 1, detail: `the head of ${seq} stands after it` };
  if (hash !== at.hash)
    return { kind: "forked", seq, detail: "the chain was another one when its head was signed" };
  return { ...at, vouchedTo: seq };
}

/** Holds the chain against the signed heads of this place. */
function meet(at: AuditCheck): AuditStep {
  if (at.awaited.length === 0) return at;
  const wrong = at.awaited.find((head) => head.seq === at.seq && head.hash !== at.hash);
  if (wrong) {
    const detail = `the chain was another one when its head was signed, at ${wrong.at}`;
    return { kind: "forked", seq: at.seq, detail };
  }
  // Only an anchor passes heads without meeting them.
  const passed = at.awaited.filter((head) => head.seq < at.seq);
  const awaited = at.awaited.filter((head) => head.seq > at.seq);
  const isVouched = passed.length + awaited.length < at.awaited.length;
  const vouchedTo = isVouched ? at.seq : at.vouchedTo;
  return { ...at, awaited, vouchedTo, unseen: [...at.unseen, ...passed] };
}

function checkMark(
  chain: string,
  mark: SignedAuditMark,
  { verifies }: AuditTools,
): AuditFault | null {
  if (mark.chain !== chain)
    return { kind: "other_chain", seq: mark.seq, detail: `a mark of the chain ${mark.chain}` };
  if (verifies(markText(mark), mark.signature)) return null;
  return { kind: "forged", seq: mark.seq, detail: `the ${mark.kind} is not signed by this key` };
}

/** Null unless the line is, to the letter, what its content is written as: one line has one reading. */
function parse(line: string): SealedEntry | SignedAuditMark | null {
  try {
    const value = JSON.parse(line) as Record<string, unknown>;
    if (canonicalText(value) !== line || value.v !== 1) return null;
    const { v: _version, ...rest } = value;
    const { seq, hash, chain } = rest;
    if (!Number.isSafeInteger(seq) || typeof hash !== "string" || typeof chain !== "string")
      return null;
    const keys = Object.keys(rest).sort().join();
    if (keys !== ENTRY_KEYS && keys !== MARK_KEYS) return null;
    return rest as unknown as SealedEntry | SignedAuditMark;
  } catch {
    return null;
  }
}

const ENTRY_KEYS = "chain,entry,hash,previous,seq";
const MARK_KEYS = "at,chain,hash,kind,seq,signature";

function isMark(parsed: SealedEntry | SignedAuditMark): parsed is SignedAuditMark {
  return "signature" in parsed;
}
