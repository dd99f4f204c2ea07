// The rooms under src/ and who may import whom. tools/walls.ts holds the tree to this table, and
// ARCHITECTURE.md prints it. A package or a node: module that no room lists is refused.

export interface Room {
  readonly owns: string;
  /** Other rooms it may import. */
  readonly rooms: readonly string[];
  /** npm packages it may import. */
  readonly npm: readonly string[];
  /** node: modules it may import, without the prefix. */
  readonly node: readonly string[];
}

const plain = ["buffer", "crypto", "events", "path", "timers/promises", "url", "util"] as const;

export const ROOMS: Readonly<Record<string, Room>> = {
  lib: {
    owns: "small tools without domain words: clock, log, failpoints, child processes",
    rooms: [],
    npm: ["pino"],
    node: [...plain, "child_process", "fs", "fs/promises", "stream", "async_hooks", "os"],
  },
  domain: { owns: "decisions: pure, total, no clock, no I/O", rooms: [], npm: [], node: [] },
  contract: {
    owns: "what may be said: API schemas, error codes, the node protocol",
    rooms: ["domain"],
    npm: ["zod"],
    node: [],
  },
  wire: {
    owns: "bytes that two ends share: exec frames, records, the link of a gateway and a node",
    rooms: [],
    npm: [],
    node: ["buffer", "stream", "events"],
  },
  trust: {
    owns: "certificate authorities, SSH certificates, tickets, token hashes",
    rooms: ["lib", "domain"],
    npm: ["@peculiar/x509", "reflect-metadata", "jose"],
    node: [...plain, "fs/promises"],
  },
  store: {
    owns: "Postgres: the only SQL",
    rooms: ["domain", "contract", "lib"],
    npm: ["pg", "kysely"],
    node: [...plain, "fs", "fs/promises"],
  },
  objects: {
    owns: "the object store, and snapshots as packs of pages in it",
    rooms: ["domain", "lib"],
    npm: [],
    node: [...plain, "fs", "fs/promises", "zlib", "worker_threads", "stream", "stream/promises"],
  },
  images: {
    owns: "base images: recipe, build, content-addressed cache",
    rooms: ["domain", "lib"],
    npm: [],
    node: [...plain, "fs", "fs/promises", "os"],
  },
  drivers: {
    owns: "how a box runs on a host: QEMU and the fake",
    rooms: ["domain", "lib", "images", "wire"],
    npm: [],
    // test and assert: for conformance.ts, which is a suite and not a test file.
    node: [
      ...plain,
      ...["child_process", "fs", "fs/promises", "net", "os", "stream", "stream/promises"],
      ...["test", "assert/strict"],
    ],
  },
  identity: {
    owns: "who people are: OpenID providers, logins, SCIM",
    rooms: ["store", "domain", "contract", "trust", "lib"],
    npm: ["openid-client", "jose", "undici", "zod"],
    node: [...plain, "dns", "net"],
  },
  api: {
    owns: "the HTTP front door: parse, permit, store, shape",
    rooms: ["identity", "store", "domain", "contract", "trust", "lib"],
    npm: [
      ...["fastify", "fastify-type-provider-zod", "@fastify/static", "@fastify/swagger", "zod"],
      "rate-limiter-flexible",
    ],
    node: [...plain, "fs/promises", "http", "https", "net", "stream", "tls", "zlib"],
  },
  scheduler: { owns: "placement", rooms: ["store", "domain", "lib"], npm: [], node: [] },
  reconciler: { owns: "healing loops", rooms: ["store", "domain", "lib"], npm: [], node: [] },
  node: {
    owns: "the agent of a host: makes assignments true and reports what is there",
    rooms: ["drivers", "objects", "images", "domain", "contract", "trust", "lib", "wire"],
    npm: ["undici", "zod"],
    node: [...plain, "fs", "fs/promises", "net", "tls", "stream", "os"],
  },
  gateway: {
    owns: "doors: byte streams into boxes; no database",
    rooms: ["contract", "domain", "trust", "lib", "wire"],
    npm: ["ssh2", "ws", "zod"],
    node: [
      ...plain,
      "fs/promises",
      "os",
      "http",
      "https",
      "net",
      "tls",
      "stream",
      "string_decoder",
    ],
  },
  sdk: {
    owns: "the client library",
    rooms: ["gen", "wire"],
    npm: ["openapi-fetch", "ws"],
    node: ["events", "stream"],
  },
  cli: {
    owns: "the terminal",
    rooms: ["sdk", "gen", "lib", "wire", "domain"],
    npm: ["commander", "yaml"],
    node: [
      ...plain,
      "child_process",
      "fs",
      "fs/promises",
      "os",
      "readline",
      "stream",
      "tty",
      "net",
    ],
  },
  web: {
    owns: "the web app: runs in browsers only",
    rooms: ["sdk", "gen", "wire"],
    npm: [
      ...["react", "react-dom", "@mantine/core", "@mantine/hooks", "@mantine/notifications"],
      ...["@tanstack/react-query", "@tanstack/react-router", "@tanstack/react-virtual"],
      "@tabler/icons-react",
      ...["@xterm/xterm", "@xterm/addon-fit", "@xterm/addon-webgl", "@xterm/addon-web-links"],
      ...["@fontsource-variable/inter", "@fontsource-variable/jetbrains-mono"],
    ],
    node: [],
  },
  main: {
    owns: "wiring: configuration, roles, the embedded Postgres, ./berth up",
    rooms: [
      "lib",
      "domain",
      "contract",
      "trust",
      "store",
      "objects",
      "images",
      "drivers",
      "api",
      "scheduler",
      "reconciler",
      "identity",
      "node",
      "gateway",
      "sdk",
      "cli",
    ],
    npm: ["commander", "pino", "undici", "ws"],
    node: [
      ...plain,
      "child_process",
      "fs",
      "fs/promises",
      "http",
      "https",
      "module",
      "net",
      "os",
      "process",
      "tls",
    ],
  },
  gen: { owns: "generated files", rooms: [], npm: [], node: [] },
};

/** Globals that only the named rooms may touch, each with what to use in their place. */
export const BANS: readonly { pattern: RegExp; except: readonly string[]; instead: string }[] = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)/,
    except: ["lib", "web"],
    instead: "take a Clock (#lib/clock.ts)",
  },
  {
    pattern: /\bprocess\.env\b/,
    except: ["main", "cli", "lib"],
    instead: "read it in src/main/config.ts and pass the value",
  },
  {
    pattern: /\bset(Timeout|Interval)\(/,
    // The SDK ships alone: it has no clock to take, but `createClient` takes a `sleep`.
    except: ["lib", "web", "sdk"],
    instead: "take a Clock (#lib/clock.ts)",
  },
  { pattern: /\bMath\.random\(/, except: ["lib"], instead: "node:crypto or an injected seed" },
  {
    pattern: /\bconsole\.(log|error|warn)\(/,
    except: ["cli", "main"],
    instead: "take a Log (#lib/log.ts)",
  },
];
