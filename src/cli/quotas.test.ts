// `berth quota` against a real control plane.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createTeam } from "#store/teams.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { EXIT } from "./exit.ts";

async function berth(plane: ControlPlane, argv: readonly string[], token = plane.admin.token) {
  const terminal = recordedTerminal({ env: { BERTH_URL: plane.url, BERTH_TOKEN: token } });
  const code = await runBerth(terminal, argv);
  return { code, out: terminal.written.out, err: terminal.written.err.replaceAll(/\s+/g, " ") };
}

test("limits are set and shown beside what is taken", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const ada = await plane.addMember("ada");
  await createTeam(plane.db, plane.admin.subject, "core");
  const set = async (...argv: string[]) => {
    const { code, err } = await berth(plane, ["quota", "set", ...argv]);
    assert.equal(code, EXIT.ok, err);
  };
  await set("--org", "default", "boxes=3", "memory=64GiB");
  await set("--every-user", "boxes=2", "templates=default");
  await set("--user", "ada", "running=1", "snapshots=1.5GiB");
  await set("--team", "core", "cpus=8");
  await set("--team", "core", "cpus=none", "box-memory=4GiB");
  await ada.client.boxes.create({ template: "default", name: "one" });

  const own = await berth(plane, ["quota"], ada.token);
  assert.match(own.out, /^ +YOU \(ada\)\nboxes +1 of 2\nrunning +1 of 1\n/);
  assert.match(own.out, /\nsnapshots +0 of 1\.5 GiB\n/);
  assert.match(own.out, /\ntemplates +at most tpl_/);
  const all = await berth(plane, ["quota", "show"]);
  assert.match(all.out, /YOU \(admin\) +ORGANIZATION default\nboxes +0 of 2 +1 of 3\n/);
  assert.match(all.out, /\nmemory +0 +[\d.]+ \w+ of 64\.0 GiB\n/);
  const listed = await berth(plane, ["quota", "list"]);
  assert.match(listed.out, /^USER +BOXES +RUNNING/);
  assert.match(listed.out, /\nada +1 of 2 +1 of 1 +/);
  const teams = JSON.parse((await berth(plane, ["quota", "list", "--teams", "-o", "json"])).out);
  assert.deepEqual(
    [teams[0].name, teams[0].limits.cpus, teams[0].limits.boxMemoryMib],
    ["core", null, 4096],
  );

  const forAll = await berth(plane, ["quota", "set", "--default", "team", "gpus=2"]);
  assert.equal(forAll.code, 0, forAll.err);
  const defaults = await berth(plane, ["quota", "defaults"]);
  assert.match(defaults.out, /EACH ORGANIZATION +EACH TEAM +EACH USER\n *gpus +2/);

  const refused = await berth(plane, ["create", "two", "--no-wait"], ada.token);
  assert.equal(refused.code, EXIT.failed);
  assert.match(
    refused.err,
    /Your limit is 1 running box: 1 is used.* Pause or stop one to make room/,
  );
});

test("what is wrong with a limit is said before anything is sent", async (t) => {
  const plane = await controlPlane(t);
  for (const [argv, text] of [
    [["boxs=1", "--user", "admin"], /no limit 'boxs': did you mean boxes\?/],
    [["boxes=many", "--user", "admin"], /boxes is 'many': write a whole number/],
    [["memory=64", "--user", "admin"], /say the unit, as in 64GiB/],
    [["boxes=", "--user", "admin"], /Write boxes=VALUE, or boxes=none/],
    [["boxes=1"], /Say whose limits/],
    [["boxes=1", "--user", "admin", "--every-team"], /Say whose limits/],
  ] as const) {
    const { code, err } = await berth(plane, ["quota", "set", ...argv]);
    assert.equal(code, EXIT.usage, err);
    assert.match(err, text);
  }
  const member = await plane.addMember("ada");
  const { code, err } = await berth(
    plane,
    ["quota", "set", "--user", "ada", "boxes=9"],
    member.token,
  );
  assert.equal(code, EXIT.notAllowed, err);
  assert.match(err, /quota\.manage/);
});
