// The text format is what Prometheus reads.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "./metrics.ts";

test("prints counters, gauges and histograms in the Prometheus text format", () => {
  const metrics = new Metrics();
  const count = metrics.counter("a_total", "All a.");
  metrics.gauge("b", "Now.", () => 7);
  const seconds = metrics.histogram("c_seconds", "How long.");
  count.add({ kind: 'x"y\\z\n' });
  count.add({ kind: 'x"y\\z\n' }, 2);
  seconds.observe(0.004, { op: "p" });
  seconds.observe(0.005, { op: "p" });
  seconds.observe(1e6, { op: "p" });
  const text = metrics.print();
  assert.match(text, /^# TYPE a_total counter$/m);
  assert.ok(text.includes('a_total{kind="x\\"y\\\\z\\n"} 3\n'));
  assert.match(text, /^b 7$/m);
  assert.match(text, /^c_seconds_bucket\{op="p",le="0.0025"\} 0$/m);
  assert.match(text, /^c_seconds_bucket\{op="p",le="0.005"\} 2$/m);
  assert.match(text, /^c_seconds_bucket\{op="p",le="300"\} 2$/m);
  assert.match(text, /^c_seconds_bucket\{op="p",le="\+Inf"\} 3$/m);
  assert.match(text, /^c_seconds_count\{op="p"\} 3$/m);
});
