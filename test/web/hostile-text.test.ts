// Everything that people, programs, nodes and errors can have shown in the web app, as markup that says its name if it
// ever runs. Where the API takes no such text it is put into the database, or into the answer. Two defences stand in a row,
// each enough: the app shows text as text, and its policy runs no script of a page. Each is switched off in turn; with
// both off every single field runs, so none of them is only thought to be shown.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { sql } from "kysely";
import type { Page } from "playwright-core";
import type { ListeningPort } from "#domain/box.ts";
import { fakeExecStream } from "#drivers/fake/exec-stream.ts";
import { FakeSessions } from "#drivers/fake/sessions.ts";
import { PREVIEW_DEFENCES } from "#gateway/preview-defences.ts";
import { print } from "#gateway/preview-pages.ts";
import { systemClock } from "#lib/clock.ts";
import { until } from "#test/harness/installation.ts";
import {
  DASHBOARD,
  newPerson,
  type PreviewWorld,
  previewWorld,
} from "#test/harness/preview-world.ts";

let world: PreviewWorld;
let templateId: string;

/** Without a double quote, which a definition that is shown as JSON would escape. */
const hostile = (field: string) => `<img src=x onerror=(window.ran??=[]).push('${field}')>`;
const PUBLIC_KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGjFt4vWqbGGd7pJ5xqJQJ0Y5n8nO6FfL0c1q2w3e4r5 x";

before(async (scope) => {
  world = await previewWorld(scope as never);
  const { node } = world;
  const { admin } = world.plane;
  const port: ListeningPort = { port: 3000, isLoopback: false, program: hostile("program") };
  node.ports.set(world.boxId, [port]);
  await node.step();
  const { snapshot } = await admin.client.checkpoints.create(world.boxId, { name: "x" });
  await node.step();
  await admin.client.tokens.create({ name: hostile("token-name") });
  await admin.client.keys.create({ name: hostile("key-name"), publicKey: PUBLIC_KEY });
  templateId = (await admin.client.templates.get("default")).id;
  await fillOrganization();
  await writeBelowTheApi(snapshot.id);
  showPrograms();
});

/** What members, administrators and providers can have shown of an organization; the rest of their names comes below. */
async function fillOrganization(): Promise<void> {
  const { plane, boxId } = world;
  const { client, token } = plane.admin;
  const member = await plane.addMember("member");
  const team = await client.teams.create({ name: "team" });
  await client.teams.setMember(team.id, { user: member.subject.userId });
  await client.shares.create(boxId, { team: team.id, role: "use" });
  await client.shares.create(boxId, { user: member.subject.userId, role: "view" });
  await client.invitations.create({ email: "invited@example.com", team: team.id });
  const account = await client.serviceAccounts.create({ name: "account" });
  await client.serviceAccounts.createToken(account.id, { name: hostile("account-token") });
  await client.prices.set({ currency: "EUR", prices: { vcpu: "1000" } });
  await client.budgets.set({ team: team.id, amount: "10" });
  await client.scimTokens.create({ name: hostile("directory") });
  for (const isOfInstallation of [true, false])
    await client.providers.create({
      ...{ name: isOfInstallation ? "all" : "own", isOfInstallation, clientId: "berth" },
      label: hostile(isOfInstallation ? "provider" : "own-provider"),
      issuer: `https://${isOfInstallation ? "all" : "own"}.example.com`,
    });
  await client.orgs.create({ name: "elsewhere" });
  // What a program says of itself is in the trail.
  await fetch(`${plane.url}/v1/teams/none`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${token}`, "user-agent": hostile("program-of-theirs") },
  });
  const { query } = plane.db;
  await sql`update teams set name = ${hostile("team-name")} where id = ${team.id}`.execute(query);
  await sql`update users set name = ${hostile("member-name")}, email = ${hostile("email")}
    where id = ${member.subject.userId}`.execute(query);
  await sql`update users set name = ${hostile("account-name")} where id = ${account.id}`.execute(
    query,
  );
  await sql`update invitations set email = ${hostile("invited")}`.execute(query);
  await sql`update providers set issuer = ${hostile("issuer")}, name = ${hostile("own-name")}
    where name = 'own'`.execute(query);
  await sql`update orgs set name = ${hostile("other-org")} where name = 'elsewhere'`.execute(query);
}

/** Where the API takes no such text, or nobody but a node or the control plane writes it. */
async function writeBelowTheApi(snapshotId: string): Promise<void> {
  const { query } = world.plane.db;
  const { orgId, userId } = world.plane.admin.subject;
  const { boxId } = world;
  const fault = {
    ...{ code: "start_failed", message: hostile("fault"), retryable: true, attempts: 1 },
    ...{ sinceMs: Date.now(), nextAttemptMs: null },
  };
  const notices = [{ code: "vmm_died", message: hostile("notice"), atMs: Date.now() }];
  const placement = { summary: hostile("placement") };
  const renewed = [hostile("renewed")];
  const renewal = { renewed, sshHostKey: hostile("host-key"), at: Date.now() };
  const started = { how: "booted", phases: { [hostile("start-phase")]: 1 } };
  await sql`update boxes set name = ${hostile("box-name")}, fault = ${JSON.stringify(fault)}::jsonb,
    notices = ${JSON.stringify(notices)}::jsonb, placement = placement || ${JSON.stringify(placement)}::jsonb,
    renewal = ${JSON.stringify(renewal)}::jsonb, started = ${JSON.stringify(started)}::jsonb
    where id = ${boxId}`.execute(query);
  await sql`update snapshots set name = ${hostile("snapshot-name")}, error = ${hostile("snapshot-error")}
    where id = ${snapshotId}`.execute(query);
  await sql`update nodes set name = ${hostile("node-name")}, region = ${hostile("region")},
    labels = ${JSON.stringify({ [hostile("label")]: hostile("label-value") })}::jsonb,
    fingerprint = fingerprint || ${JSON.stringify({ acceleratorReason: hostile("accelerator") })}::jsonb
    where id = ${world.node.id}`.execute(query);
  await sql`update templates set name = ${hostile("template-name")} where id = ${templateId}`.execute(
    query,
  );
  await sql`update template_versions set state = 'building', build_log = ${hostile("build-log")}, build_step = ${hostile("build-step")},
    build_error = ${hostile("build-error")},
    definition = definition || ${JSON.stringify({ setup: hostile("setup"), env: { A: hostile("env") } })}::jsonb
    where template_id = ${templateId}`.execute(query);
  await sql`update users set name = ${hostile("user-name")} where id = ${userId}`.execute(query);
  await sql`update orgs set name = ${hostile("org-name")} where id = ${orgId}`.execute(query);
  await sql`insert into events (org_id, kind, subject_kind, subject_id, box_id, message)
    values (${orgId}, ${hostile("event-kind")}, 'box', ${boxId}, ${boxId}, ${hostile("event-message")})`.execute(
    query,
  );
}

/** A session's title, output and name of its program, and the console, as the box writes them. */
function showPrograms(): void {
  const { driver } = world;
  const sessions = new FakeSessions(systemClock);
  const argv = ["echo", hostile("argv").slice(0, 60), `\x1b]0;${hostile("title")}\x07`];
  sessions.start({ kind: "start", argv, session: "evil" } as never, async () => ({
    output: `${hostile("output")}${argv[2]}\n`,
    exitCode: 0,
  }));
  const run = async () => ({ exitCode: 0, stdout: "", stderr: "" });
  const connect = driver.connect.bind(driver);
  driver.connect = async (boxId, epoch, port) =>
    port === 1 ? fakeExecStream({ run, sessions }) : connect(boxId, epoch, port);
  driver.openSession = async (_box, _epoch, session, mode) =>
    fakeExecStream({ run, sessions, only: { session, mode: mode as "read" } });
  driver.consoleText = hostile("console");
}

interface Place {
  readonly path: () => string;
  readonly shows: readonly string[];
  readonly act?: (page: Page) => Promise<void>;
}

const box = (tab: string) => () => `/boxes/${world.boxId}/${tab}`;
const detail = (field: string) => ({
  status: 409,
  contentType: "application/problem+json",
  body: JSON.stringify({
    ...{ type: "about:blank", title: "x", status: 409, code: "conflict", requestId: "x" },
    detail: hostile(field),
  }),
});

const PLACES: Readonly<Record<string, Place>> = {
  boxes: {
    path: () => "/boxes",
    shows: ["box-name", "template-name", "node-name", "fault"],
  },
  "a box's ports": { path: box("ports"), shows: ["box-name", "program", "node-name"] },
  "a box's events": { path: box("events"), shows: ["event-kind", "event-message"] },
  "a box's console": { path: box("logs"), shows: ["console"] },
  "a box's snapshots": { path: box("snapshots"), shows: ["snapshot-name", "snapshot-error"] },
  "what is known of a box": {
    path: box("info"),
    shows: ["notice", "placement", "renewed", "host-key", "start-phase"],
  },
  "a terminal's title, and the sessions of a box": {
    path: () => `/boxes/${world.boxId}/terminal?session=evil&mode=read`,
    shows: ["title", "argv"],
    act: async (page) => {
      await page.getByRole("button", { name: "Sessions in the box" }).click();
    },
  },
  templates: { path: () => "/templates", shows: ["template-name", "build-step"] },
  "a template": {
    path: () => `/templates/${templateId}`,
    shows: ["build-log", "build-step", "build-error", "setup", "env"],
  },
  nodes: {
    path: () => "/nodes",
    shows: ["node-name", "region", "label", "label-value", "accelerator"],
    act: (page) => page.getByText("fake", { exact: true }).hover(),
  },
  keys: { path: () => "/keys", shows: ["key-name"] },
  tokens: { path: () => "/tokens", shows: ["token-name"] },
  members: {
    path: () => "/org/members",
    shows: ["org-name", "user-name", "member-name", "email"],
  },
  "a question about a member": {
    path: () => "/org/members",
    shows: ["member-name"],
    act: (page) => page.getByRole("button", { name: /^Remove .*'member-name'/ }).click(),
  },
  "teams, and who is in one": {
    path: () => "/org/teams",
    shows: ["team-name", "member-name", "email"],
    act: (page) => page.getByRole("button", { name: /^Members of/ }).click(),
  },
  invitations: { path: () => "/org/invitations", shows: ["invited", "team-name"] },
  "service accounts, and tokens of one": {
    path: () => "/org/service-accounts",
    shows: ["account-name", "account-token"],
    act: (page) => page.getByRole("button", { name: /^Tokens of/ }).click(),
  },
  quotas: { path: () => "/org/quotas", shows: ["org-name", "member-name", "account-name"] },
  usage: { path: () => "/org/usage", shows: ["org-name"] },
  budgets: { path: () => "/org/budgets", shows: ["team-name"] },
  "the trail, and one entry of it": {
    path: () => "/org/audit",
    shows: ["user-name", "program-of-theirs"],
    act: (page) => page.getByRole("button", { name: "teams.delete" }).click(),
  },
  "sign-in providers": {
    path: () => "/org/providers",
    shows: ["provider", "own-provider", "own-name", "issuer", "directory"],
  },
  "a provider's groups": {
    path: () => "/org/providers",
    shows: ["own-provider"],
    act: (page) => page.getByRole("button", { name: /^Groups of .*'own-name'/ }).click(),
  },
  rules: { path: () => "/org/rules", shows: ["org-name"] },
  "with whom a box is shared": {
    path: box("share"),
    shows: ["user-name", "member-name", "team-name"],
  },
  "organizations of the installation, and one of them": {
    path: () => "/installation/organizations",
    shows: ["org-name", "other-org"],
    act: (page) =>
      page.getByRole("button", { name: /^Limits and prices of .*'other-org'/ }).click(),
  },
  "providers of the installation": {
    path: () => "/installation/providers",
    shows: ["provider"],
  },
  "the installation's trail": { path: () => "/installation/audit", shows: ["user-name"] },
  "organizations to go to": {
    path: () => "/tokens",
    shows: ["org-name", "other-org"],
    act: (page) => page.getByRole("button", { name: /^Organization:/ }).click(),
  },
  "the login page": { path: () => "/login", shows: ["provider"] },
  "an invitation's page": { path: () => "/invitation#none", shows: ["user-name"] },
  "who one is": {
    path: () => "/tokens",
    shows: ["user-name", "org-name"],
    act: (page) => page.getByRole("button", { name: "Account" }).click(),
  },
  "the palette": {
    path: () => "/boxes",
    shows: ["box-name"],
    act: async (page) => {
      await page.getByText("Live", { exact: true }).waitFor();
      await page.keyboard.press("Control+k");
    },
  },
  "a question": {
    path: box("info"),
    shows: ["box-name"],
    act: async (page) => {
      await page
        .getByRole("main")
        .getByRole("button", { name: /^Delete/ })
        .click();
      await page.getByRole("dialog").waitFor();
    },
  },
  "an error in a page": {
    path: () => "/templates",
    shows: ["page-error"],
    act: async (page) => {
      await page.route("**/v1/templates*", (route) => route.fulfill(detail("page-error")));
      await page.reload();
    },
  },
  "an error in the corner": {
    path: box("ports"),
    shows: ["corner-error"],
    act: async (page) => {
      await page.route("**/previews", (route) =>
        route.request().method() === "POST"
          ? route.fulfill(detail("corner-error"))
          : route.fallback(),
      );
      await page.getByRole("button", { name: /^Open a preview/ }).click();
    },
  },
};

/** In place of text that looks like it, markup: what an app does that does not escape. */
const UNESCAPED = `
  const isMarkup = (text) => /<img/.test(text);
  const whole = Object.getOwnPropertyDescriptor(Node.prototype, "textContent");
  Object.defineProperty(Node.prototype, "textContent", { ...whole, set(text) {
    if (this instanceof Element && isMarkup(text)) this.innerHTML = text;
    else whole.set.call(this, text);
  } });
  const plain = Document.prototype.createTextNode;
  Document.prototype.createTextNode = function (text) {
    if (!isMarkup(text)) return plain.call(this, text);
    const place = this.createElement("span");
    place.innerHTML = text;
    return place;
  };
  const value = Object.getOwnPropertyDescriptor(Node.prototype, "nodeValue");
  Object.defineProperty(Node.prototype, "nodeValue", { ...value, set(text) {
    if (isMarkup(text)) this.after(document.createTextNode(text));
    else value.set.call(this, text);
  } });
`;
const WATCH = `document.addEventListener("securitypolicyviolation", ({ violatedDirective }) => {
  (window.refused ??= []).push(violatedDirective);
})`;

interface Defences {
  readonly escapes: boolean;
  readonly hasPolicy: boolean;
}

/** Somebody logged in, whose pages have these defences. */
async function person({ escapes, hasPolicy }: Defences): Promise<Page> {
  const page = await newPerson(world.browser, { bypassCSP: !hasPolicy });
  await page.addInitScript(escapes ? WATCH : WATCH + UNESCAPED);
  page.on("dialog", (dialog) => void dialog.dismiss());
  await world.logIn(page, world.plane.admin.token);
  return page;
}

const listOf = async (page: Page, name: "ran" | "refused") =>
  (await page.evaluate(`window.${name} ?? []`)) as string[];

async function show(page: Page, place: Place): Promise<void> {
  await page.goto(`${DASHBOARD}${place.path()}`);
  await page.getByRole("main").waitFor();
  await place.act?.(page);
}

test("shown as text: nothing runs, and the policy has nothing to refuse", async (t) => {
  const page = await person({ escapes: true, hasPolicy: true });
  for (const [name, place] of Object.entries(PLACES))
    await t.test(name, async () => {
      await show(page, place);
      for (const field of place.shows)
        await page.getByText(`push('${field}')`).first().waitFor({ state: "attached" });
      assert.deepEqual([await listOf(page, "ran"), await listOf(page, "refused")], [[], []]);
    });
  await page.context().close();
});

test("without escaping the policy holds: every place has something refused, nothing runs", async (t) => {
  const page = await person({ escapes: false, hasPolicy: true });
  for (const [name, place] of Object.entries(PLACES))
    await t.test(name, async () => {
      await show(page, place);
      await until("it was refused", async () => (await listOf(page, "refused")).length > 0);
      assert.deepEqual(await listOf(page, "ran"), []);
    });
  await page.context().close();
});

test("without both, every field runs", async (t) => {
  const page = await person({ escapes: false, hasPolicy: false });
  for (const [name, place] of Object.entries(PLACES))
    await t.test(name, async () => {
      await show(page, place);
      let ran: string[] = [];
      const isAll = async () => {
        ran = await listOf(page, "ran");
        return place.shows.every((field) => ran.includes(field));
      };
      await until("all ran", isAll).catch((error: Error) => {
        throw new Error(`ran: ${ran.join()}; wanted: ${place.shows.join()}`, { cause: error });
      });
    });
  await page.context().close();
});

const UNESCAPES: Readonly<Record<string, string>> = {
  ...{ "&lt;": "<", "&gt;": ">", "&#39;": "'", "&amp;": "&" },
};

test("the gateway's own pages: why an app does not answer is text too", async (t) => {
  const why = { status: 502, title: "No answer", detail: hostile("why") };
  const style = { isHead: false, wantsHtml: true, isLast: true };
  const [head = "", body = ""] = print(why, style, PREVIEW_DEFENCES).split("\r\n\r\n");
  const [, policy = ""] = /content-security-policy: (.*)/i.exec(head) ?? [];
  const unescaped = body.replace(/&\w+;|&#39;/g, (one) => UNESCAPES[one] ?? one);
  const variants: readonly (readonly [string, Defences])[] = [
    ["with both", { escapes: true, hasPolicy: true }],
    ["escaping alone", { escapes: true, hasPolicy: false }],
    ["the policy alone", { escapes: false, hasPolicy: true }],
    ["without either it runs", { escapes: false, hasPolicy: false }],
  ];
  for (const [name, { escapes, hasPolicy }] of variants)
    await t.test(name, async () => {
      world.setElsewhere((request, response) => {
        if (request.url !== "/") return void response.writeHead(404).end();
        response.setHeader("content-type", "text/html");
        if (hasPolicy) response.setHeader("content-security-policy", policy);
        response.end(escapes ? body : unescaped);
      });
      const page = await world.person();
      await page.addInitScript(WATCH);
      await page.goto("https://evil.berth.test/");
      if (escapes) {
        await page.getByText("push('why')").waitFor();
        assert.deepEqual([await listOf(page, "ran"), await listOf(page, "refused")], [[], []]);
      } else {
        const seen = hasPolicy ? "refused" : "ran";
        await until(seen, async () => (await listOf(page, seen)).length > 0);
        if (hasPolicy) assert.deepEqual(await listOf(page, "ran"), []);
      }
      await page.context().close();
    });
});
