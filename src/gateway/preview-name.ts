// Where previews are: PORT-LABEL under the installation's preview domain; or, where there is only one host name (reduced
// mode), below a path of the gateway's origin, which all of them share. Pure.

import type { RequestHead } from "./preview-head.ts";

export interface PreviewName {
  readonly port: number;
  readonly label: string;
}

/** The preview that a request is for. */
export interface Place {
  readonly name: PreviewName;
  /** Of its pages. */
  readonly origin: string;
  /** `https` or `http`: how browsers reach it. */
  readonly scheme: string;
  /** Path and query, as the app knows them. */
  readonly target: string;
  /** Null: the origin is its own. */
  readonly shared: SharedPlace | null;
}

export interface SharedPlace {
  /** `/p/PORT-LABEL` */
  readonly base: string;
  /** What stands for a pass in the address, since cookies would be everybody's: `/p/PORT-LABEL/~KEY`. */
  readonly key: string | null;
}

export type PlaceOf = (request: Pick<RequestHead, "host" | "target">) => Place | null;

const NAME = /^([1-9]\d{0,4})-([a-z0-9]{8,63})$/;

const SHARED = /^(\/p\/([^/?]+))(?:\/~([\w-]{22})(?=[/?]|$))?(.*)$/;

/** `pattern`: an origin with `*` for PORT-LABEL. */
export function placesByHost(pattern: string): PlaceOf {
  const [before = "", after = ""] = pattern.split("*");
  const scheme = before.slice(0, before.indexOf(":"));
  const prefix = before.slice(scheme.length + "://".length).toLowerCase();
  const suffix = after.toLowerCase().replace(scheme === "https" ? /:443$/ : /:80$/, "");
  return ({ host, target }) => {
    if (!host.endsWith(suffix) || !host.startsWith(prefix)) return null;
    const name = readName(host.slice(prefix.length, host.length - suffix.length));
    return name && { name, origin: `${scheme}://${host}`, scheme, target, shared: null };
  };
}

/** Reduced mode. `dashboardOrigin` tells how browsers come. */
export function placesByPath(dashboardOrigin: string): PlaceOf {
  const scheme = dashboardOrigin.startsWith("https:") ? "https" : "http";
  return ({ host, target }) => {
    const [, base = "", text = "", key = null, rest = ""] = SHARED.exec(target) ?? [];
    const name = readName(text);
    return (
      name && { name, origin: `${scheme}://${host}`, scheme, target: rest, shared: { base, key } }
    );
  };
}

function readName(text: string): PreviewName | null {
  const [, port = "", label = ""] = NAME.exec(text) ?? [];
  return label && Number(port) <= 65_535 ? { port: Number(port), label } : null;
}
