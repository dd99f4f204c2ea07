// Private, local and special addresses are told from public ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopbackHost, isPublicAddress } from "./addresses.ts";

test("only public addresses are public", () => {
  for (const address of ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"])
    assert.equal(isPublicAddress(address), true, address);
  for (const address of [
    ...["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255"],
    ...["192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255"],
    ...[
      "::1",
      "::",
      "::ffff:127.0.0.1",
      "::ffff:8.8.8.8",
      "fe80::1",
      "fc00::1",
      "fd12::1",
      "ff02::1",
    ],
    ...["64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1", "example.com", "", "1.2.3"],
  ])
    assert.equal(isPublicAddress(address), false, address);
});

test("loopback hosts, as URLs write them", () => {
  for (const host of ["localhost", "127.0.0.1", "[::1]"]) assert.ok(isLoopbackHost(host), host);
  for (const host of ["localhost.evil.test", "x.localhost", "128.0.0.1", "127.0.0.1.nip.io"])
    assert.ok(!isLoopbackHost(host), host);
});
