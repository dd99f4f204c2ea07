import assert from "node:assert/strict";
import { test } from "node:test";
import { addressesOf } from "#cli/open.ts";

test("addresses for editors name the box and the folder, and carry no token", () => {
  const addresses = addressesOf(
    { id: "box_1", name: "web" },
    "http://localhost:7300/",
    "/home/dev/my app/ü&x=1",
  );
  assert.equal(addresses.dashboard, "http://localhost:7300/boxes/box_1");
  const vscode = new URL(addresses.vscode);
  assert.equal(vscode.protocol, "vscode:");
  assert.equal(decodeURIComponent(vscode.pathname), "/ssh-remote+web.berth/home/dev/my app/ü&x=1");
  const [, hash = ""] = addresses.jetbrains.split("#");
  const jetbrains = new URLSearchParams(hash);
  assert.equal(jetbrains.get("host"), "web.berth");
  assert.equal(jetbrains.get("projectPath"), "/home/dev/my app/ü&x=1");
  assert.equal(jetbrains.get("x"), null);
  assert.doesNotMatch(JSON.stringify(addresses), /berth_|token|ticket/i);
});
