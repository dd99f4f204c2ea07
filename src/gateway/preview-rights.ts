// Who may enter a preview, and for how long: passes and links that were checked once, codes that are taken once.

import { randomBytes } from "node:crypto";
import type { FeedPreview } from "#contract/gateway-feed.ts";
import type { Clock } from "#lib/clock.ts";
import {
  type CheckedPass,
  PREVIEW_CODE_LIFETIME_MS,
  PREVIEW_PASS_LIFETIME_MS,
  type PreviewCheck,
  type PreviewCode,
  previewCheck,
} from "#trust/preview-tokens.ts";
import { stillHolds } from "./entry.ts";
import type { Known } from "./known.ts";

/** A pass or link that was checked, shared by every request that brings it. */
export interface KnownPass {
  readonly text: string;
  readonly checked: CheckedPass;
  /** What the control plane gave for it when it was half over. */
  next: KnownPass | null;
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
  readonly pass: KnownPass | null;
  /** Equal for requests that may share a connection to the app. */
  readonly key: string;
}

export interface RightsOptions {
  readonly known: Known;
  readonly clock: Clock;
  /** A pass that is half over for a fresh one; throws an error with `status` when it holds no more. */
  readonly renewPass: (pass: string) => Promise<string>;
  /** Aborts when the door closes. */
  readonly signal: AbortSignal;
}

const MAX_PASSES = 20_000;
const MAX_CODES = 20_000;
const MAX_PASS_CHARS = 4096;
const CLOCK_TOLERANCE_MS = 30_000;
const RENEW_AGAIN_MS = 15_000;

export class Rights {
  readonly #options: RightsOptions;
  readonly #passes = new Map<string, KnownPass>();
  readonly #byKey = new Map<string, KnownPass>();
  readonly #keys = new WeakMap<KnownPass, string>();
  readonly #takenCodes = new Map<string, number>();
  #keysPem: readonly string[] = [];
  #check: PreviewCheck = previewCheck([]);

  constructor(options: RightsOptions) {
    this.#options = options;
  }

  /** What a text opens, if it was checked before. */
  recall(text: string): KnownPass | null {
    return this.#passes.get(text) ?? null;
  }

  /** Null: it is no pass or link of ours, or it is over. */
  async read(text: string): Promise<KnownPass | null> {
    const known = this.#passes.get(text);
    if (known) return known;
    if (text.length > MAX_PASS_CHARS) return null;
    try {
      const checked = await this.#checker().pass(text, this.#options.clock.nowMs());
      return this.#remember(text, checked);
    } catch {
      return null;
    }
  }

  #remember(text: string, checked: CheckedPass): KnownPass {
    const pass: KnownPass = {
      text,
      checked,
      next: null,
      isRefused: false,
      renewing: null,
      right: null,
      isLetIn: null,
    };
    this.#passes.set(text, pass);
    forgetOldest(this.#passes, MAX_PASSES);
    return pass;
  }

  /** Reduced mode: what stands for the pass in an address, at this gateway and as long as it runs. */
  keyOf(pass: KnownPass): string {
    const known = this.#keys.get(pass);
    if (known !== undefined) return known;
    const key = randomBytes(16).toString("base64url");
    this.#keys.set(pass, key);
    this.#byKey.set(key, pass);
    forgetOldest(this.#byKey, MAX_PASSES);
    return key;
  }

  byKey(key: string): KnownPass | null {
    return this.#byKey.get(key) ?? null;
  }

  /** Null: it is no code of ours, or it is over. */
  async readCode(text: string): Promise<PreviewCode | null> {
    if (text.length > 2 * MAX_PASS_CHARS) return null;
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
  rightTo(preview: FeedPreview, pass: KnownPass | null): Right | null {
    const { previewId, serial } = preview;
    if (preview.visibility === "public")
      return { preview, pass: null, key: `${previewId} ${serial}` };
    if (!pass || !this.#opens(pass, preview)) return null;
    if (pass.right?.preview === preview) return pass.right;
    const { credentialId, userId } = pass.checked;
    pass.right = { preview, pass, key: `${previewId} ${serial} ${credentialId} ${userId}` };
    return pass.right;
  }

  /** Whether it holds still, after whatever changed. */
  isGood({ preview, pass }: Right): boolean {
    const now = this.#options.known.preview(preview.label);
    if (now === null || now === "gone" || now.previewId !== preview.previewId) return false;
    if (now.visibility === "public") return true;
    return pass !== null && this.#opens(pass, now);
  }

  /** A link is for whoever has it; a person must still be one that the preview is for. */
  #isFor(pass: KnownPass, { boxId, visibility }: FeedPreview): boolean {
    const { userId, expiresAtMs } = newest(pass).checked;
    if (userId === null) return true;
    const { known } = this.#options;
    const { orgId } = known.box(boxId) ?? {};
    pass.isLetIn ??= {
      org: stillHolds(expiresAtMs - PREVIEW_PASS_LIFETIME_MS, (now) =>
        now.isMember(orgId ?? "", userId),
      ),
      private: stillHolds(expiresAtMs - PREVIEW_PASS_LIFETIME_MS, (now) =>
        now.mayEnter(userId, boxId),
      ),
    };
    return pass.isLetIn[visibility === "org" ? "org" : "private"](known);
  }

  #opens(pass: KnownPass, preview: FeedPreview): boolean {
    const { previewId, serial } = preview;
    const { checked, isRefused } = newest(pass);
    return (
      !isRefused &&
      this.#isFor(pass, preview) &&
      checked.previewId === previewId &&
      checked.serial === serial &&
      checked.expiresAtMs > this.#options.clock.nowMs() &&
      !this.#options.known.isRevoked(checked.credentialId)
    );
  }

  /** Asks for a fresh pass once this one is half over; whoever holds it sees the fresh one as its `next`. */
  keepFresh(held: KnownPass): void {
    const pass = newest(held);
    const { kind, expiresAtMs } = pass.checked;
    const leftMs = expiresAtMs - this.#options.clock.nowMs();
    if (kind === "link" || pass.renewing || leftMs > PREVIEW_PASS_LIFETIME_MS / 2) return;
    pass.renewing = this.#renew(pass).finally(() => {
      pass.renewing = null;
    });
  }

  async #renew(pass: KnownPass): Promise<void> {
    try {
      pass.next = await this.read(await this.#options.renewPass(pass.text));
    } catch (error) {
      const { status } = error as { status?: unknown };
      pass.isRefused = typeof status === "number" && status >= 400 && status < 500;
      // Nobody answers: it holds until it is over, and is asked for again until then.
      const { clock, signal } = this.#options;
      if (!pass.isRefused) await clock.sleep(RENEW_AGAIN_MS, signal).catch(() => {});
    }
  }

  #checker(): PreviewCheck {
    const { ticketKeysPem } = this.#options.known.settings;
    if (ticketKeysPem !== this.#keysPem) {
      this.#keysPem = ticketKeysPem;
      this.#check = previewCheck(ticketKeysPem);
      this.#passes.clear(); // A key may have been taken away.
    }
    return this.#check;
  }
}

export function newest(pass: KnownPass): KnownPass {
  let last = pass;
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
