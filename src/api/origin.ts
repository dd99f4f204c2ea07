// Which page has sent a request, as far as its browser tells, and whether the host name that it asked for is ours.
// A cookie says who the person is, not who asks: any page can make a browser send it.

import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";

/** `same`: a page of the dashboard, for certain. `other`: another page. `unknown`: no page, or an old browser. */
export type Sender = "same" | "other" | "unknown";

export function senderOf(headers: IncomingHttpHeaders, dashboardOrigin: string): Sender {
  const { origin } = headers;
  const site = headers["sec-fetch-site"];
  // No page can write this header. It counts by the address in use, so also behind a port forward.
  if (site === "same-origin") return "same";
  if (site !== undefined && site !== "none") return "other";
  if (origin !== undefined) return origin === dashboardOrigin ? "same" : "other";
  return "unknown";
}

/**
 * A name that an attacker's DNS server lets point here (rebinding) would make his page one of ours to a browser. Names
 * that nobody's DNS answers for are fine: localhost, and addresses.
 */
export function isKnownHost(header: string | undefined, known: ReadonlySet<string>): boolean {
  const host = hostNameOf(header ?? "");
  return host !== null && (host === "localhost" || isIP(host) !== 0 || known.has(host));
}

/** Without the port and the brackets, in lower case; null when it is none. */
function hostNameOf(header: string): string | null {
  const [, v6, name] =
    /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?))(?::\d{1,5})?$/i.exec(header) ??
    [];
  return (v6 ?? name)?.toLowerCase() ?? null;
}
