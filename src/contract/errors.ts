// Every error that the API can answer with: what it means, which status it has, whether trying the
// same thing again can help, and what to do next. A code never changes its meaning. gen/errors.md is
// printed from here, and test/proof/errors.test.ts holds each entry to a place that throws it.

import { z } from "zod";

interface ErrorEntry {
  readonly status: number;
  readonly title: string;
  /** True when the same request may succeed later without a change. */
  readonly retryable: boolean;
  /** The next step for whoever reads the message. */
  readonly next: string;
}

export const ERRORS = {
  invalid_request: {
    status: 400,
    title: "The request is not valid",
    retryable: false,
    next: "Correct the fields listed in `errors` and send it again.",
  },
  invalid_json: {
    status: 400,
    title: "The body is not JSON",
    retryable: false,
    next: "Send one JSON object with Content-Type: application/json.",
  },
  invalid_cursor: {
    status: 400,
    title: "The cursor is not one of ours",
    retryable: false,
    next: "Start again without a cursor; cursors are opaque and belong to one list.",
  },
  unauthenticated: {
    status: 401,
    title: "No valid token",
    retryable: false,
    next: "Send `Authorization: Bearer TOKEN`; `berth up` prints where the token is kept.",
  },
  forbidden: {
    status: 403,
    title: "Not allowed",
    retryable: false,
    next: "Ask an administrator of your organization for the permission named in the detail.",
  },
  cross_site: {
    status: 403,
    title: "A page of another site has sent this",
    retryable: false,
    next: "Use the dashboard at its own address (BERTH_DASHBOARD_URL); programs send a token, not the cookie.",
  },
  not_found: {
    status: 404,
    title: "Not found",
    retryable: false,
    next: "Check the id or name; list the resources to see what you can reach.",
  },
  route_not_found: {
    status: 404,
    title: "No such operation",
    retryable: false,
    next: "See /v1/openapi.json for every operation.",
  },
  name_taken: {
    status: 409,
    title: "The name is in use",
    retryable: false,
    next: "Choose another name, or delete what holds it.",
  },
  not_now: {
    status: 409,
    title: "Not possible in this state",
    retryable: false,
    next: "Read the detail: it names the state that is needed and how to get there.",
  },
  not_ready: {
    status: 409,
    title: "Not ready yet",
    retryable: true,
    next: "Wait until what the detail names is ready, then send the request again.",
  },
  in_use: {
    status: 409,
    title: "Still in use",
    retryable: false,
    next: "Remove what the detail names first.",
  },
  budget_exceeded: {
    status: 409,
    title: "A budget is spent",
    retryable: false,
    next: "Ask whoever manages the budget named in the detail to raise it, or wait for the next month.",
  },
  quota_exceeded: {
    status: 409,
    title: "A limit is reached",
    retryable: false,
    next: "Make room, or ask whoever manages quotas for a higher limit; `berth quota` shows what is used.",
  },
  preview_gone: {
    status: 410,
    title: "The preview is not at this address any more",
    retryable: false,
    next: "Ask for its new address: GET /v1/previews lists those that are open.",
  },
  generation_mismatch: {
    status: 412,
    title: "The resource has changed",
    retryable: false,
    next: "Read it again, decide again, and send its new ETag in If-Match.",
  },
  body_too_large: {
    status: 413,
    title: "The body is too large",
    retryable: false,
    next: "Send a smaller body; the detail names the limit.",
  },
  unsupported_media_type: {
    status: 415,
    title: "Unsupported content type",
    retryable: false,
    next: "Send the body with Content-Type: application/json.",
  },
  unknown_host: {
    status: 421,
    title: "Not a host name of this server",
    retryable: false,
    next: "Use the server's own address, or set BERTH_DASHBOARD_URL to the one that you use.",
  },
  idempotency_key_reused: {
    status: 422,
    title: "The Idempotency-Key was used for another request",
    retryable: false,
    next: "Use a new key for a new request; repeat a key only with the same body.",
  },
  rate_limited: {
    status: 429,
    title: "Too many requests",
    retryable: true,
    next: "Wait for the seconds that Retry-After says, then send it again.",
  },
  internal: {
    status: 500,
    title: "A fault in Berth",
    retryable: false,
    next: "Look for the requestId in the server's log and report it.",
  },
  unavailable: {
    status: 503,
    title: "Not available for a moment",
    retryable: true,
    next: "Send the request again after Retry-After seconds; running boxes are not affected.",
  },
  audit_unavailable: {
    status: 503,
    title: "The audit trail cannot be written",
    retryable: true,
    next: "Send the request again; if it goes on, the operator must look at the table audit_entries.",
  },
  ticket_invalid: {
    status: 401,
    title: "The ticket is not valid",
    retryable: false,
    next: "Get a ticket from POST /v1/boxes/BOX/tickets and send it as `Authorization: Bearer TICKET`.",
  },
  ticket_expired: {
    status: 401,
    title: "The ticket has expired",
    retryable: false,
    next: "Get a new ticket; one lasts minutes, and an open stream outlives it.",
  },
  revoked: {
    status: 403,
    title: "What let you in was taken back",
    retryable: false,
    next: "Log in again, or use another key, token or link.",
  },
  suspended: {
    status: 403,
    title: "Your identity provider does not let you in any more",
    retryable: false,
    next: "Log in again by it (`berth login`, or in the browser): with its yes, tokens and keys work again.",
  },
  invitation_invalid: {
    status: 410,
    title: "The invitation does not hold any more",
    retryable: false,
    next: "Ask whoever invited you for a new one.",
  },
  box_not_here: {
    status: 404,
    title: "The box does not run here",
    retryable: false,
    next: "Start or resume the box; when it runs, get a new ticket.",
  },
  box_moved: {
    status: 409,
    title: "The box runs as another placement now",
    retryable: false,
    next: "Get a new ticket: it names the current placement.",
  },
  too_many_streams: {
    status: 429,
    title: "Too many open streams",
    retryable: true,
    next: "Close streams that you do not need, then try again.",
  },
  port_closed: {
    status: 502,
    title: "Nothing answers at that port of the box",
    retryable: true,
    next: "Start the program that listens there, inside the box.",
  },
  node_away: {
    status: 503,
    title: "The box's node is not connected",
    retryable: true,
    next: "Try again in a moment; the box itself may well be running.",
  },
  login_failed: {
    status: 401,
    title: "The login did not succeed",
    retryable: false,
    next: "Start the login again from the beginning; nothing of this one can be used any more.",
  },
  login_denied: {
    status: 403,
    title: "You may not log in here",
    retryable: false,
    next: "Ask an administrator of your organization to let you in.",
  },
  provider_unavailable: {
    status: 503,
    title: "The identity provider does not answer",
    retryable: true,
    next: "Try again in a moment; when it lasts, tell whoever runs the provider that the detail names.",
  },
  join_token_invalid: {
    status: 401,
    title: "The join token is not valid",
    retryable: false,
    next: "Join tokens work once and expire: make a new one with `berth node token`.",
  },
  node_unknown: {
    status: 403,
    title: "Not a node of this control plane",
    retryable: false,
    next: "Join the node again with a new join token.",
  },
  resync_needed: {
    status: 409,
    title: "The report builds on one that is not known here",
    retryable: true,
    next: "Send a full report (the agent does so by itself).",
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;
export const ERROR_CODES = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

export interface FieldError {
  /** Where in the request: `body.size.cpus`, `query.limit`, `path.box`. */
  readonly path: string;
  readonly message: string;
}

/** Thrown anywhere below the API to answer with a problem of the catalogue. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ErrorCode;
  readonly fields: readonly FieldError[];
  /** When trying again can help; null: soon. */
  readonly retryAfterS: number | null;
  constructor(
    code: ErrorCode,
    detail: string,
    options: { cause?: unknown; fields?: readonly FieldError[]; retryAfterS?: number } = {},
  ) {
    super(detail, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.fields = options.fields ?? [];
    this.retryAfterS = options.retryAfterS ?? null;
  }
}

export const problemSchema = z
  .object({
    type: z.string().describe("A stable address of the error's documentation."),
    title: z.string(),
    status: z.number().int(),
    code: z.enum(ERROR_CODES),
    detail: z.string().describe("What happened this time, and what to do next."),
    retryable: z.boolean().describe("True when the same request may succeed later unchanged."),
    requestId: z.string().describe("Names this request in the server's log."),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe("The fields that are not valid."),
  })
  .meta({ id: "Problem", description: "An error (RFC 9457 problem+json)." });
