// The host names of previews: PORT-LABEL under the installation's preview domain. Pure.

export interface PreviewName {
  readonly port: number;
  readonly label: string;
}

export interface PreviewNames {
  /** Of what a request names as its Host, in lower case; null: no preview's. */
  read(host: string): PreviewName | null;
  originOf(name: PreviewName): string;
  /** `https` or `http`: how browsers reach it. */
  readonly scheme: string;
}

const NAME = /^([1-9]\d{0,4})-([a-z0-9]{8,63})$/;

/** `pattern`: an origin with `*` for PORT-LABEL. */
export function previewNames(pattern: string): PreviewNames {
  const [before = "", after = ""] = pattern.split("*");
  const scheme = before.slice(0, before.indexOf(":"));
  const prefix = before.slice(scheme.length + "://".length).toLowerCase();
  const suffix = after.toLowerCase().replace(scheme === "https" ? /:443$/ : /:80$/, "");
  return {
    scheme,
    read: (host) => {
      if (!host.endsWith(suffix) || !host.startsWith(prefix)) return null;
      return readName(host.slice(prefix.length, host.length - suffix.length));
    },
    originOf: ({ port, label }) => `${scheme}://${prefix}${port}-${label}${suffix}`,
  };
}

export function readName(text: string): PreviewName | null {
  const [, port = "", label = ""] = NAME.exec(text) ?? [];
  return label && Number(port) <= 65_535 ? { port: Number(port), label } : null;
}
