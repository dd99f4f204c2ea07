// `berth org`, `member`, `invitation`, `team`, `service-account` and `share` against a real control plane.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { EXIT } from "./exit.ts";

async function berth(plane: ControlPlane, token: string, ...argv: string[]) {
  const terminal = recordedTerminal({ env: { BERTH_URL: plane.url, BERTH_TOKEN: token } });
  const code = await runBerth(terminal, argv);
  return { code, out: terminal.written.out, err: terminal.written.err.replaceAll(/\s+/g, " ") };
}

async function done(plane: ControlPlane, token: string, ...argv: string[]): Promise<string> {
  const { code, out, err } = await berth(plane, token, ...argv);
  assert.equal(code, EXIT.ok, `${argv.join(" ")}: ${err}`);
  return out.trim();
}

/** A replica may believe a token for a second after its end. */
async function untilOut(plane: ControlPlane, token: string): Promise<void> {
  for (;;) {
    const { code, err } = await berth(plane, token, "ls");
    if (code === EXIT.ok) continue;
    assert.match(err, /unknown, expired or revoked/);
    return;
  }
}

test("somebody is invited, works in a team, is given a box, and is removed", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const admin = plane.admin.token;
  await done(plane, admin, "team", "create", "web");
  const link = await done(plane, admin, "invitation", "create", "--team", "web");
  const address = `${plane.url}/invitation#${link.split("#")[1]}`;
  const home = await mkdtemp(join(tmpdir(), "berth-ada-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const takes = async (text: string, name: string) => {
    const terminal = recordedTerminal({ env: { XDG_CONFIG_HOME: home } });
    const code = await runBerth(terminal, ["invitation", "accept", text, "--name", name]);
    return { code, ...terminal.written };
  };
  assert.equal((await takes(`${plane.url}/invitation`, "Ada")).code, EXIT.usage, "cut by a shell");
  const joined = await takes(address, "Ada Lovelace");
  assert.equal(joined.out, "default\n", joined.err);
  assert.match((await takes(address, "Eve")).err, /invitation/, "it works once");
  const kept = JSON.parse(await readFile(join(home, "berth/credentials.json"), "utf8"));
  assert.equal(kept.url, plane.url);
  const ada = kept.token as string;
  assert.match(await done(plane, ada, "whoami"), /^Ada Lovelace in default: member$/);
  assert.match(await done(plane, ada, "org", "list"), /default \(here\) +org_\w+ +member/);
  assert.match(await done(plane, ada, "team", "members", "web"), /Ada Lovelace +- +member/);

  await done(plane, ada, "create", "mine", "--team", "web", "--no-wait");
  await done(plane, admin, "create", "theirs", "--no-wait");
  assert.match(await done(plane, ada, "ls"), /mine/);
  assert.doesNotMatch(await done(plane, ada, "ls"), /theirs/);
  const hidden = await berth(plane, ada, "show", "theirs");
  assert.equal(hidden.code, EXIT.failed);
  assert.match(hidden.err, /no box 'theirs'/);

  const share = await done(
    plane,
    admin,
    "share",
    "add",
    "theirs",
    "--user",
    "Ada Lovelace",
    "--as",
    "view",
  );
  const seen = await berth(plane, ada, "stop", "theirs");
  assert.equal(seen.code, EXIT.notAllowed);
  assert.match(seen.err, /needs the permission box\.control/);
  await done(plane, admin, "share", "add", "theirs", "--team", "web", "--as", "admin");
  await done(plane, ada, "stop", "theirs", "--no-wait");
  assert.match(await done(plane, admin, "share", "list", "theirs"), /the team web +admin/);
  await done(plane, admin, "share", "remove", "theirs", share);
  await done(plane, admin, "hand-over", "theirs", "--owner", "Ada Lovelace", "--team", "none");
  assert.match(await done(plane, admin, "member", "list"), /Ada Lovelace +- +member +2 /);

  await done(plane, admin, "member", "role", "Ada Lovelace", "admin");
  const last = await berth(plane, admin, "member", "remove", "admin");
  assert.match(last.err, /last owner stays/);
  const owner = await berth(plane, ada, "member", "role", "Ada Lovelace", "owner");
  assert.equal(owner.code, EXIT.notAllowed, "no admin makes itself an owner");
  await done(plane, admin, "member", "remove", "Ada Lovelace");
  await untilOut(plane, ada);
  assert.match(await done(plane, admin, "ls"), /theirs/, "boxes stay");
});

test("a program has an account, tokens that are narrower than it, and an end", async (t) => {
  const plane = await controlPlane(t);
  await plane.addTemplate();
  const admin = plane.admin.token;
  await done(plane, admin, "service-account", "create", "ci");
  const token = await done(
    plane,
    admin,
    "service-account",
    "token",
    "ci",
    "nightly",
    "--scope",
    "box.read",
  );
  await done(plane, token, "ls");
  const refused = await berth(plane, token, "create", "x", "--no-wait");
  assert.equal(refused.code, EXIT.notAllowed);
  assert.match(refused.err, /permission box\.create/);
  assert.match(await done(plane, admin, "service-account", "tokens", "ci"), /nightly/);
  await done(plane, admin, "service-account", "delete", "ci");
  await untilOut(plane, token);
  const asOwner = await berth(plane, admin, "service-account", "create", "root", "--role", "owner");
  assert.equal(asOwner.code, EXIT.notAllowed);
  const noRole = await berth(plane, admin, "service-account", "create", "odd", "--role", "king");
  assert.equal(noRole.code, EXIT.failed);
  assert.match(noRole.err, /roles/);
});

test("organizations have names of their own, and an operator makes them", async (t) => {
  const plane = await controlPlane(t);
  const admin = plane.admin.token;
  await done(plane, admin, "org", "create", "acme");
  assert.match(await done(plane, admin, "org", "list"), /acme +org_\w+ +owner/);
  const again = await berth(plane, admin, "org", "create", "acme");
  assert.match(again.err, /already an organization named 'acme'/);
  const stranger = await berth(plane, plane.stranger.token, "org", "create", "mine");
  assert.equal(stranger.code, EXIT.notAllowed);
  const token = await berth(plane, admin, "org", "switch", "acme");
  assert.match(token.err, /of one organization/);
  await done(plane, admin, "org", "update", "--name", "main", "--max-visibility", "org");
  assert.match(await done(plane, admin, "org", "show"), /name +main\n[\s\S]*org at most/);
});
