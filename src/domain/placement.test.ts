// Placement: properties over random fleets, and the choices that a reader would expect.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import {
  choosePlacement,
  diskReserveGib,
  type PlacementNode,
  type PlacementRequest,
} from "./placement.ts";

function node(change: Partial<PlacementNode> = {}): PlacementNode {
  return {
    id: "node_a",
    name: "a",
    region: "local",
    labels: {},
    schedulable: true,
    isReady: true,
    capacity: { cpus: 8, memoryMib: 16_384, diskGib: 100, gpus: 0 },
    overcommit: { cpu: 8, memory: 1, disk: 4 },
    used: { cpus: 0, memoryMib: 0, diskGib: 0, gpus: 0 },
    freeDiskGib: null,
    boxes: 0,
    compatibility: "x",
    images: new Set(),
    ...change,
  };
}

function request(change: Partial<PlacementRequest> = {}): PlacementRequest {
  return {
    needs: { cpus: 2, memoryMib: 2048, diskGib: 30, gpus: 0 },
    region: null,
    labels: {},
    imageDigest: "sha256:1",
    lastNodeId: null,
    strayNodeIds: new Set(),
    source: null,
    ...change,
  };
}

const b = node({ id: "node_b", name: "b" });
const chosen = (r: PlacementRequest, nodes: PlacementNode[]) => choosePlacement(r, nodes).nodeId;

test("each filter keeps a node out and says why", () => {
  const cases: [Partial<PlacementNode>, Partial<PlacementRequest>, RegExp][] = [
    [{ isReady: false }, {}, /does not answer/],
    [{ schedulable: false }, {}, /cordoned/],
    [{ region: "eu" }, { region: "us" }, /region eu, not us/],
    [{ labels: { disk: "hdd" } }, { labels: { disk: "ssd" } }, /lacks the label disk=ssd/],
    [{ capacity: { ...node().capacity, memoryMib: 1024 } }, {}, /1024 MiB memory left of 2048 MiB/],
    [{ overcommit: { cpu: 0.1, memory: 1, disk: 4 } }, {}, /CPUs left/],
    [{ overcommit: { cpu: 8, memory: 1, disk: 0.1 } }, {}, /disk left/],
    [{}, { needs: { ...request().needs, gpus: 1 } }, /GPUs left/],
    [{ freeDiskGib: 4 }, {}, /has 4 GiB of disk free, and keeps 5 GiB/],
    [{}, { source: source({ isDurable: false }) }, /not in the object store yet/],
    [{}, { strayNodeIds: new Set(["node_a"]) }, /what it ran there before/],
    [{ compatibility: "y" }, { source: source({}) }, /cannot restore memory of x/],
  ];
  for (const [nodeChange, requestChange, reason] of cases) {
    assert.equal(chosen(request(requestChange), [node(nodeChange), b].slice(0, 1)), null);
    const { summary, candidates } = choosePlacement(request(requestChange), [node(nodeChange)]);
    assert.match(summary, reason);
    assert.equal(candidates[0]?.fits, false);
  }
  assert.match(choosePlacement(request(), []).summary, /no node yet/);
});

function source(
  change: Partial<NonNullable<PlacementRequest["source"]>>,
): NonNullable<PlacementRequest["source"]> {
  return { withMemory: true, compatibility: "x", isDurable: true, copies: new Set(), ...change };
}

test("the snapshot's node wins over the last node, that over the image, that over free room", () => {
  const full = { used: { ...node().used, memoryMib: 12_000 } };
  const withCopy = request({
    source: source({ copies: new Set(["node_a"]) }),
    lastNodeId: "node_b",
  });
  assert.equal(
    chosen(withCopy, [node(full), node({ ...b, images: new Set(["sha256:1"]) })]),
    "node_a",
  );
  assert.equal(
    chosen(request({ lastNodeId: "node_a" }), [
      node(full),
      { ...b, images: new Set(["sha256:1"]) },
    ]),
    "node_a",
  );
  assert.equal(chosen(request(), [node({ ...full, images: new Set(["sha256:1"]) }), b]), "node_a");
  assert.equal(chosen(request(), [node(full), b]), "node_b");
});

test("memory is lost only when no node there is could ever restore it", () => {
  const r = request({ source: source({}) });
  const lost = (nodes: PlacementNode[]) => choosePlacement(r, nodes).isMemoryLost;
  const other = node({ compatibility: "y" });
  assert.equal(lost([other]), true);
  assert.equal(lost([other, node({ isReady: false })]), false, "unreachable is not gone");
  assert.equal(lost([other, node({ schedulable: false })]), false);
  assert.equal(lost([other, node({ compatibility: null })]), false, "not known yet");
  assert.equal(lost([]), false, "no node yet");
  assert.equal(
    choosePlacement(request({ source: source({ withMemory: false }) }), [other]).nodeId,
    "node_a",
  );
});

const anyNode = fc.record({
  id: fc.constantFrom("node_a", "node_b", "node_c", "node_d"),
  region: fc.constantFrom("eu", "us"),
  schedulable: fc.boolean(),
  isReady: fc.boolean(),
  memoryMib: fc.integer({ min: 0, max: 8192 }),
  usedMib: fc.integer({ min: 0, max: 8192 }),
  gpus: fc.integer({ min: 0, max: 2 }),
  usedGpus: fc.integer({ min: 0, max: 2 }),
  compatibility: fc.constantFrom("x", "y", null),
  hasImage: fc.boolean(),
});
const anyRequest = fc.record({
  region: fc.constantFrom("eu", "us", null),
  gpus: fc.integer({ min: 0, max: 2 }),
  lastNodeId: fc.constantFrom("node_a", null),
  source: fc.option(
    fc.record({
      withMemory: fc.boolean(),
      compatibility: fc.constantFrom("x", "y", null),
      isDurable: fc.boolean(),
      copies: fc.subarray(["node_a", "node_b", "node_c"]).map((ids) => new Set(ids)),
    }),
  ),
});

test("the choice is fit for the box, does not depend on the order, and never exceeds what there is", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(anyNode, { selector: (n) => n.id, maxLength: 4 }),
      anyRequest,
      (shapes, wish) => {
        const nodes = shapes.map((shape) =>
          node({
            ...shape,
            name: shape.id,
            capacity: { cpus: 8, memoryMib: shape.memoryMib, diskGib: 100, gpus: shape.gpus },
            used: { cpus: 0, memoryMib: shape.usedMib, diskGib: 0, gpus: shape.usedGpus },
            images: new Set(shape.hasImage ? ["sha256:1"] : []),
          }),
        );
        const r = request({
          ...wish,
          needs: { ...request().needs, gpus: wish.gpus },
        });
        const choice = choosePlacement(r, nodes);
        assert.deepEqual(choosePlacement(r, nodes.toReversed()), choice);
        assert.equal(choice.candidates.length, nodes.length);
        assert.ok(choice.summary.length > 0);
        for (const candidate of choice.candidates) assert.ok(candidate.reasons.length > 0);
        const to = nodes.find((n) => n.id === choice.nodeId);
        if (!to) {
          assert.ok(choice.candidates.every((candidate) => !candidate.fits));
          return;
        }
        assert.equal(choice.isMemoryLost, false);
        assert.ok(to.isReady && to.schedulable);
        assert.ok(r.region === null || r.region === to.region);
        assert.ok(to.used.memoryMib + r.needs.memoryMib <= to.capacity.memoryMib);
        assert.ok(r.needs.gpus === 0 || to.used.gpus + r.needs.gpus <= to.capacity.gpus);
        if (r.source && !r.source.isDurable) assert.ok(r.source.copies.has(to.id));
        if (r.source?.withMemory && r.source.compatibility)
          assert.equal(to.compatibility, r.source.compatibility);
      },
    ),
    { numRuns: 2000 },
  );
});

test("a node keeps a part of its disk for the boxes that it has", () => {
  assert.deepEqual([0, 20, 100, 1000, 100_000].map(diskReserveGib), [2, 2, 5, 50, 50]);
  assert.equal(chosen(request(), [node({ freeDiskGib: 5 })]), "node_a");
  assert.equal(chosen(request(), [node({ freeDiskGib: 4 }), b]), "node_b");
});
