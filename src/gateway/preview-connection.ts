// One browser's connection to previews. Requests are served one after the other: read strictly, decided, written anew;
// bodies pass as they come, as fast as the slower side takes them. The connection to the app is nobody else's.

import type { Socket } from "node:net";
import type { Problem } from "#contract/errors.ts";
import { breakOff } from "#lib/splice.ts";
import { AnswerReader } from "./preview-answer.ts";
import { type BodyReader, bodyReader } from "./preview-body.ts";
import type { BoxStream } from "./preview-box.ts";
import type { PreviewContext, Seat } from "./preview-context.ts";
import { type Decision, mayWake } from "./preview-entry.ts";
import { BadHead, hasBody, headEnd, isRepeatable, type RequestHead } from "./preview-head.ts";
import { LastHeads } from "./preview-last.ts";
import type { Place } from "./preview-name.ts";
import { type OwnAnswer, print } from "./preview-pages.ts";
import {
  pageForBadAnswer,
  pageForBadRequest,
  pageForCutAnswer,
  pageForProblem,
} from "./preview-problems.ts";
import type { Right } from "./preview-rights.ts";

/**
 * - `head`: a request is awaited
 * - `deciding`: it is here; who asks is checked, or the box is on its way
 * - `body`: it goes to the app
 * - `answer`: it has gone; the app's answer is awaited, or comes
 * - `raw`: bytes both ways, for good
 */
type Phase = "head" | "deciding" | "body" | "answer" | "raw" | "closed";

/** One request and its answer. */
interface Exchange {
  readonly request: RequestHead;
  readonly place: Place;
  readonly right: Right;
  /** As the app gets it. */
  readonly head: string;
  readonly body: BodyReader;
  /** A box at rest is run for it. */
  readonly mayWake: boolean;
  answer: AnswerReader;
  isBodyOver: boolean;
  isAnswerBegun: boolean;
}

interface App extends BoxStream {
  readonly key: string;
  /** When it had last answered; null: it never has. */
  idleSinceMs: number | null;
}

/** What a client may send ahead while its request waits. */
const MAX_AHEAD_BYTES = 64 * 1024;
/** Bodies up to this go out with their head in one write. */
const JOIN_BYTES = 16 * 1024;
/** Worth a write of its own, without waiting for more. */
const BIG_BYTES = 32 * 1024;
/** The app is held back when the browser has more than this to take. */
const MAX_UNSENT_BYTES = 256 * 1024;
/** With a request that could not be sent twice. */
const MAX_IDLE_MS = 1000;
/** Time to read the last answer. */
const LINGER_MS = 2000;

export class PreviewConnection {
  readonly #socket: Socket;
  readonly #context: PreviewContext;
  readonly #seat: Seat;
  readonly #gone = new AbortController();
  readonly #heads: LastHeads;
  #phase: Phase = "head";
  #held: Buffer | null = null;
  #exchange: Exchange | null = null;
  #app: App | null = null;
  #right: Right | null = null;
  /** When something last came from either side. */
  #activeMs: number;
  /** When the head that is awaited began to come, or the wait for it. */
  #headSinceMs: number;
  #isFirst = true;
  #isReading = false;

  constructor(socket: Socket, context: PreviewContext, seat: Seat) {
    this.#socket = socket;
    this.#context = context;
    this.#seat = seat;
    this.#heads = new LastHeads(context.defences);
    this.#activeMs = context.tickMs;
    this.#headSinceMs = context.tickMs;
    context.connections.add(this);
    socket.on("data", this.#onData);
    socket.on("drain", this.#onDrain);
    socket.on("end", this.#onEnd);
    socket.on("error", ignore); // A close follows.
    socket.on("close", this.#onClose);
  }

  readonly #onData = (bytes: Buffer) => {
    this.#activeMs = this.#context.tickMs;
    if (this.#phase === "raw") this.#writeApp(bytes);
    else if (this.#phase === "body") this.#sendBody(bytes);
    else if (this.#phase !== "closed") {
      if (this.#phase === "head" && !this.#held) this.#headSinceMs = this.#context.tickMs;
      this.#held = this.#held ? Buffer.concat([this.#held, bytes]) : bytes;
      if (this.#phase === "head") this.#readHead();
      else if (this.#held.length > MAX_AHEAD_BYTES) this.#socket.pause();
    }
  };

  readonly #onDrain = () => {
    this.#app?.box.resume();
    if (this.#phase !== "head" || !this.#socket.isPaused()) return;
    this.#headSinceMs = this.#context.tickMs;
    this.#socket.resume();
    this.#readHead();
  };

  readonly #onEnd = () => {
    // Whoever ends its side before it is answered is taken to be gone, as other proxies do.
    if (this.#phase === "raw") this.#app?.box.end();
    else this.#socket.destroy();
  };

  readonly #onClose = () => {
    this.#phase = "closed";
    this.#gone.abort();
    this.#dropApp();
    this.#context.connections.delete(this);
  };

  /** Each is begun when the one before is over, also of many that are answered at once. */
  #readHead() {
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#phase === "head" && this.#held && this.#held.length > 0) {
      // Whoever does not take the answers gets no more of them.
      if (this.#socket.writableLength > MAX_UNSENT_BYTES) {
        this.#socket.pause();
        break;
      }
      if (!this.#readOne(this.#held)) break;
    }
    this.#isReading = false;
  }

  /** False: it is not whole yet, or not for here. */
  #readOne(held: Buffer): boolean {
    try {
      const end = headEnd(held);
      if (end < 0) return false;
      const request = this.#heads.request(held.toString("latin1", 0, end));
      const place = this.#context.placeOf(request);
      if (!place) {
        this.#handOver();
        return false;
      }
      this.#held = end < held.length ? held.subarray(end) : null;
      this.#isFirst = false;
      this.#begin(request, place);
    } catch (error) {
      if (!(error instanceof BadHead)) throw error;
      if (this.#isFirst && !this.#context.mentionsPreview(held)) this.#handOver();
      else this.#answerAndClose(pageForBadRequest(error), null);
    }
    return true;
  }

  /** It is not for a preview: the door beside takes the connection as it came. */
  #handOver() {
    this.#phase = "closed";
    this.#dropApp();
    const socket = this.#socket;
    socket.off("data", this.#onData).off("drain", this.#onDrain).off("end", this.#onEnd);
    socket.off("error", ignore).off("close", this.#onClose);
    this.#context.connections.delete(this);
    socket.pause();
    if (this.#held) socket.unshift(this.#held);
    this.#seat.onOther(socket);
    socket.resume();
  }

  #begin(request: RequestHead, place: Place) {
    this.#phase = "deciding";
    const decided = this.#context.entry.decide(request, place);
    if (decided instanceof Promise)
      decided.then(
        (decision) => this.#act(decision, request, place),
        (error: unknown) => this.#fail(error),
      );
    else this.#act(decided, request, place);
  }

  #act(decision: Decision, request: RequestHead, place: Place) {
    if (this.#phase !== "deciding") return;
    if (decision.kind === "answer") return this.#answerItself(decision.answer, request);
    const { right } = decision;
    this.#right = right;
    if (right.pass) this.#seat.lobby.leave(this.#socket);
    this.#exchange = {
      request,
      place,
      right,
      head: this.#heads.forApp(request, place, this.#socket.remoteAddress ?? "unknown"),
      body: bodyReader(request.framing),
      mayWake: !this.#context.defences.pausesHold || mayWake(request),
      answer: new AnswerReader(this.#heads, request.method, request.isWebSocket),
      isBodyOver: !hasBody(request),
      isAnswerBegun: false,
    };
    if (this.#mayReuse(this.#exchange)) this.#send(this.#exchange);
    else this.#enter(this.#exchange);
  }

  /**
   * Apps close what is idle after seconds. What meets that closing is asked again when it can be, and takes no
   * connection that has been idle when it cannot.
   */
  #mayReuse({ right, request }: Exchange): boolean {
    if (this.#app?.key !== right.key) return false;
    const idleMs = this.#context.tickMs - (this.#app.idleSinceMs ?? 0);
    return isRepeatable(request) || idleMs <= MAX_IDLE_MS;
  }

  /** A connection to the app of its own. */
  #enter(exchange: Exchange) {
    this.#dropApp();
    this.#phase = "deciding";
    this.#context.enterBox(exchange, this.#gone.signal, this.#socket).then(
      (stream) => {
        if (this.#phase === "closed") return breakOff(stream.box);
        this.#listen({ ...stream, key: exchange.right.key, idleSinceMs: null });
        this.#send(exchange);
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #listen(app: App) {
    this.#app = app;
    const { box } = app;
    const isMine = () => this.#app === app;
    box.on("data", (bytes: Buffer) => isMine() && this.#onAnswer(bytes));
    box.on("drain", () => isMine() && this.#socket.resume());
    box.on("error", ignore);
    box.on("end", () => isMine() && this.#onAppEnd());
    box.on("close", () => isMine() && this.#onAppClose());
    if (this.#socket.writableNeedDrain) box.pause();
  }

  #send(exchange: Exchange) {
    this.#writeApp(exchange.head);
    if (exchange.isBodyOver) {
      this.#phase = "answer";
      return;
    }
    this.#phase = "body";
    const held = this.#held;
    this.#held = null;
    if (held) this.#sendBody(held);
    this.#socket.resume();
  }

  #sendBody(bytes: Buffer) {
    const { body } = this.#exchange as Exchange;
    let step: ReturnType<BodyReader["take"]>;
    try {
      step = body.take(bytes);
    } catch (error) {
      return this.#fail(error);
    }
    for (const part of step.pass) this.#writeApp(part);
    if (step.rest === null) return;
    (this.#exchange as Exchange).isBodyOver = true;
    this.#phase = "answer";
    if (step.rest.length > 0) this.#held = step.rest;
  }

  /** Text is latin1. */
  #writeApp(bytes: Buffer | string) {
    if (this.#app && !this.#app.box.write(bytes, "latin1")) this.#socket.pause();
  }

  /** Parts that come at once go out at once: a link brings a body in frames of 16 KiB. Text is latin1. */
  #writeBrowser(bytes: Buffer | string, isWhole = false) {
    if (!isWhole && bytes.length < BIG_BYTES && !this.#socket.writableCorked) {
      this.#socket.cork();
      setImmediate(this.#uncork);
    }
    const isRoomLeft = this.#socket.write(bytes, "latin1");
    if (!isRoomLeft && this.#socket.writableLength > MAX_UNSENT_BYTES) this.#app?.box.pause();
  }

  readonly #uncork = () => this.#socket.uncork();

  #onAnswer(bytes: Buffer) {
    this.#activeMs = this.#context.tickMs;
    if (this.#phase === "raw") return this.#writeBrowser(bytes);
    const exchange = this.#exchange;
    if (!exchange) return this.#dropApp(); // It speaks without being asked.
    try {
      this.#passAnswer(exchange, bytes);
    } catch (error) {
      this.#dropApp();
      if (exchange.isAnswerBegun || !(error instanceof BadHead)) this.#socket.destroy();
      else this.#answerAndClose(pageForBadAnswer(error), exchange.request);
    }
  }

  #passAnswer(exchange: Exchange, bytes: Buffer) {
    const { request, right, place } = exchange;
    const { heads, pass, rest } = exchange.answer.take(bytes);
    let text = "";
    for (const head of heads) {
      const isFinal = head.status >= 200 || head.status === 101;
      const own = isFinal ? this.#context.entry.renewal(right, place) : [];
      const isLast = isFinal && (request.isLast || (request.isWebSocket && head.status !== 101));
      const { method } = request;
      text += this.#heads.forBrowser(head, { method, isLast, own, shared: place.shared });
      exchange.isAnswerBegun ||= isFinal;
      if (head.status === 101) return this.#goRaw(text, rest);
    }
    this.#writeAll(text, pass, rest !== null);
    if (rest) this.#finish(exchange, rest.length === 0);
  }

  /** `isWhole`: nothing of the answer follows. */
  #writeAll(head: string, parts: readonly Buffer[], isWhole: boolean) {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (head !== "" && bytes <= JOIN_BYTES) {
      let text = head;
      for (const part of parts) text += part.toString("latin1");
      return this.#writeBrowser(text, isWhole);
    }
    if (head !== "") this.#writeBrowser(head);
    for (const part of parts) this.#writeBrowser(part);
  }

  #goRaw(head: string, rest: Buffer | null) {
    this.#phase = "raw";
    this.#exchange = null;
    this.#heads.forget();
    this.#writeAll(head, rest ? [rest] : [], true);
    const held = this.#held;
    this.#held = null;
    if (held) this.#writeApp(held);
    this.#socket.resume();
  }

  /** The answer is whole. `isClean`: the app said nothing beyond it. */
  #finish(exchange: Exchange, isClean: boolean) {
    const { request, isBodyOver } = exchange;
    this.#exchange = null;
    if (!isBodyOver || request.isLast || request.isWebSocket) {
      this.#dropApp();
      return this.#end();
    }
    if (!isClean || !exchange.answer.isReusable) this.#dropApp();
    else if (this.#app) this.#app.idleSinceMs = this.#context.tickMs;
    this.#await(this.#right);
  }

  /** The next request, which may be here already. */
  #await(right: Right | null) {
    this.#phase = "head";
    this.#headSinceMs = this.#context.tickMs;
    if (!right?.pass) this.#seat.lobby.enter(this.#socket);
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#readHead();
  }

  #onAppEnd() {
    const exchange = this.#exchange;
    if (this.#phase === "raw") return void this.#socket.end();
    if (!exchange) return this.#dropApp();
    const last = exchange.answer.end();
    if (last === null) return this.#onAppClose();
    if (last.length > 0) this.#writeBrowser(last);
    this.#dropApp();
    this.#finish(exchange, true);
  }

  #onAppClose() {
    const app = this.#app;
    const exchange = this.#exchange;
    this.#app = null;
    const why = app?.whyBroken();
    if (app) breakOff(app.box);
    if (this.#phase === "raw") return this.#socket.destroySoon();
    if (!exchange) return;
    if (exchange.isAnswerBegun || why?.code === "revoked") this.#socket.destroy();
    else if (app?.idleSinceMs && !exchange.answer.hasBytes && isRepeatable(exchange.request))
      this.#enter(exchange); // It closed what was idle as the request came: as if it had not been kept.
    else if (why) this.#answerAndClose(pageForCutAnswer(why, exchange), exchange.request);
  }

  #fail(error: unknown) {
    if (this.#phase === "closed") return;
    const { log } = this.#context;
    const exchange = this.#exchange;
    if (error instanceof BadHead)
      return this.#answerAndClose(pageForBadRequest(error), exchange?.request ?? null);
    const isProblem = (error as Error).name === "Problem";
    if (!isProblem) log.error({ err: error }, "a request to a preview failed");
    if (isProblem && exchange)
      return this.#answerItself(pageForProblem(error as Problem, exchange), exchange.request);
    this.#socket.destroy();
  }

  /** In the app's place. */
  #answerItself(answer: OwnAnswer, request: RequestHead) {
    if (request.isLast || hasBody(request) || request.isWebSocket)
      return this.#answerAndClose(answer, request);
    this.#exchange = null;
    this.#print(answer, request, false);
    this.#await(null);
  }

  #answerAndClose(answer: OwnAnswer, request: RequestHead | null) {
    this.#exchange = null;
    this.#dropApp();
    this.#print(answer, request, true);
    this.#end();
  }

  #print(answer: OwnAnswer, request: RequestHead | null, isLast: boolean) {
    const accept = request?.fields.find(({ name }) => name === "accept")?.value ?? "";
    const style = {
      isHead: request?.method === "HEAD",
      wantsHtml: accept.includes("text/html"),
      isLast,
    };
    this.#socket.write(print(answer, style, this.#context.defences), "latin1");
  }

  /** Nothing more is read; what was written still goes out. */
  #end() {
    this.#phase = "closed";
    this.#held = null;
    this.#socket.resume();
    this.#socket.end(() =>
      this.#context.clock
        .sleep(LINGER_MS, this.#gone.signal)
        .then(() => this.#socket.destroy(), ignore),
    );
  }

  #dropApp() {
    const app = this.#app;
    this.#app = null;
    if (app) breakOff(app.box);
  }

  /** Called at intervals, and when what is known has changed. */
  review(nowMs: number): void {
    const { limits, rights, defences } = this.#context;
    if (this.#phase === "head" && nowMs - this.#headSinceMs > this.#headLimitMs())
      this.#socket.destroy();
    const isStuck = this.#phase === "body" && !this.#socket.isPaused();
    if (isStuck && nowMs - this.#activeMs > limits.bodyTimeoutMs) this.#socket.destroy();
    const right = this.#right;
    if (!right) return;
    if (right.pass && this.#phase !== "head") rights.keepFresh(right.pass);
    if (!defences.endings || rights.isGood(right)) return;
    this.#right = null;
    if (this.#phase === "head") this.#dropApp();
    else this.#socket.destroy();
  }

  #headLimitMs(): number {
    const { limits } = this.#context;
    return this.#isFirst || this.#held ? limits.requestTimeoutMs : limits.keepAliveMs;
  }
}

function ignore(): void {}
