// Turns whatever was thrown into one problem of the catalogue. Nothing of an unexpected error reaches
// the client except the request id; the log has the rest.

import { ERRORS, type ErrorCode, type FieldError, Problem } from "#contract/errors.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { fieldErrorsOf } from "./fields.ts";

export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  retryable: boolean;
  requestId: string;
  errors?: readonly FieldError[];
}

const RETRY_AFTER_S = 1;

/** What Fastify refuses before a handler runs, by its own codes. */
const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "body_too_large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported_media_type",
  FST_ERR_CTP_INVALID_JSON_BODY: "invalid_json",
  FST_ERR_CTP_EMPTY_JSON_BODY: "invalid_json",
};

export function toProblem(
  error: unknown,
  isUnavailable: (error: unknown) => boolean,
  schemas: Parameters<typeof fieldErrorsOf>[1] = {},
): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StoreRefusal) return new Problem(error.code, error.detail, { cause: error });
  const fields = fieldErrorsOf(error, schemas);
  if (fields)
    return new Problem("invalid_request", fields.map((f) => `${f.path}: ${f.message}`).join("; "), {
      fields,
    });
  if (isUnavailable(error))
    return new Problem("unavailable", "The database does not answer.", { cause: error });
  const { code, statusCode, message } = error as {
    code?: string;
    statusCode?: number;
    message?: string;
  };
  const known = FASTIFY_CODES[code ?? ""];
  if (known) return new Problem(known, message ?? ERRORS[known].title, { cause: error });
  if (error instanceof SyntaxError && statusCode === 400)
    return new Problem("invalid_json", error.message, { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new Problem("invalid_request", message ?? "The request is malformed.", { cause: error });
  return new Problem("internal", "Something went wrong on our side.", { cause: error });
}

export function problemBody(problem: Problem, requestId: string): ProblemBody {
  const { status, title, retryable, next } = ERRORS[problem.code];
  return {
    type: `urn:berth:error:${problem.code}`,
    title,
    status,
    code: problem.code,
    detail: `${sentence(problem.message)} ${next}`,
    retryable,
    requestId,
    ...(problem.fields.length > 0 ? { errors: problem.fields } : {}),
  };
}

export function problemHeaders(problem: Problem): Record<string, string> {
  return {
    "content-type": "application/problem+json; charset=utf-8",
    ...(ERRORS[problem.code].retryable
      ? { "retry-after": String(problem.retryAfterS ?? RETRY_AFTER_S) }
      : {}),
    ...(ERRORS[problem.code].status === 401 ? { "www-authenticate": "Bearer" } : {}),
  };
}

function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}
