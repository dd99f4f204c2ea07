// Two organizations with real sign-in share one installation: `./berth up` in real processes, and a real OpenID provider.
// The story that an administrator of a company would try first, told on either driver.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type BerthClient, createClient } from "#sdk/client.ts";
import { TestInstallation, until } from "#test/harness/installation.ts";
import { type OidcProvider, oidcProvider, Person } from "#test/harness/oidc.ts";

const root = resolve(import.meta.dirname, "../..");
const PEOPLE = {
  olga: { email: "olga@acme.test", groups: [] },
  bob: { email: "bob@acme.test", groups: [] },
  carl: { email: "carl@acme.test", groups: ["acme-dev"] },
  dora: { email: "dora@acme.test", groups: ["acme-audit"] },
};

interface SignedIn {
  readonly token: string;
  readonly client: BerthClient;
  readonly env: Readonly<Record<string, string>>;
}

let berth: TestInstallation;
let oidc: OidcProvider;
let url = "";
let admin: BerthClient;
const enders: (() => Promise<void>)[] = [];
/** Whoever has signed in, by name. */
const signedIn = new Map<string, SignedIn>();

/** `berth login`, with the person's browser beside it. */
async function signIn(name: string, wanted: object = {}): Promise<SignedIn> {
  const post = async (path: string, body: object) => {
    const answer = await fetch(`${url}/v1/login/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, string> };
  };
  const started = await post("device", wanted);
  assert.equal(started.status, 201, JSON.stringify(started.body));
  const page = await new Person(name, {}).visit(
    started.body.verificationUriComplete ?? started.body.verificationUri ?? "",
  );
  assert.match(page.text, /Sign-in Success/);
  let token = "";
  while (token === "") {
    await delay(1000 * Number(started.body.intervalS));
    const answer = await post("device/poll", { handle: started.body.handle });
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    token = answer.body.token ?? "";
  }
  const env = { ...berth.env, BERTH_URL: url, BERTH_TOKEN: token };
  const one = { token, env, client: createClient({ url, token, retries: 0 }) };
  signedIn.set(name, one);
  return one;
}

function as(name: string): SignedIn {
  const one = signedIn.get(name);
  assert.ok(one, `${name} has signed in`);
  return one;
}

/** `./berth ARGS` as somebody else than the administrator. */
function command(name: string, args: readonly string[]) {
  const child = spawn(join(root, "berth"), args, { env: as(name).env, stdio: "pipe" });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  child.stdin.on("error", () => {});
  const ended = new Promise<number>((done) => child.once("close", (code) => done(code ?? -1)));
  enders.push(async () => void child.kill("SIGKILL"));
  return { ended, out: () => out, err: () => err };
}

/** A program in a box that prints a number on each line and goes on for hours. */
const COUNTING = {
  fake: ["count", "1000000", "20"],
  qemu: ["sh", "-c", "i=0; while sleep 0.1; do i=$((i+1)); echo $i; done"],
};

export function tellStory(driver: "fake" | "qemu"): void {
  before(async () => {
    berth = await TestInstallation.make(driver);
    await berth.ok(["up", "--detach"]);
    const app = await berth.webApp();
    url = app.url;
    admin = createClient({ url, token: app.token });
    oidc = await oidcProvider(
      { after: (work) => enders.push(work) },
      {
        accounts: Object.fromEntries(
          Object.entries(PEOPLE).map(([name, claims]) => [
            name,
            { ...claims, name, email_verified: true },
          ]),
        ),
      },
    );
  });
  after(async () => {
    for (const end of enders) await end();
    await berth?.close();
  });

  test("an operator connects a provider, and makes an organization for somebody else", async () => {
    const provider = await admin.providers.create({
      ...{ name: "corp", label: "Corp", issuer: oidc.issuer, clientId: "to-be-registered" },
      ...{ isOfInstallation: true, isTrusted: true, checkEveryMs: 5000 },
    });
    const client = await oidc.registerClient({ redirectUri: provider.redirectUri });
    await admin.providers.update(provider.id, client);
    const made = await admin.orgs.create({ name: "acme", inviteOwner: true });
    assert.ok(made.invitation);
    const olga = await signIn("olga", { invitation: made.invitation.secret });
    const who = (await olga.client.system.get()).user;
    assert.deepEqual([who.org.name, who.roles, who.isOperator], ["acme", ["owner"], false]);
    const mine = await admin.orgs.list();
    assert.deepEqual(
      mine.items.map((org) => org.name),
      ["default"],
      "the operator is not in it",
    );
  });

  test("its owner says what groups mean, invites a member, and makes a template", async () => {
    const { client } = as("olga");
    await client.providers.setGroups("corp", {
      groups: [
        { group: "acme-dev", role: "member" },
        { group: "acme-audit", role: "auditor" },
      ],
    });
    const invitation = await client.invitations.create({ email: "bob@acme.test" });
    await assert.rejects(signIn("carl", { invitation: invitation.secret }), /another address/);
    const bob = await signIn("bob", { invitation: invitation.secret });
    assert.deepEqual((await bob.client.system.get()).user.roles, ["member"]);
    await client.templates.create({ name: "default" });
    await until("the template is ready", async () =>
      Boolean((await client.templates.get("default")).ready),
    );
  });

  test("the member creates a box and shares it with a team-mate, who opens a terminal in it", async (t) => {
    const bob = as("bob");
    const carl = await signIn("carl", { org: "acme" });
    await signIn("dora", { org: "acme" });
    const { box } = await bob.client.boxes.create({ template: "default", name: "work" });
    await bob.client.boxes.until(box.id, "running");
    await assert.rejects(carl.client.boxes.get("work"), { code: "not_found" });
    await bob.client.shares.create("work", { user: "carl", role: "use" });
    assert.equal((await carl.client.boxes.get("work")).id, box.id);
    await assert.rejects(carl.client.boxes.stop("work"), { code: "forbidden" });
    const counting = command("carl", ["exec", "-s", "talk", "work", "--", ...COUNTING[driver]]);
    await until("the terminal shows numbers", async () => {
      if (/^20$/m.test(counting.out())) return true;
      throw new Error(`out: ${counting.out()} err: ${counting.err()}`);
    });
    // The other organization has nothing to do with any of it.
    await assert.rejects(admin.boxes.get(box.id), { code: "not_found" });
    await assert.rejects(admin.shares.list(box.id), { code: "not_found" });
    assert.ok(!(await admin.members.list()).items.some((member) => member.name === "bob"));

    // Removed from the provider, they are out of everything they have open.
    const removedMs = performance.now();
    await oidc.setAccount("carl", { ...PEOPLE.carl, disabled: true });
    assert.notEqual(await counting.ended, 0);
    t.diagnostic(`out ${Math.round(performance.now() - removedMs)} ms after the provider said so`);
    await until("the session is over", async () =>
      carl.client.system.get().then(
        () => false,
        (error: { code?: string }) => error.code === "unauthenticated",
      ),
    );
    assert.equal((await bob.client.boxes.get("work")).phase, "running", "and the box goes on");
  });

  test("an auditor reads the whole story, and the chain verifies", async () => {
    const { client, env } = as("dora");
    await assert.rejects(client.boxes.create({ template: "default" }), { code: "forbidden" });
    const wanted = ["invitations.create", "templates.create", "boxes.create", "shares.create"];
    await until("all of it is in the trail", async () => {
      const { items } = await client.audit.list({ limit: 200 });
      const verbs = new Set(items.map((entry) => entry.verb));
      return wanted.every((verb) => verbs.has(verb as never));
    });
    const { items } = await client.audit.list({ limit: 200 });
    const entered = items.filter((entry) => /^access\.|enter/.test(entry.verb));
    assert.ok(entered.length > 0, "who entered is told");
    assert.ok(
      items.some((entry) => entry.outcome === "refused"),
      "who tried and might not is told",
    );
    await assert.rejects(as("bob").client.audit.list(), { code: "forbidden" });
    const verified = spawn(join(root, "berth"), ["audit", "verify"], { env, stdio: "pipe" });
    let said = "";
    for (const stream of [verified.stdout, verified.stderr])
      stream.on("data", (chunk) => {
        said += chunk;
      });
    assert.equal(await new Promise((done) => verified.once("close", done)), 0, said);
  });

  test("`down` brings everybody's boxes to rest, and `up` finds them so", async () => {
    await berth.ok(["down"]);
    await berth.ok(["up", "--detach"]);
    const { client } = as("bob");
    const box = await client.boxes.get("work");
    assert.deepEqual([box.phase, box.snapshot?.durable], ["paused", true]);
    const { items } = await client.events.list({ box: box.id });
    assert.ok(
      items.some((event) => /pause was asked, because node .* is drained/.test(event.message)),
    );
    await client.boxes.resume("work");
    await client.boxes.until("work", "running");
  });
}
