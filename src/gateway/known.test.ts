import assert from "node:assert/strict";
import { test } from "node:test";
import type { FeedBox, FeedKey, FeedPreview } from "#contract/gateway-feed.ts";
import { emptyFeed, NO_CHANGE } from "#test/harness/doors.ts";
import { KnownState } from "./known.ts";

const box = (boxId: string, name = boxId, change: Partial<FeedBox> = {}): FeedBox => ({
  ...{
    boxId,
    name,
    orgId: "org_a",
    ownerId: "usr_a",
    teamId: null,
    shares: [],
    phase: "running",
    reason: null,
  },
  ...{ epoch: 1, nodeId: "node_1" },
  ...change,
});
const preview = (previewId: string, label: string): FeedPreview => ({
  ...{ previewId, label, boxId: "box_1", port: 3000, visibility: "private", serial: 1 },
});
const key = (keyId: string, fingerprint: string): FeedKey => ({
  ...{ keyId, fingerprint, userId: "usr_a", orgId: "org_a" },
});

function knowing(change: Partial<typeof NO_CHANGE> | object = {}) {
  const known = new KnownState(emptyFeed("pem"), 0);
  known.apply({ ...NO_CHANGE, ...change }, 0);
  return known;
}

test("a box is found by id and by name, within its organization only", () => {
  const known = knowing({ boxes: [box("box_1", "web"), box("box_2", "web", { orgId: "org_b" })] });
  assert.equal(known.findBox("org_a", "web")?.boxId, "box_1");
  assert.equal(known.findBox("org_b", "web")?.boxId, "box_2");
  assert.equal(known.findBox("org_a", "box_1")?.boxId, "box_1");
  assert.equal(known.findBox("org_a", "box_2"), null, "another organization's id");
  assert.equal(known.findBox("org_c", "web"), null);
});

test("a name goes to the box that has it now", () => {
  const known = knowing({ boxes: [box("box_1", "web")] });
  known.apply({ ...NO_CHANGE, boxes: [box("box_1", "old")] }, 0);
  assert.equal(known.findBox("org_a", "web"), null, "renamed");
  known.apply({ ...NO_CHANGE, boxes: [box("box_2", "web")] }, 0);
  // The box that had the name is deleted late; the name stays with the new one.
  known.apply({ ...NO_CHANGE, boxes: [box("box_3", "web", { phase: "deleting" })] }, 0);
  known.apply({ ...NO_CHANGE, goneBoxes: ["box_3"] }, 0);
  assert.equal(known.findBox("org_a", "web")?.boxId, "box_2");
  known.apply({ ...NO_CHANGE, goneBoxes: ["box_2"] }, 0);
  assert.equal(known.findBox("org_a", "web"), null);
  assert.equal(known.box("box_2"), null);
});

test("a label that was used once is gone for ever: closed, or rotated", () => {
  const known = knowing({ previews: [preview("prv_1", "aaa"), preview("prv_2", "bbb")] });
  known.apply({ ...NO_CHANGE, previews: [preview("prv_1", "ccc")], gonePreviews: ["prv_2"] }, 0);
  assert.equal(known.preview("aaa"), "gone");
  assert.equal(known.preview("bbb"), "gone");
  assert.equal((known.preview("ccc") as FeedPreview).previewId, "prv_1");
  assert.equal(known.preview("ddd"), null);
});

test("a key is found by its fingerprint until it is gone, also when it was registered again", () => {
  const known = knowing({ keys: [key("key_1", "SHA256:a")] });
  assert.equal(known.keys("SHA256:a")[0]?.keyId, "key_1");
  known.apply({ ...NO_CHANGE, keys: [key("key_2", "SHA256:a")] }, 0);
  known.apply({ ...NO_CHANGE, goneKeys: ["key_1"] }, 0);
  assert.equal(known.keys("SHA256:a")[0]?.keyId, "key_2");
  known.apply({ ...NO_CHANGE, goneKeys: ["key_2"] }, 0);
  assert.deepEqual(known.keys("SHA256:a"), []);
});

test("what was revoked stays so until nothing signed before can be valid", () => {
  const known = knowing({ revocations: [{ credentialId: "token_1", untilMs: 1000 }] });
  known.apply({ kind: "beat" }, 1000);
  assert.equal(known.isRevoked("token_1"), true);
  known.apply({ kind: "beat" }, 1001);
  assert.equal(known.isRevoked("token_1"), false);
});

test("a full replaces everything; its lines give all of it back", () => {
  const known = knowing({
    boxes: Array.from({ length: 1201 }, (_, n) => box(`box_${n}`)),
    previews: [preview("prv_1", "aaa")],
    keys: [key("key_1", "SHA256:a")],
    revocations: [{ credentialId: "token_1", untilMs: 1000 }],
  });
  known.apply({ ...NO_CHANGE, previews: [preview("prv_1", "bbb")] }, 0);
  const [full, ...others] = known.lines();
  assert.equal(full?.kind, "full");
  const again = new KnownState(emptyFeed("other"), 0);
  again.apply({ ...NO_CHANGE, boxes: [box("box_x")], keys: [key("key_x", "SHA256:x")] }, 0);
  for (const line of [full!, ...others]) again.apply(line, 0);
  assert.deepEqual([...again.lines()], [...known.lines()]);
  assert.equal(again.box("box_x"), null);
  assert.deepEqual(again.keys("SHA256:x"), []);
  assert.equal(again.box("box_1200")?.boxId, "box_1200");
  assert.equal(again.preview("aaa"), "gone");
  assert.deepEqual(again.settings.ticketKeysPem, ["pem"]);
});

test("listeners hear of every change and beat, until they stop", () => {
  const known = knowing();
  let heard = 0;
  const stop = known.onChange(() => {
    heard += 1;
  });
  known.apply({ kind: "beat" }, 0);
  known.apply(NO_CHANGE, 0);
  stop();
  known.apply(NO_CHANGE, 0);
  assert.equal(heard, 2);
});
