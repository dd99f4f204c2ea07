// An app's answer as it arrives: interim heads, the head, the body. Pure.

import { type BodyReader, bodyReader } from "./preview-body.ts";
import { type AnswerHead, BadHead, headEnd } from "./preview-head.ts";
import type { LastHeads } from "./preview-last.ts";

export interface AnswerStep {
  /** Heads that came now, the interim ones (1xx) first. */
  readonly heads: readonly AnswerHead[];
  /** Of the body. */
  readonly pass: readonly Buffer[];
  /** What came after the answer's end; null: it goes on. */
  readonly rest: Buffer | null;
}

const NO_BYTES: readonly Buffer[] = [];
const NO_HEADS: readonly AnswerHead[] = [];
/** An app that says "wait" for ever. */
const MAX_INTERIM = 32;

export class AnswerReader {
  readonly #heads: Pick<LastHeads, "answer">;
  readonly #method: string;
  readonly #isUpgrade: boolean;
  #held: Buffer | null = null;
  #body: BodyReader | null = null;
  #interim = 0;
  #isLast = false;

  constructor(heads: Pick<LastHeads, "answer">, method: string, isUpgrade: boolean) {
    this.#heads = heads;
    this.#method = method;
    this.#isUpgrade = isUpgrade;
  }

  /** The app has said something. */
  get hasBytes(): boolean {
    return this.#held !== null || this.#interim > 0 || this.#body !== null;
  }

  /** Another request may follow on the app's connection. */
  get isReusable(): boolean {
    return this.#body !== null && !this.#isLast;
  }

  /** Throws BadHead. After a 101 all that follows is `rest`. */
  take(bytes: Buffer): AnswerStep {
    if (this.#body) {
      const { pass, rest } = this.#body.take(bytes);
      return { heads: NO_HEADS, pass, rest };
    }
    let left = this.#held ? Buffer.concat([this.#held, bytes]) : bytes;
    const heads: AnswerHead[] = [];
    for (;;) {
      const end = headEnd(left);
      if (end < 0) {
        this.#held = left;
        return { heads, pass: NO_BYTES, rest: null };
      }
      const head = this.#heads.answer(left.toString("latin1", 0, end), this.#method);
      left = left.subarray(end);
      heads.push(head);
      if (head.status === 101) {
        if (!this.#isUpgrade) throw new BadHead(502, "nobody asked for an upgrade");
        return { heads, pass: NO_BYTES, rest: left };
      }
      if (head.status >= 200) {
        this.#body = bodyReader(head.framing);
        this.#isLast = head.isLast;
        const { pass, rest } = this.#body.take(left);
        return { heads, pass, rest };
      }
      this.#interim += 1;
      if (this.#interim > MAX_INTERIM) throw new BadHead(502, "there are too many interim answers");
    }
  }

  /** The connection ended well. What must be passed on when that ended the answer too, or null: it was cut. */
  end(): Buffer | null {
    return this.#body?.end() ?? null;
  }
}
