// The gateway that failed comes last, until that is long ago.

import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayChoice } from "./gateways.ts";

test("the server's order holds, but for those that failed", () => {
  let nowMs = 1000;
  const gateways = new GatewayChoice(() => nowMs);
  const urls = ["http://a", "http://b", "http://c"];
  assert.equal(gateways.pick(urls), "http://a");
  gateways.failed("http://a");
  assert.equal(gateways.pick(urls), "http://b");
  nowMs += 10;
  gateways.failed("http://b");
  assert.equal(gateways.pick(urls), "http://c");
  gateways.failed("http://c");
  nowMs += 10;
  assert.equal(gateways.pick(urls), "http://a", "the one that failed first is tried again first");
  gateways.worked("http://b");
  assert.equal(gateways.pick(urls), "http://b");
  nowMs += 60_000;
  assert.equal(gateways.pick(urls), "http://a", "all is forgiven");
  assert.equal(gateways.pick([]), null);
});
