// Every failure of a call as one error with a code to branch on.

import type { components } from "#gen/api-types.ts";

type Problem = components["schemas"]["Problem"];
/** `unreachable`: no answer came; `malformed`: what answered is not Berth. */
export type ApiErrorCode = Problem["code"] | "unreachable" | "malformed";

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ApiErrorCode;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** What happened and what to do next, in sentences. */
  readonly detail: string;
  readonly retryable: boolean;
  readonly requestId: string | null;
  readonly fields: readonly { readonly path: string; readonly message: string }[];
  constructor(
    problem: Omit<Problem, "type" | "title" | "code" | "requestId"> & {
      readonly code: ApiErrorCode;
      readonly requestId: string | null;
    },
    cause?: unknown,
  ) {
    super(problem.detail, cause === undefined ? undefined : { cause });
    this.code = problem.code;
    this.status = problem.status;
    this.detail = problem.detail;
    this.retryable = problem.retryable;
    this.requestId = problem.requestId;
    this.fields = problem.errors ?? [];
  }
}

export async function errorOfResponse(response: Response, url: string): Promise<ApiError> {
  const problem = asProblem(await response.json().catch(() => null));
  if (problem) return new ApiError(problem);
  return new ApiError({
    code: "malformed",
    status: response.status,
    detail: `${new URL(url).origin} answered ${response.status}, but not as Berth does. Check the address.`,
    retryable: response.status >= 502 && response.status <= 504,
    requestId: response.headers.get("x-request-id"),
  });
}

export function unreachable(url: string, cause: unknown): ApiError {
  return new ApiError(
    {
      code: "unreachable",
      status: 0,
      detail: `Berth does not answer at ${new URL(url).origin} (${reasonOf(cause)}). Is it running? \`berth status\` tells.`,
      retryable: true,
      requestId: null,
    },
    cause,
  );
}

function asProblem(body: unknown): Problem | null {
  const problem = body as Partial<Problem> | null;
  return typeof problem?.code === "string" && typeof problem.detail === "string"
    ? (problem as Problem)
    : null;
}

/** fetch says only "fetch failed"; what failed is in its cause. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as {
    cause?: { code?: string; message?: string };
    message?: string;
  };
  return cause?.code ?? cause?.message ?? message ?? String(error);
}
