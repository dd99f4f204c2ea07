import assert from "node:assert/strict";
import { test } from "node:test";
import { Routes } from "./routes.ts";

const at = (epoch: number, boxId = "box") => ({ boxId, epoch });

test("a box is found at the link that announced it", () => {
  const routes = new Routes<string>();
  assert.deepEqual(routes.find("box"), { kind: "nowhere" });
  assert.deepEqual(routes.announce("a", [at(1)]), []);
  assert.deepEqual(routes.find("box"), { kind: "here", epoch: 1, link: "a" });
  assert.equal(routes.boxes, 1);
});

test("the highest epoch wins, whoever speaks last", () => {
  const routes = new Routes<string>();
  routes.announce("old", [at(1)]);
  assert.deepEqual(routes.announce("new", [at(2)]), [at(1)]);
  assert.deepEqual(routes.announce("old", [at(1)]), []);
  assert.deepEqual(routes.find("box"), { kind: "here", epoch: 2, link: "new" });
  // Also when the new one is gone: what the old one runs is not the box any more.
  routes.drop("new");
  routes.announce("old", [at(1)]);
  assert.deepEqual(routes.find("box"), { kind: "away", epoch: 2 });
});

test("a box that comes to rest ends its streams and is nowhere; its epoch stays known", () => {
  const routes = new Routes<string>();
  routes.announce("a", [at(3), at(1, "other")]);
  assert.deepEqual(routes.announce("a", [at(1, "other")]), [at(3)]);
  assert.deepEqual(routes.find("box"), { kind: "nowhere" });
  routes.announce("zombie", [at(2)]);
  assert.deepEqual(routes.find("box"), { kind: "nowhere" });
  routes.announce("b", [at(4)]);
  assert.deepEqual(routes.find("box"), { kind: "here", epoch: 4, link: "b" });
});

test("a lost link makes its boxes away, and a new link of the same node brings them back", () => {
  const routes = new Routes<string>();
  routes.announce("a", [at(1)]);
  routes.announce("a again", [at(1)]);
  routes.drop("a");
  assert.deepEqual(routes.find("box"), { kind: "here", epoch: 1, link: "a again" });
  routes.drop("a again");
  assert.deepEqual(routes.find("box"), { kind: "away", epoch: 1 });
  routes.announce("a third time", [at(1)]);
  assert.equal(routes.find("box").kind, "here");
});

test("what is remembered of boxes at rest is bounded; boxes that run are never forgotten", () => {
  const routes = new Routes<string>({ maxRemembered: 2 });
  routes.announce("a", [at(5, "1"), at(5, "2"), at(5, "3")]);
  assert.equal(routes.boxes, 3);
  routes.announce("a", [at(5, "3")]);
  routes.announce("zombie", [at(1, "2")]);
  assert.equal(routes.find("2").kind, "nowhere");
  assert.equal(routes.find("3").kind, "here");
  routes.announce("zombie", [at(1, "1")]);
  assert.equal(routes.find("1").kind, "here"); // Forgotten: the ticket's epoch is what is left.
});

test("who may not serve a box is not found, and shadows nobody", () => {
  const allowed = new Set(["a 1"]);
  const routes = new Routes<string>({
    mayServe: ({ epoch }, link) => allowed.has(`${link} ${epoch}`),
  });
  routes.announce("liar", [at(9)]);
  assert.deepEqual(routes.find("box"), { kind: "nowhere" });
  assert.deepEqual(routes.announce("a", [at(1)]), []);
  assert.deepEqual(routes.find("box"), { kind: "here", epoch: 1, link: "a" });
  // What may serve changes with what is known, without anybody announcing anything.
  routes.announce("b", [at(2)]);
  assert.deepEqual(routes.find("box"), { kind: "here", epoch: 1, link: "a" });
  allowed.clear();
  allowed.add("b 2");
  assert.deepEqual(routes.find("box"), { kind: "here", epoch: 2, link: "b" });
  // And never goes back.
  allowed.add("a 1");
  routes.drop("b");
  assert.deepEqual(routes.find("box"), { kind: "away", epoch: 2 });
});
