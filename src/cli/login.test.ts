// `berth login` against a real provider: a code here, a browser there.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sql } from "kysely";
import { type Clock, systemClock } from "#lib/clock.ts";
import { ALICE, signIn } from "#test/harness/sign-in.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";

/** Waits are what a person does meanwhile. */
function clockThat(waits: () => Promise<unknown>): Clock {
  return { ...systemClock, sleep: async () => void (await waits()) };
}

async function home(t: { after(work: () => Promise<void>): void }): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "berth-login-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function berth(argv: string[], env: Record<string, string>, clock: Clock = systemClock) {
  const terminal = recordedTerminal({ env, clock });
  const code = await runBerth(terminal, argv);
  return { code, ...terminal.written };
}

test("a person logs in with the command line, is somebody, and logs out", async (t) => {
  const world = await signIn(t);
  const dir = await home(t);
  const env = { XDG_CONFIG_HOME: dir };
  let waits = 0;
  const terminal = recordedTerminal({
    env,
    clock: clockThat(async () => {
      waits += 1;
      // Asked once too early: the provider says that nobody has confirmed yet.
      if (waits !== 2) return;
      const address = /^ {2}(http\S+)$/m.exec(terminal.written.err)?.[1];
      const shown = await world.person("alice").visit(address ?? "");
      assert.match(shown.text, /Sign-in Success/);
    }),
  });
  const argv = ["login", "--url", world.plane.url];
  const code = await runBerth(terminal, argv);
  assert.equal(code, 0, terminal.written.err);
  assert.equal(terminal.written.out, "Logged in to default as Alice.\n");
  assert.match(terminal.written.err, /log in by Corp[\s\S]*the code [A-Z]{4}-[A-Z]{4}\./);
  assert.equal(waits, 2);
  const path = join(dir, "berth/credentials.json");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const { token, url } = JSON.parse(await readFile(path, "utf8"));
  assert.equal(url, world.plane.url);
  assert.ok(!(terminal.written.out + terminal.written.err).includes(token));
  const who = await berth(["whoami"], env);
  assert.equal(who.out, "Alice <alice@corp.test> in default: member\n");
  assert.equal(JSON.parse((await berth(["whoami", "-o", "json"], env)).out).name, "Alice");
  // A bearer token only: no browser takes it for its own.
  const inBrowser = await fetch(`${world.plane.url}/v1/system`, {
    headers: { cookie: `__Host-berth=${token}`, "sec-fetch-site": "same-origin" },
  });
  assert.equal(inBrowser.status, 401);
  // The provider's word counts for it as for a browser's session.
  const { rows } = await sql<{ kind: string; id: string }>`
    select kind, id from web_sessions`.execute(world.plane.db.query);
  assert.deepEqual(
    rows.map((row) => row.kind),
    ["cli"],
  );
  const out = await berth(["logout"], env);
  assert.equal(out.out, "Logged out.\n");
  await assert.rejects(stat(path), { code: "ENOENT" });
  await systemClock.sleep(1100);
  const after = await fetch(`${world.plane.url}/v1/system`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(after.status, 401);
  await world.oidc.setAccount("alice", ALICE);
});

test("an answer to a device's login is worth a session once", async (t) => {
  const world = await signIn(t);
  const post = async (path: string, body: object) => {
    const answer = await fetch(`${world.plane.url}/v1/login/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, string> };
  };
  const { body: started } = await post("device", {});
  assert.deepEqual((await post("device/poll", { handle: started.handle })).body, {
    status: "pending",
  });
  await world.person("alice").visit(started.verificationUriComplete ?? "");
  const answers = await Promise.all([1, 2, 3].map(() => post("device/poll", started)));
  assert.equal(answers.filter(({ body }) => body.status === "done").length, 0, "strict bodies");
  const polls = await Promise.all(
    [1, 2, 3].map(() => post("device/poll", { handle: started.handle })),
  );
  assert.equal(polls.filter(({ body }) => body.status === "done").length, 1);
  for (const { body, status } of polls)
    if (body.status !== "done") assert.deepEqual([status, body.code], [401, "login_failed"]);
  for (const handle of ["", "x", "v1.AAAA", `${started.handle}x`]) {
    const { status, body } = await post("device/poll", { handle });
    assert.deepEqual([status, body.code], [401, "login_failed"]);
  }
});

test("what the command line says when it cannot log in", async (t) => {
  const world = await signIn(t);
  const env = { XDG_CONFIG_HOME: await home(t) };
  const url = ["--url", world.plane.url];
  const unknown = await berth(["login", ...url, "--provider", "nobody"], env);
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /There is no identity provider 'nobody'/);
  await world.addProvider(world.plane.admin, { name: "other", isOfInstallation: true });
  const which = await berth(["login", ...url], env);
  assert.match(which.err, /Say which identity provider: /);
  const bad = await berth(["login", "--url", "ftp://x"], env);
  assert.deepEqual([bad.code, /is no address of Berth/.test(bad.err)], [2, true]);
  // Denied at the provider.
  await world.oidc.setAccount("bob", { name: "Bob", email: "b@x.test" });
  await world.plane.admin.client.providers.update("corp", { defaultRole: null });
  const terminal = recordedTerminal({
    env,
    clock: clockThat(async () => {
      const address = /^ {2}(http\S+)$/m.exec(terminal.written.err)?.[1];
      await world.person("bob").visit(address ?? "");
    }),
  });
  const argv = ["login", ...url, "--provider", "corp"];
  assert.equal(await runBerth(terminal, argv), 4);
  assert.match(terminal.written.err, /Bob belongs to no organization that Corp lets in/);
  // With a token there is nothing to log out of.
  const admin = { BERTH_URL: world.plane.url, BERTH_TOKEN: world.plane.admin.token };
  const out = await berth(["logout"], admin);
  assert.match(out.err, /uses a token, not a login/);
});
