// One HTTP call with its retries. A read is tried again when trying again can help; a mutation only under an
// Idempotency-Key, which every attempt repeats, so that it has its effect once. What was refused for its rate had none,
// so anything is sent again, when the server says, or not at all when that is too far.

import { type ApiError, errorOfResponse, unreachable } from "./api-error.ts";

export interface TransportOptions {
  readonly fetch: (request: Request) => Promise<Response>;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Tries after the first one. */
  readonly retries: number;
}

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;
/** A limit of requests is for a minute. */
const MAX_RETRY_AFTER_S = 60;
const IDEMPOTENCY_KEY = "idempotency-key";

/** Gives back only answers that are successes; throws ApiError, or the signal's reason when it aborts. */
export async function send(request: Request, options: TransportOptions): Promise<Response> {
  const isRepeatable = request.method === "GET" || request.headers.has(IDEMPOTENCY_KEY);
  for (let attempt = 0; ; attempt++) {
    const isLast = attempt >= options.retries;
    const outcome = await sendOnce(isLast ? request : request.clone(), options);
    if (outcome.response) return outcome.response;
    const { error, retryAfterMs } = outcome;
    const mayRepeat = isRepeatable || error.code === "rate_limited";
    if (isLast || !mayRepeat || !error.retryable || !isTransient(error)) throw error;
    if (retryAfterMs > MAX_RETRY_AFTER_S * 1000) throw error;
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
    await options.sleep(Math.max(pauseMs, retryAfterMs), request.signal);
  }
}

type Outcome =
  | { readonly response: Response }
  | { readonly response: null; readonly error: ApiError; readonly retryAfterMs: number };

async function sendOnce(request: Request, options: TransportOptions): Promise<Outcome> {
  let response: Response;
  try {
    response = await options.fetch(request);
  } catch (cause) {
    if (request.signal.aborted) throw request.signal.reason;
    return { response: null, error: unreachable(request.url, cause), retryAfterMs: 0 };
  }
  if (response.ok) return { response };
  const retryAfterS = Number(response.headers.get("retry-after") ?? 0);
  return {
    response: null,
    error: await errorOfResponse(response, request.url),
    retryAfterMs: Number.isFinite(retryAfterS) ? Math.max(0, retryAfterS) * 1000 : 0,
  };
}

/** A conflict may resolve itself too, but only the caller knows whether to wait for that. */
function isTransient(error: ApiError): boolean {
  return error.status === 0 || error.status >= 500 || error.status === 429;
}
