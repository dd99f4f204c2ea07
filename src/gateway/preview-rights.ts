// Who may enter a preview, and for how long: grants and links that were checked once, codes that are taken once.

import { randomBytes } from "node:crypto";
import type { FeedPreview } from "#contract/gateway-feed.ts";
import type { Clock } from "#lib/clock.ts";
import {
  type CheckedGrant,
  PREVIEW_CODE_LIFETIME_MS,
  PREVIEW_GRANT_LIFETIME_MS,
  type PreviewCheck,
  type PreviewCode,
  previewCheck,
} from "#trust/preview-tokens.ts";
import { stillHolds } from "./entry.ts";
import type { Known } from "./known.ts";

/** A grant or link that was checked, shared by every request that brings it. */
export interface KnownGrant {
  readonly text: string;
  readonly checked: CheckedGrant;
  /** What the control plane gave for it when it was half over. */
  next: KnownGrant | null;
  /** The control plane gives nothing for it any more. */
  isRefused: boolean;
  renewing: Promise<void> | null;
  /** The one that it gave last. */
  right: Right | null;
  /** By the preview's visibility. */
  isLetIn: Record<"org" | "private", (known: Known) => boolean> | null;
}

/** That one preview may be entered, as it is now. */
export interface Right {
  readonly preview: FeedPreview;
  /** Null: the preview is public. */
  readonly grant: KnownGrant | null;
  /** Equal for requests that may share a connection to the app. */
  readonly key: string;
}

export interface RightsOptions {
  readonly known: Known;
  readonly clock: Clock;
  /** A grant that is half over for a fresh one; throws an error with `status` when it holds no more. */
  readonly renewGrant: (grant: string) => Promise<string>;
  /** Aborts when the door closes. */
  readonly signal: AbortSignal;
}

const MAX_GRANTS = 20_000;
const MAX_CODES = 20_000;
const MAX_GRANT_CHARS = 4096;
const CLOCK_TOLERANCE_MS = 30_000;
const RENEW_AGAIN_MS = 15_000;

export class Rights {
  readonly #options: RightsOptions;
  readonly #grants = new Map<string, KnownGrant>();
  readonly #byKey = new Map<string, KnownGrant>();
  readonly #keys = new WeakMap<KnownGrant, string>();
  readonly #takenCodes = new Map<string, number>();
  #keysPem: readonly string[] = [];
  #check: PreviewCheck = previewCheck([]);

  constructor(options: RightsOptions) {
    this.#options = options;
  }

  /** What a text opens, if it was checked before. */
  recall(text: string): KnownGrant | null {
    return this.#grants.get(text) ?? null;
  }

  /** Null: it is no grant or link of ours, or it is over. */
  async read(text: string): Promise<KnownGrant | null> {
    const known = this.#grants.get(text);
    if (known) return known;
    if (text.length > MAX_GRANT_CHARS) return null;
    try {
      const checked = await this.#checker().grant(text, this.#options.clock.nowMs());
      return this.#remember(text, checked);
    } catch {
      return null;
    }
  }

  #remember(text: string, checked: CheckedGrant): KnownGrant {
    const grant: KnownGrant = {
      text,
      checked,
      next: null,
      isRefused: false,
      renewing: null,
      right: null,
      isLetIn: null,
    };
    this.#grants.set(text, grant);
    forgetOldest(this.#grants, MAX_GRANTS);
    return grant;
  }

  /** Reduced mode: what stands for the grant in an address, at this gateway and as long as it runs. */
  keyOf(grant: KnownGrant): string {
    const known = this.#keys.get(grant);
    if (known !== undefined) return known;
    const key = randomBytes(16).toString("base64url");
    this.#keys.set(grant, key);
    this.#byKey.set(key, grant);
    forgetOldest(this.#byKey, MAX_GRANTS);
    return key;
  }

  byKey(key: string): KnownGrant | null {
    return this.#byKey.get(key) ?? null;
  }

  /** Null: it is no code of ours, or it is over. */
  async readCode(text: string): Promise<PreviewCode | null> {
    if (text.length > 2 * MAX_GRANT_CHARS) return null;
    return this.#checker()
      .code(text, this.#options.clock.nowMs())
      .catch(() => null);
  }

  /** False: it was taken before. */
  takeCode(codeId: string): boolean {
    const nowMs = this.#options.clock.nowMs();
    for (const [id, untilMs] of this.#takenCodes) {
      if (untilMs > nowMs) break;
      this.#takenCodes.delete(id);
    }
    if (this.#takenCodes.has(codeId)) return false;
    this.#takenCodes.set(codeId, nowMs + PREVIEW_CODE_LIFETIME_MS + CLOCK_TOLERANCE_MS);
    forgetOldest(this.#takenCodes, MAX_CODES);
    return true;
  }

  /** The right to a preview with what the request brought; null: it has none. */
  rightTo(preview: FeedPreview, grant: KnownGrant | null): Right | null {
    const { previewId, serial } = preview;
    if (preview.visibility === "public")
      return { preview, grant: null, key: `${previewId} ${serial}` };
    if (!grant || !this.#opens(grant, preview)) return null;
    if (grant.right?.preview === preview) return grant.right;
    const { credentialId, userId } = grant.checked;
    grant.right = { preview, grant, key: `${previewId} ${serial} ${credentialId} ${userId}` };
    return grant.right;
  }

  /** Whether it holds still, after whatever changed. */
  isGood({ preview, grant }: Right): boolean {
    const now = this.#options.known.preview(preview.label);
    if (now === null || now === "gone" || now.previewId !== preview.previewId) return false;
    if (now.visibility === "public") return true;
    return grant !== null && this.#opens(grant, now);
  }

  /** A link is for whoever has it; a person must still be one that the preview is for. */
  #isFor(grant: KnownGrant, { boxId, visibility }: FeedPreview): boolean {
    const { userId, expiresAtMs } = newest(grant).checked;
    if (userId === null) return true;
    const { known } = this.#options;
    const { orgId } = known.box(boxId) ?? {};
    grant.isLetIn ??= {
      org: stillHolds(expiresAtMs - PREVIEW_GRANT_LIFETIME_MS, (now) =>
        now.isMember(orgId ?? "", userId),
      ),
      private: stillHolds(expiresAtMs - PREVIEW_GRANT_LIFETIME_MS, (now) =>
        now.mayEnter(userId, boxId),
      ),
    };
    return grant.isLetIn[visibility === "org" ? "org" : "private"](known);
  }

  #opens(grant: KnownGrant, preview: FeedPreview): boolean {
    const { previewId, serial } = preview;
    const { checked, isRefused } = newest(grant);
    return (
      !isRefused &&
      this.#isFor(grant, preview) &&
      checked.previewId === previewId &&
      checked.serial === serial &&
      checked.expiresAtMs > this.#options.clock.nowMs() &&
      !this.#options.known.isRevoked(checked.credentialId)
    );
  }

  /** Asks for a fresh grant once this one is half over; whoever holds it sees the fresh one as its `next`. */
  keepFresh(held: KnownGrant): void {
    const grant = newest(held);
    const { kind, expiresAtMs } = grant.checked;
    const leftMs = expiresAtMs - this.#options.clock.nowMs();
    if (kind === "link" || grant.renewing || leftMs > PREVIEW_GRANT_LIFETIME_MS / 2) return;
    grant.renewing = this.#renew(grant).finally(() => {
      grant.renewing = null;
    });
  }

  async #renew(grant: KnownGrant): Promise<void> {
    try {
      grant.next = await this.read(await this.#options.renewGrant(grant.text));
    } catch (error) {
      const { status } = error as { status?: unknown };
      grant.isRefused = typeof status === "number" && status >= 400 && status < 500;
      // Nobody answers: it holds until it is over, and is asked for again until then.
      const { clock, signal } = this.#options;
      if (!grant.isRefused) await clock.sleep(RENEW_AGAIN_MS, signal).catch(() => {});
    }
  }

  #checker(): PreviewCheck {
    const { ticketKeysPem } = this.#options.known.settings;
    if (ticketKeysPem !== this.#keysPem) {
      this.#keysPem = ticketKeysPem;
      this.#check = previewCheck(ticketKeysPem);
      this.#grants.clear(); // A key may have been taken away.
    }
    return this.#check;
  }
}

export function newest(grant: KnownGrant): KnownGrant {
  let last = grant;
  while (last.next) last = last.next;
  return last;
}

function forgetOldest(map: Map<string, unknown>, max: number): void {
  if (map.size <= max) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
