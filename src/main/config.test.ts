import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ConfigError, environmentOf, readConfig, VARIABLES } from "./config.ts";

test("an empty environment gives the documented defaults", () => {
  const config = readConfig({});
  assert.equal(config.stateDir, "/var/lib/berth");
  assert.deepEqual(config.apiListen, { host: "127.0.0.1", port: 7300 });
  assert.equal(config.nodeApiUrl, "https://127.0.0.1:7301");
  assert.equal(config.databaseUrl, null);
  assert.equal(config.nodeLostAfterMs, 600_000);
});

test("an unknown BERTH_ variable is refused with the nearest name", () => {
  assert.throws(
    () => readConfig({ BERTH_STATEDIR: "/x" }),
    (error: Error) =>
      error instanceof ConfigError && /did you mean BERTH_STATE_DIR\?/.test(error.message),
  );
  assert.doesNotThrow(() => readConfig({ OTHER_STATEDIR: "/x" }));
});

test("values are checked when they are read", () => {
  for (const [name, value] of [
    ["BERTH_DRIVER", "docker"],
    ["BERTH_API_LISTEN", "7300"],
    ["BERTH_API_LISTEN", "localhost:70000"],
    ["BERTH_STATE_DIR", "state"],
    ["BERTH_LABELS", "gpu"],
    ["BERTH_NODE_LOST_AFTER_MINUTES", "soon"],
    ["BERTH_NODE_LOST_AFTER_MINUTES", "1.5"],
    ["BERTH_REQUESTS_PER_MINUTE", "-1"],
    ["BERTH_FAILED_LOGINS_PER_MINUTE", "many"],
    ["BERTH_TRUSTED_PROXIES", "proxy.example.com"],
    ["BERTH_TRUSTED_PROXIES", "10.0.0.0/33"],
    ["BERTH_GATEWAY_URL", "gateway"],
    ["DATABASE_URL", "mysql://db"],
  ] as const)
    assert.throws(() => readConfig({ [name]: value }), ConfigError, `${name}=${value}`);
});

test("an option wins over a variable", () => {
  const config = readConfig({ BERTH_DRIVER: "qemu" }, { BERTH_DRIVER: "fake" });
  assert.equal(config.driver, "fake");
});

test("a child that is given the environment of a configuration reads the same configuration", () => {
  const config = readConfig({
    BERTH_STATE_DIR: "/srv/berth",
    BERTH_LABELS: "zone=a,disk=fast",
    BERTH_API_LISTEN: "[::1]:8000",
    BERTH_GATEWAY_LISTEN: "0.0.0.0:8001",
    BERTH_JOIN_TOKEN: "t",
    BERTH_NODE_LOST_AFTER_MINUTES: "0",
    BERTH_REQUESTS_PER_MINUTE: "0",
    BERTH_TRUSTED_PROXIES: "10.0.0.5,fd00::/8",
    DATABASE_URL: "postgres://db/berth",
  });
  assert.deepEqual(readConfig(environmentOf(config)), config);
  assert.equal(config.gatewayUrl, "http://127.0.0.1:8001");
});

test("the dashboard and the previews are origins that follow the addresses listened on", () => {
  const config = readConfig({
    BERTH_API_LISTEN: "0.0.0.0:8000",
    BERTH_GATEWAY_LISTEN: "0.0.0.0:8001",
    BERTH_SSH_LISTEN: "0.0.0.0:2222",
  });
  assert.equal(config.dashboardUrl, "http://localhost:8000");
  assert.equal(config.previewOrigin, "http://*.localhost:8001");
  assert.equal(config.sshAddress, "0.0.0.0:2222");
  const reduced = readConfig({ BERTH_PREVIEW_ORIGIN: "none" });
  assert.equal(reduced.previewOrigin, null);
  assert.deepEqual(readConfig(environmentOf(reduced)), reduced);
  assert.equal(
    readConfig({ BERTH_DASHBOARD_URL: "https://Berth.example.com/" }).dashboardUrl,
    "https://berth.example.com",
  );
});

test("an origin that is none, or that previews would share with the dashboard, is refused", () => {
  for (const [dashboard, previews] of [
    ["https://berth.example.com/app", "https://*.preview.example"],
    ["berth.example.com", "https://*.preview.example"],
    ["ftp://berth.example.com", "https://*.preview.example"],
    ["https://user@berth.example.com", "https://*.preview.example"],
    ["https://berth.example.com", "https://preview.example"],
    ["https://berth.example.com", "https://a*.preview.example"],
    ["https://berth.example.com", "https://*.*.preview.example"],
    ["https://berth.example.com", "https://*.preview.example/x"],
    ["https://berth.example.com", "*.preview.example"],
    ["https://berth.example.com", "https://*.example.com"],
    ["https://berth.example.com", "https://*.berth.example.com"],
    ["https://BERTH.example.com", "https://*.Berth.Example.com"],
  ] as const)
    assert.throws(
      () => readConfig({ BERTH_DASHBOARD_URL: dashboard, BERTH_PREVIEW_ORIGIN: previews }),
      ConfigError,
      `${dashboard} ${previews}`,
    );
});

test("docs/configuration.md documents exactly the variables that are read", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  const documented = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1]);
  assert.deepEqual(documented.sort(), ["DATABASE_URL", ...Object.keys(VARIABLES)].sort());
  for (const [name, { about }] of Object.entries(VARIABLES))
    assert.ok(page.includes(about), `${name}: docs/configuration.md says something else`);
});
