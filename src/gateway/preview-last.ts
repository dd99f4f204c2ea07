// The heads that one connection carried last. A browser sends the same lines with most of its requests, and an app with
// many of its answers: what they mean and what becomes of them is worked out once. Pure: the same text is the same head.

import type { PreviewDefences } from "./preview-defences.ts";
import {
  type AnswerHead,
  type RequestHead,
  type RequestLines,
  readAnswer,
  readRequest,
} from "./preview-head.ts";
import type { Place } from "./preview-name.ts";
import { type AnswerFor, answerForBrowser, linesForApp } from "./preview-rewrite.ts";

/** Longer ones are not kept: connections are many. */
const MAX_KEPT_CHARS = 4096;

export class LastHeads {
  readonly #defences: PreviewDefences;
  #lines: RequestLines | null = null;
  #forApp: { readonly lines: RequestLines; readonly place: Place; readonly text: string } | null =
    null;
  #answer: { readonly text: string; readonly method: string; readonly head: AnswerHead } | null =
    null;
  #forBrowser: {
    readonly head: AnswerHead;
    readonly isLast: boolean;
    readonly text: string;
  } | null = null;

  constructor(defences: PreviewDefences) {
    this.#defences = defences;
  }

  /** Throws BadHead. */
  request(text: string): RequestHead {
    const request = readRequest(text, this.#lines);
    this.#lines = text.length <= MAX_KEPT_CHARS ? request.lines : null;
    return request;
  }

  /** The whole head, as the app gets it. */
  forApp(request: RequestHead, place: Place, peer: string): string {
    const { method, lines } = request;
    const last = this.#forApp;
    const isSame =
      last?.lines === lines && last.place.scheme === place.scheme && !last.place.shared;
    const text =
      isSame && !place.shared ? last.text : linesForApp(request, place, peer, this.#defences);
    this.#forApp = this.#lines === lines ? { lines, place, text } : null;
    return `${method} ${place.target} HTTP/1.1\r\n${text}`;
  }

  /** Throws BadHead. */
  answer(text: string, method: string): AnswerHead {
    const last = this.#answer;
    if (last !== null && last.text === text && last.method === method) return last.head;
    const head = readAnswer(text, method);
    this.#answer = text.length <= MAX_KEPT_CHARS ? { text, method, head } : null;
    return head;
  }

  forBrowser(head: AnswerHead, how: AnswerFor): string {
    const isPlain = how.own.length === 0 && how.shared === null;
    const last = this.#forBrowser;
    if (isPlain && last?.head === head && last.isLast === how.isLast) return last.text;
    const text = answerForBrowser(head, how, this.#defences);
    this.#forBrowser =
      isPlain && this.#answer?.head === head ? { head, isLast: how.isLast, text } : null;
    return text;
  }

  /** Nothing of the kind follows. */
  forget(): void {
    this.#lines = null;
    this.#forApp = null;
    this.#answer = null;
    this.#forBrowser = null;
  }
}
