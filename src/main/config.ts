// The only reader of the environment on the server side. Every variable is a row of VARIABLES: read
// once, checked, and passed on as a value. docs/configuration.md lists the same rows (held by a test).

import { isIP } from "node:net";
import { hostname } from "node:os";
import { nearestOf } from "#lib/nearest.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Config {
  readonly stateDir: string;
  readonly imageCacheDir: string;
  /** Null: the embedded PostgreSQL in the state directory. */
  readonly databaseUrl: string | null;
  /** Null: requests log in as a role that we make. */
  readonly tenantDatabaseUrl: string | null;
  readonly driver: "qemu" | "fake";
  readonly apiListen: Address;
  readonly nodeApiListen: Address;
  readonly gatewayListen: Address;
  readonly gatewayNodeListen: Address;
  /** Where nodes and gateways reach the node API. */
  readonly nodeApiUrl: string;
  /** Where clients reach the gateway. */
  readonly gatewayUrl: string;
  /** Where nodes reach the gateway's node door. */
  readonly gatewayNodeUrl: string;
  /** Where browsers reach the web app and the user API: an origin. */
  readonly dashboardUrl: string;
  /** Origin of previews, with `*` for what names one; null: reduced mode. */
  readonly previewOrigin: string | null;
  readonly sshListen: Address;
  /** HOST:PORT under which clients reach the SSH door. */
  readonly sshAddress: string;
  readonly joinToken: string | null;
  /** Certificate of the control plane's authority, to know it by when joining. */
  readonly caFile: string;
  readonly nodeName: string;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  /** After so long without a word a node's boxes run elsewhere; 0: never. */
  readonly nodeLostAfterMs: number;
  /** Of one user; 0: no limit. */
  readonly requestsPerMinute: number;
  /** From one address; 0: no limit. */
  readonly failedLoginsPerMinute: number;
  /** Addresses or networks whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  readonly logLevel: string;
  readonly failpoints: string;
}

/** Thrown for anything that the person who starts Berth can correct; printed without a stack. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

interface Variable {
  readonly about: string;
  /** As documented; computed where it depends on other variables. */
  readonly default: string;
}

export const VARIABLES = {
  BERTH_STATE_DIR: {
    about: "Everything that must survive: database, snapshots, certificates, logs.",
    default: "/var/lib/berth",
  },
  BERTH_IMAGE_CACHE: {
    about: "Base images, addressed by content. Safe to delete; they are built again.",
    default: "/var/cache/berth/images",
  },
  BERTH_TENANT_DATABASE_URL: {
    about:
      "The database as requests log in to it, when `DATABASE_URL` may not make roles ([docs/organizations.md](organizations.md)).",
    default: "(a role that Berth makes)",
  },
  BERTH_DRIVER: {
    about: "How a node runs boxes: `qemu`, or `fake` for trying Berth without virtual machines.",
    default: "qemu",
  },
  BERTH_API_LISTEN: { about: "Address of the user API (HTTP).", default: "127.0.0.1:7300" },
  BERTH_NODE_API_LISTEN: { about: "Address of the node API (mTLS).", default: "127.0.0.1:7301" },
  BERTH_GATEWAY_LISTEN: {
    about: "Address of the gateway's door for clients (WebSocket).",
    default: "127.0.0.1:7302",
  },
  BERTH_GATEWAY_NODE_LISTEN: {
    about: "Address of the gateway's door for nodes (mTLS).",
    default: "127.0.0.1:7303",
  },
  BERTH_NODE_API_URL: {
    about: "Where nodes and gateways reach the node API.",
    default: "https://ADDRESS of BERTH_NODE_API_LISTEN",
  },
  BERTH_GATEWAY_URL: {
    about: "Where clients reach the gateway; the API tells them.",
    default: "http://ADDRESS of BERTH_GATEWAY_LISTEN",
  },
  BERTH_GATEWAY_NODE_URL: {
    about: "Where nodes reach the gateway; the node API tells them.",
    default: "https://ADDRESS of BERTH_GATEWAY_NODE_LISTEN",
  },
  BERTH_DASHBOARD_URL: {
    about: "Where browsers reach the web app, as an origin. Its cookie counts only there.",
    default: "http://localhost:PORT of BERTH_API_LISTEN",
  },
  BERTH_PREVIEW_ORIGIN: {
    about:
      "Origins of port previews, on a domain apart from the dashboard's, with `*` for their first part: `https://*.preview.example.com`. `none`: reduced mode, for those with one host name.",
    default: "http://*.localhost:PORT of BERTH_GATEWAY_LISTEN",
  },
  BERTH_SSH_LISTEN: { about: "Address of the gateway's SSH door.", default: "127.0.0.1:7322" },
  BERTH_SSH_ADDRESS: {
    about: "HOST:PORT under which clients reach the SSH door; the API tells them.",
    default: "(BERTH_SSH_LISTEN)",
  },
  BERTH_JOIN_TOKEN: {
    about: "One-time token that a node or gateway needs at its first start.",
    default: "(none)",
  },
  BERTH_CA_FILE: {
    about: "Certificate that the control plane is known by when a node or gateway joins.",
    default: "(ca/ca.pem in the state directory, where a server writes it)",
  },
  BERTH_NODE_NAME: { about: "Name of this node.", default: "(the host's name)" },
  BERTH_REGION: { about: "Region of this node, for placement.", default: "default" },
  BERTH_LABELS: { about: "Labels of this node, for placement: `a=b,c=d`.", default: "(none)" },
  BERTH_NODE_LOST_AFTER_MINUTES: {
    about:
      "Boxes of a node that was unreachable for so long run elsewhere, from their last durable snapshot; `0`: never.",
    default: "10",
  },
  BERTH_REQUESTS_PER_MINUTE: {
    about:
      "Requests that one user may send, to all replicas together, and as many again for taking rights back; `0`: no limit.",
    default: "60000",
  },
  BERTH_FAILED_LOGINS_PER_MINUTE: {
    about:
      "Requests without a valid credential from one address, on all replicas together; `0`: no limit.",
    default: "300",
  },
  BERTH_TRUSTED_PROXIES: {
    about:
      "Addresses or networks of proxies in front of the API, with commas between: the client's address is read from their X-Forwarded-For.",
    default: "(none)",
  },
  BERTH_LOG_LEVEL: { about: "`debug`, `info`, `warn` or `error`.", default: "info" },
  BERTH_FAILPOINTS: {
    about: "For tests: `NAME=crash` or `NAME=throw`, with commas between.",
    default: "(none)",
  },
  BERTH_URL: {
    about: "For the CLI: address of the user API, when it is not on this machine.",
    default: "(from the state directory)",
  },
  BERTH_TOKEN: {
    about: "For the CLI: token to use, when it is not on this machine.",
    default: "(from the state directory)",
  },
} as const satisfies Record<string, Variable>;
export type VariableName = keyof typeof VARIABLES;

const MINUTE_MS = 60_000;
const YEAR_MINUTES = 525_600;
const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
const POSTGRES_URL = /^postgres(ql)?:\/\//;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads and checks the environment. `overrides` are command-line options, as variables. */
export function readConfig(
  environment: Environment,
  overrides: Partial<Record<VariableName, string>> = {},
): Config {
  refuseUnknown(environment);
  const given = (name: VariableName): string | null => overrides[name] || environment[name] || null;
  const get = (name: VariableName): string => given(name) ?? VARIABLES[name].default;
  const address = (name: VariableName) => parseAddress(name, get(name));
  const stateDir = parsePath("BERTH_STATE_DIR", get("BERTH_STATE_DIR"));
  const apiListen = address("BERTH_API_LISTEN");
  const sshListen = address("BERTH_SSH_LISTEN");
  const nodeApiListen = address("BERTH_NODE_API_LISTEN");
  const gatewayListen = address("BERTH_GATEWAY_LISTEN");
  const gatewayNodeListen = address("BERTH_GATEWAY_NODE_LISTEN");
  const url = (name: VariableName, scheme: string, listen: Address) =>
    parseUrl(name, given(name) ?? localUrl(scheme, listen));
  return {
    stateDir,
    imageCacheDir: parsePath("BERTH_IMAGE_CACHE", get("BERTH_IMAGE_CACHE")),
    databaseUrl: parseDatabaseUrl("DATABASE_URL", environment.DATABASE_URL),
    tenantDatabaseUrl: parseDatabaseUrl(
      "BERTH_TENANT_DATABASE_URL",
      given("BERTH_TENANT_DATABASE_URL"),
    ),
    driver: oneOf("BERTH_DRIVER", get("BERTH_DRIVER"), ["qemu", "fake"]),
    apiListen,
    nodeApiListen,
    gatewayListen,
    gatewayNodeListen,
    nodeApiUrl: url("BERTH_NODE_API_URL", "https", nodeApiListen),
    gatewayUrl: url("BERTH_GATEWAY_URL", "http", gatewayListen),
    gatewayNodeUrl: url("BERTH_GATEWAY_NODE_URL", "https", gatewayNodeListen),
    ...parseOrigins(
      given("BERTH_DASHBOARD_URL") ?? `http://localhost:${apiListen.port}`,
      given("BERTH_PREVIEW_ORIGIN") ?? `http://*.localhost:${gatewayListen.port}`,
    ),
    sshListen,
    sshAddress: printAddress(
      parseAddress("BERTH_SSH_ADDRESS", given("BERTH_SSH_ADDRESS") ?? printAddress(sshListen)),
    ),
    joinToken: given("BERTH_JOIN_TOKEN"),
    caFile: parsePath("BERTH_CA_FILE", given("BERTH_CA_FILE") ?? `${stateDir}/ca/ca.pem`),
    nodeName: given("BERTH_NODE_NAME") ?? hostname(),
    region: get("BERTH_REGION"),
    labels: parseLabels(given("BERTH_LABELS") ?? ""),
    nodeLostAfterMs:
      parseMinutes("BERTH_NODE_LOST_AFTER_MINUTES", get("BERTH_NODE_LOST_AFTER_MINUTES")) *
      MINUTE_MS,
    requestsPerMinute: parseCount("BERTH_REQUESTS_PER_MINUTE", get("BERTH_REQUESTS_PER_MINUTE")),
    failedLoginsPerMinute: parseCount(
      "BERTH_FAILED_LOGINS_PER_MINUTE",
      get("BERTH_FAILED_LOGINS_PER_MINUTE"),
    ),
    trustedProxies: parseNetworks("BERTH_TRUSTED_PROXIES", given("BERTH_TRUSTED_PROXIES") ?? ""),
    logLevel: oneOf("BERTH_LOG_LEVEL", get("BERTH_LOG_LEVEL"), LOG_LEVELS),
    failpoints: given("BERTH_FAILPOINTS") ?? "",
  };
}

/** The variables that give a child process the same configuration. */
export function environmentOf(config: Config): Record<string, string> {
  const variables: Partial<Record<VariableName, string>> = {
    BERTH_STATE_DIR: config.stateDir,
    BERTH_IMAGE_CACHE: config.imageCacheDir,
    BERTH_DRIVER: config.driver,
    BERTH_API_LISTEN: printAddress(config.apiListen),
    BERTH_NODE_API_LISTEN: printAddress(config.nodeApiListen),
    BERTH_GATEWAY_LISTEN: printAddress(config.gatewayListen),
    BERTH_GATEWAY_NODE_LISTEN: printAddress(config.gatewayNodeListen),
    BERTH_NODE_API_URL: config.nodeApiUrl,
    BERTH_GATEWAY_URL: config.gatewayUrl,
    BERTH_GATEWAY_NODE_URL: config.gatewayNodeUrl,
    BERTH_DASHBOARD_URL: config.dashboardUrl,
    BERTH_PREVIEW_ORIGIN: config.previewOrigin ?? "none",
    BERTH_SSH_LISTEN: printAddress(config.sshListen),
    BERTH_SSH_ADDRESS: config.sshAddress,
    BERTH_CA_FILE: config.caFile,
    BERTH_NODE_NAME: config.nodeName,
    BERTH_REGION: config.region,
    BERTH_LABELS: Object.entries(config.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
    BERTH_NODE_LOST_AFTER_MINUTES: String(config.nodeLostAfterMs / MINUTE_MS),
    BERTH_REQUESTS_PER_MINUTE: String(config.requestsPerMinute),
    BERTH_FAILED_LOGINS_PER_MINUTE: String(config.failedLoginsPerMinute),
    BERTH_TRUSTED_PROXIES: config.trustedProxies.join(","),
    BERTH_LOG_LEVEL: config.logLevel,
    BERTH_FAILPOINTS: config.failpoints,
    ...(config.joinToken ? { BERTH_JOIN_TOKEN: config.joinToken } : {}),
    ...(config.tenantDatabaseUrl ? { BERTH_TENANT_DATABASE_URL: config.tenantDatabaseUrl } : {}),
  };
  return {
    ...variables,
    ...(config.databaseUrl ? { DATABASE_URL: config.databaseUrl } : {}),
  } as Record<string, string>;
}

export function printAddress(address: Address): string {
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** How a client on this machine dials the address. */
export function localUrl(scheme: string, address: Address): string {
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[address.host] ?? address.host;
  return `${scheme}://${printAddress({ host, port: address.port })}`;
}

function refuseUnknown(environment: Environment): void {
  for (const name of Object.keys(environment)) {
    if (!name.startsWith("BERTH_") || name in VARIABLES) continue;
    const nearest = nearestOf(name, Object.keys(VARIABLES));
    throw new ConfigError(
      `the environment has ${name}, which Berth does not know${nearest ? `: did you mean ${nearest}?` : ""}` +
        ` Correct or unset it; docs/configuration.md lists every variable.`,
    );
  }
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found) return found;
  throw new ConfigError(`${name} is '${value}': it must be one of ${allowed.join(", ")}`);
}

function parseAddress(name: string, value: string): Address {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (!host || !(port >= 1 && port <= 65535))
    throw new ConfigError(`${name} is '${value}': write HOST:PORT, for example 127.0.0.1:7300`);
  return { host, port };
}

function parseUrl(name: string, value: string): string {
  if (!URL.canParse(value)) throw new ConfigError(`${name} is '${value}': write a full URL`);
  return value.replace(/\/+$/, "");
}

/** Previews run anybody's pages: on the dashboard's own domain they could set its cookies. */
function parseOrigins(
  dashboardUrl: string,
  pattern: string,
): Pick<Config, "dashboardUrl" | "previewOrigin"> {
  const dashboard = URL.canParse(dashboardUrl) ? new URL(dashboardUrl) : null;
  if (!dashboard || !isOrigin(dashboardUrl, dashboard))
    throw new ConfigError(
      `BERTH_DASHBOARD_URL is '${dashboardUrl}': write an origin, for example https://berth.example.com`,
    );
  if (pattern === "none") return { dashboardUrl: dashboard.origin, previewOrigin: null };
  const sample = pattern.replace("*", "x");
  const preview = URL.canParse(sample) ? new URL(sample) : null;
  if (!preview || !isOrigin(sample, preview) || !/^https?:\/\/\*\.[^*]+$/.test(pattern))
    throw new ConfigError(
      `BERTH_PREVIEW_ORIGIN is '${pattern}': write https://*.preview.example.com, or none`,
    );
  const domain = preview.hostname.slice("x.".length);
  const isShared =
    dashboard.hostname.endsWith(`.${domain}`) ||
    (dashboard.hostname === domain && domain !== "localhost");
  if (isShared)
    throw new ConfigError(
      `BERTH_PREVIEW_ORIGIN is '${pattern}', which the dashboard's ${dashboard.hostname} belongs to: give previews a domain of their own`,
    );
  return { dashboardUrl: dashboard.origin, previewOrigin: pattern.toLowerCase() };
}

function isOrigin(text: string, url: URL): boolean {
  const isWeb = url.protocol === "http:" || url.protocol === "https:";
  return isWeb && url.origin === text.replace(/\/$/, "").toLowerCase();
}

function parsePath(name: string, value: string): string {
  if (!value.startsWith("/"))
    throw new ConfigError(`${name} is '${value}': write an absolute path`);
  return value.length > 1 ? value.replace(/\/+$/, "") : value;
}

function parseMinutes(name: string, value: string): number {
  const minutes = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (minutes <= YEAR_MINUTES) return minutes;
  throw new ConfigError(`${name} is '${value}': write minutes, 0 to ${YEAR_MINUTES}`);
}

function parseCount(name: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new ConfigError(`${name} is '${value}': write a number, 0 for no limit`);
}

function parseNetworks(name: string, value: string): string[] {
  const networks = value.split(",").filter(Boolean);
  for (const network of networks) {
    const [address = "", prefix, ...rest] = network.split("/");
    const bits = isIP(address) === 6 ? 128 : 32;
    const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
    if (isIP(address) === 0 || !isPrefix || rest.length > 0)
      throw new ConfigError(
        `${name} has '${network}': write addresses or networks, for example 10.0.0.5,192.168.0.0/16`,
      );
  }
  return networks;
}

function parseDatabaseUrl(name: string, value: string | null | undefined): string | null {
  if (!value) return null;
  if (!POSTGRES_URL.test(value))
    throw new ConfigError(`${name} must begin with postgres:// (PostgreSQL 15 or newer)`);
  return value;
}

function parseLabels(value: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const part of value.split(",").filter(Boolean)) {
    const [name, text, ...rest] = part.split("=");
    if (!name || text === undefined || rest.length > 0)
      throw new ConfigError(`BERTH_LABELS has '${part}': write name=value, with commas between`);
    labels[name] = text;
  }
  return labels;
}
