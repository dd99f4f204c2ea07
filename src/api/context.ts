// What the handlers work with; server.ts puts it together from what main gives.

import type { SignedAuditMark } from "#domain/audit.ts";
import type { IdentityContext } from "#identity/context.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import type { Metrics } from "#lib/metrics.ts";
import type { Database } from "#store/db.ts";
import type { AuditKey } from "#trust/audit-key.ts";
import type { PreviewSigner } from "#trust/preview-tokens.ts";
import type { SshAuthority } from "#trust/ssh-certificates.ts";
import type { TicketSigner } from "#trust/tickets.ts";
import type { EventHub } from "./event-hub.ts";
import type { PricesOf } from "./price-cache.ts";

export interface ApiContext {
  readonly db: Database;
  readonly hub: EventHub;
  /** What holds for an organization now. */
  readonly pricesOf: PricesOf;
  /** How people log in by a provider. */
  readonly identity: IdentityContext;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly version: string;
  readonly signTicket: TicketSigner;
  readonly sshUserAuthority: SshAuthority;
  readonly sshHostAuthority: SshAuthority;
  readonly signPreview: PreviewSigner;
  readonly audit: {
    readonly key: AuditKey;
    /** The newest head of a chain in the object store; null: none yet. */
    readonly exportedHead: (chain: string) => Promise<SignedAuditMark | null>;
  };
  /** Where clients reach a gateway, as long as none has made itself known. */
  readonly gatewayUrl: string;
  /** Where browsers reach the dashboard and this API: `https://berth.example.com`. */
  readonly dashboardOrigin: string;
  /** Origin of previews, with `*` for PORT-LABEL; null: reduced mode. */
  readonly previewOrigin: string | null;
  /** The image digest of a template's `base`; null when there is no such base. */
  readonly resolveBase: (base: string) => Promise<string | null>;
}
