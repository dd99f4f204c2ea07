import assert from "node:assert/strict";
import { test } from "node:test";
import { byName } from "../data/pages.ts";
import { foundIn } from "./found.ts";

test("a list is searched by every word, and put in an order that there is", () => {
  const items = [
    { name: "web-10", of: "Ada" },
    { name: "web-9", of: "Bela" },
    { name: "mobile", of: "Ada" },
  ];
  const find = {
    textOf: (item: (typeof items)[number]) => `${item.name} ${item.of}`,
    orders: { "By name": byName },
  };
  const names = (q: string, sort = "") => foundIn(items, find, { q, sort }).map(({ name }) => name);
  assert.deepEqual(names(""), ["web-10", "web-9", "mobile"]);
  assert.deepEqual(names(" ADA  web "), ["web-10"]);
  assert.deepEqual(names("nobody"), []);
  assert.deepEqual(names("web", "By name"), ["web-9", "web-10"]);
  assert.deepEqual(names("web", "constructor"), ["web-10", "web-9"]);
});
