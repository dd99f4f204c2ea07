// Values as people read them.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ago,
  bytes,
  count,
  dayAndTime,
  fullTime,
  lasting,
  memory,
  milliseconds,
  sentence,
  shortAgo,
  span,
  until,
} from "./format.ts";

const NOW_MS = Date.parse("2026-11-27T12:00:00Z");

test("spans name their largest unit", () => {
  assert.deepEqual([0, 59_999, 60_000, 3_599_999, 3_600_000, 86_400_000 * 3, -5].map(span), [
    "0s",
    "59s",
    "1m",
    "59m",
    "1h",
    "3d",
    "0s",
  ]);
});

test("times are told from now, and a clock that is ahead does no harm", () => {
  assert.equal(ago("2026-11-27T11:58:00Z", NOW_MS), "2 minutes ago");
  assert.equal(ago("2026-11-27T11:00:00Z", NOW_MS), "1 hour ago");
  assert.equal(shortAgo("2026-11-27T11:58:00Z", NOW_MS), "2m ago");
  assert.equal(ago("2026-11-27T12:00:03Z", NOW_MS), "now");
  assert.equal(until("2026-11-28T12:00:00Z", NOW_MS), "in 1 day");
  assert.equal(until("2026-11-27T11:59:59Z", NOW_MS), "expired");
});

test("a sentence begins with a capital, unless its first word has one inside", () => {
  assert.deepEqual(["memory of boxes", "vCPUs of boxes", ""].map(sentence), [
    "Memory of boxes",
    "vCPUs of boxes",
    "",
  ]);
});

test("sizes", () => {
  assert.deepEqual([512, 2048, 1536].map(memory), ["512 MiB", "2 GiB", "1.5 GiB"]);
  assert.deepEqual([0, 1023, 1536, 150 * 1024 ** 2].map(bytes), [
    "0 B",
    "1023 B",
    "1.5 KiB",
    "150 MiB",
  ]);
  assert.deepEqual([12.4, 1500, 61_000].map(milliseconds), ["12 ms", "1.5 s", "61 s"]);
  assert.deepEqual([count(1, "box", "boxes"), count(0, "key")], ["1 box", "0 keys"]);
});

test("of another day the day is told, and of another year the year", () => {
  const at = (iso: string) => dayAndTime(iso, NOW_MS);
  const local = (text: string) => new Date(text).toISOString();
  assert.match(at(local("2026-11-27T09:05:07")), /^09:05:07$/);
  assert.match(at(local("2026-11-26T23:59:59")), /26.*, 23:59:59$/);
  assert.doesNotMatch(at(local("2026-11-26T23:59:59")), /2026/);
  assert.match(at(local("2025-11-27T09:05:07")), /2025.*, 09:05:07$/);
  // Midnight is the beginning of a day.
  assert.match(at(local("2026-11-27T00:00:00")), /^00:00:00$/);
});

test("a whole time says in which zone it is told", () => {
  assert.match(fullTime("2026-11-27T12:00:00Z"), /(?:UTC|GMT|[A-Z]{3,5})/);
});

test("how long it has been so", () => {
  const at = (ms: number) => lasting(new Date(NOW_MS - ms).toISOString(), NOW_MS);
  assert.deepEqual(
    [at(1000), at(3_600_000), at(-5)],
    ["for 1 second", "for 1 hour", "for 0 seconds"],
  );
});
