// Host names and senders: only what is certainly ours is ours.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import { isKnownHost, senderOf } from "./origin.ts";

const DASHBOARD = "https://berth.test";
const KNOWN = new Set(["berth.test"]);

test("the dashboard's name, localhost and addresses are known, whatever the port", () => {
  for (const host of [
    ...["berth.test", "berth.test:443", "BERTH.Test:8080", "localhost", "localhost:7300"],
    ...["127.0.0.1", "127.0.0.1:7300", "10.1.2.3", "[::1]", "[::1]:7300", "[fe80::1]:1"],
  ])
    assert.equal(isKnownHost(host, KNOWN), true, host);
});

test("every other name is unknown: a page under it would be one of ours", () => {
  for (const host of [
    ...["evil.test", "berth.test.evil.test", "xberth.test", "a.berth.test", "berth.test."],
    ...["a.localhost", "localhost.evil.test", "127.0.0.1.nip.io", "127.0.0.1:7300.evil.test"],
    ...["berth.test@evil.test", "evil.test#berth.test", "berth.test/evil", "berth.test evil.test"],
    ...["berth.test,evil.test", "berth.test\t", " berth.test", "[::1].evil.test", "[berth.test]"],
    ...[
      "berth.test:",
      "berth.test:x",
      "berth.test:123456",
      "",
      ":7300",
      "[",
      "0x7f.1",
      "2130706433",
    ],
  ])
    assert.equal(isKnownHost(host, KNOWN), false, host);
  assert.equal(isKnownHost(undefined, KNOWN), false);
  fc.assert(
    fc.property(fc.string(), fc.string({ minLength: 1 }), (before, after) => {
      for (const host of [`${before}berth.test.${after}`, `${before}.evil`, `evil.${after}x`])
        assert.equal(isKnownHost(host, KNOWN), false, host);
    }),
  );
});

test("a sender is the dashboard only when its browser says so", () => {
  const same = [
    { origin: DASHBOARD },
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "same-origin", origin: DASHBOARD },
    // Behind a port forward the address differs, and the browser still knows.
    { "sec-fetch-site": "same-origin", origin: "http://localhost:9000" },
  ];
  for (const headers of same) assert.equal(senderOf(headers, DASHBOARD), "same");
  const other = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site", origin: DASHBOARD },
    { "sec-fetch-site": "strange" },
    ...["null", "http://berth.test", "https://berth.test:8443", "https://evil.test", ""].map(
      (origin) => ({ origin }),
    ),
    { origin: `${DASHBOARD}.evil.test` },
    { origin: DASHBOARD.toUpperCase() },
    { "sec-fetch-site": "none", origin: "https://evil.test" },
  ];
  for (const headers of other)
    assert.equal(senderOf(headers, DASHBOARD), "other", JSON.stringify(headers));
  assert.equal(senderOf({}, DASHBOARD), "unknown");
  assert.equal(senderOf({ "sec-fetch-site": "none" }, DASHBOARD), "unknown");
});
