// Keeps the certificate of a node or a gateway from running out, while the process runs.
//
// Reads: the certificate. Every: CHECK_MS. Safe twice because each renewal is whole by one rename.

import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { isRenewalDue } from "#trust/x509.ts";

const CHECK_MS = 60 * 60_000;

interface Renewable {
  readonly certificatePem: () => string;
  /** Gets the next one, keeps it, and brings it into use. */
  readonly renew: () => Promise<void>;
}

/** Runs until the signal aborts. A renewal that fails is tried again at the next look. */
export async function keepRenewed(
  { certificatePem, renew }: Renewable,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    if (isRenewalDue(certificatePem(), clock.nowMs()))
      await renew().then(
        () => log.info({}, "the certificate was renewed"),
        (err: unknown) => log.warn({ err }, "the certificate is not renewed yet; trying again"),
      );
    await clock.sleep(CHECK_MS, signal).catch(() => {});
  }
}
