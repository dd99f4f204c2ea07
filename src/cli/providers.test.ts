// `berth provider` and `scim-token` against a real control plane; and what `token revoke` says of what ended with it.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeSshKey } from "#lib/ssh-keys.ts";
import { createClient } from "#sdk/client.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { EXIT } from "./exit.ts";

async function berth(plane: ControlPlane, token: string, ...argv: string[]) {
  const terminal = recordedTerminal({ env: { BERTH_URL: plane.url, BERTH_TOKEN: token } });
  const code = await runBerth(terminal, argv);
  return { code, out: terminal.written.out, err: terminal.written.err.replaceAll(/\s+/g, " ") };
}

async function done(plane: ControlPlane, ...argv: string[]): Promise<string> {
  const { code, out, err } = await berth(plane, plane.admin.token, ...argv);
  assert.equal(code, EXIT.ok, `${argv.join(" ")}: ${err}`);
  return out.trim();
}

const ISSUER = ["--issuer", "https://login.corp.example"];

test("a provider is made known, changed, told what groups mean, and removed", async (t) => {
  const plane = await controlPlane(t);
  const { providers, teams } = plane.admin.client;
  const folder = await mkdtemp(join(tmpdir(), "berth-providers-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const secret = join(folder, "secret");
  await writeFile(secret, "s3cret\n");
  const added = await done(
    ...([plane, "provider", "add", "corp", ...ISSUER, "--for-all"] as const),
    ...["--default-role", "member", "--domain", "corp.example", "--domain", "corp.test"],
  );
  const { id } = await providers.get("corp");
  assert.match(added, new RegExp(`redirect URI +https://berth.test/v1/login/callback/${id}`));
  assert.match(added, /client +to-be-set \(without a secret\)/);
  const changed = await done(
    ...([plane, "provider", "update", "corp", "--client-id", "berth"] as const),
    ...["--secret-file", secret, "--no-new-users", "--check-every", "1m"],
  );
  assert.match(changed, /client +berth \(with a secret\)/);
  const made = await providers.get("corp");
  assert.deepEqual(
    [made.admitsNewUsers, made.isTrusted, made.checkEveryMs, made.defaultRole, made.emailDomains],
    [false, true, 60_000, "member", ["corp.example", "corp.test"]],
  );
  await done(plane, "provider", "update", "corp", "--new-users", "--default-role", "none");
  const again = await providers.get("corp");
  assert.deepEqual([again.admitsNewUsers, again.defaultRole], [true, null]);
  assert.match(await done(plane, "provider", "list"), /corp +corp +https:\S+ +everybody +-/);
  await teams.create({ name: "web" });
  await done(plane, "provider", "map", "corp", "leads", "admin");
  const mapped = await done(plane, "provider", "map", "corp", "dev", "member", "--team", "web");
  assert.match(mapped, /dev +member +team_\w+\nleads +admin +-/);
  assert.doesNotMatch(await done(plane, "provider", "unmap", "corp", "leads"), /leads/);
  const unknown = await berth(plane, plane.admin.token, "provider", "unmap", "corp", "leads");
  assert.match(unknown.err, /the group leads means nothing here already/);
  const empty = await berth(
    ...([plane, plane.admin.token, "provider", "update", "corp"] as const),
    ...["--secret-file", join(folder, "none")],
  );
  assert.deepEqual([empty.code, /holds no secret/.test(empty.err)], [EXIT.usage, true]);
  const token = await done(plane, "scim-token", "create", "okta");
  assert.match(token, /base URL +https:\/\/berth\.test\/scim\/v2\ntoken +\S+/);
  const [directory] = (await plane.admin.client.scimTokens.list()).items;
  await done(plane, "scim-token", "revoke", directory?.id ?? "");
  assert.equal((await plane.admin.client.scimTokens.list()).items.length, 0);
  await done(plane, "provider", "remove", "corp", "-y");
  assert.equal((await providers.list()).items.length, 0);
});

test("a token that is revoked says what has ended with it, and keeps it when told to", async (t) => {
  const plane = await controlPlane(t);
  const { tokens, keys } = plane.admin.client;
  const stolen = await tokens.create({ name: "stolen" });
  const thief = createClient({ url: plane.url, token: stolen.token, retries: 0 });
  const lasting = await thief.tokens.create({ name: "lasting" });
  await thief.keys.create({ name: "door", publicKey: makeSshKey("x").publicKeyLine });
  assert.match(await done(plane, "token", "list"), /lasting .* never +stolen +everything/);
  const revoked = await done(plane, "token", "revoke", stolen.id);
  assert.match(revoked, /also ended: 1 token made with it, 1 SSH key made with it$/);
  assert.equal((await keys.list()).items.length, 0);
  const old = await tokens.create({ name: "old" });
  const next = createClient({ url: plane.url, token: old.token, retries: 0 });
  const { token } = await next.tokens.create({ name: "new" });
  const own = await berth(plane, token, "token", "revoke", old.id);
  assert.match(own.err, /made with old, and would end with it: keep .*--keep-made/);
  const kept = await berth(plane, token, "token", "revoke", old.id, "--keep-made");
  assert.deepEqual([kept.code, kept.out], [EXIT.ok, `${old.id}\n`]);
  assert.equal((await berth(plane, token, "token", "list")).code, EXIT.ok);
  assert.ok(lasting.madeWith);
});
