// The caller's mistake, as the store and the domain say it. The API turns the code, which is one of its
// catalogue (contract/errors.ts), into a status; the detail tells this time's facts.

export type RefusalCode =
  | "forbidden"
  | "revoked"
  | "suspended"
  | "invitation_invalid"
  | "preview_gone"
  | "not_found"
  | "name_taken"
  | "not_now"
  | "not_ready"
  | "in_use"
  | "quota_exceeded"
  | "budget_exceeded"
  | "generation_mismatch"
  | "idempotency_key_reused"
  | "invalid_cursor"
  | "login_denied"
  | "login_failed"
  | "join_token_invalid"
  | "node_unknown"
  | "resync_needed";

export class StoreRefusal extends Error {
  override readonly name = "StoreRefusal";
  readonly code: RefusalCode;
  readonly detail: string;
  constructor(code: RefusalCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
  }
}
