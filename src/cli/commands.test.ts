// The commands against a real control plane and a node with the fake driver.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import type { Box, Event, Node, Snapshot, Template } from "#sdk/client.ts";
import { inProcessBerth } from "#test/harness/in-process.ts";
import { type RecordedTerminal, recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { EXIT } from "./exit.ts";

let berth: Awaited<ReturnType<typeof inProcessBerth>>;
let dir: string;
const closing: (() => Promise<void>)[] = [];

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "berth-commands-"));
  berth = await inProcessBerth({ after: (close) => void closing.push(close) });
  await writeFile(join(dir, "small.yaml"), "name: default\nsize: { memoryMib: 256 }\n");
  await ok(["template", "create", "-f", join(dir, "small.yaml")]);
});
after(async () => {
  for (const close of closing) await close();
  await rm(dir, { recursive: true, force: true });
});

function start(argv: readonly string[], options: { answer?: string; token?: string } = {}) {
  const terminal = recordedTerminal({
    env: { BERTH_URL: berth.url, BERTH_TOKEN: options.token ?? berth.token },
    answer: options.answer,
  });
  const ended = runBerth(terminal, argv);
  return { terminal, ended };
}

async function run(argv: readonly string[], options: { answer?: string; token?: string } = {}) {
  const { terminal, ended } = start(argv, options);
  const code = await ended;
  return { code, out: terminal.written.out, err: terminal.written.err.replaceAll("\n", " ") };
}

async function ok(argv: readonly string[]): Promise<string> {
  const { code, out, err } = await run(argv);
  assert.equal(code, EXIT.ok, `berth ${argv.join(" ")}: ${err}`);
  return out;
}

/** Until the command has written it. */
async function shown(terminal: RecordedTerminal, to: "out" | "err", text: RegExp): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 60_000;
  while (!text.test(terminal.written[to])) {
    if (systemClock.monotonicMs() > deadlineMs)
      throw new Error(`never written: ${text}; but: ${terminal.written[to]}`);
    await systemClock.sleep(20);
  }
}

async function json<T>(argv: readonly string[]): Promise<T> {
  return JSON.parse(await ok([...argv, "-o", "json"])) as T;
}

test("text output of a mutation is the names, for scripts; progress goes elsewhere", async () => {
  const { out, err } = await run(["create", "alpha"]);
  assert.equal(out, "alpha\n");
  assert.match(err, /alpha: running \(\d+\.\d s\)/);
  assert.equal(await ok(["pause", "alpha"]), "alpha\n");
});

test("JSON of one box is an object, of several a list, of a list a list", async () => {
  const box = await json<Box>(["create", "one"]);
  assert.equal(box.name, "one");
  assert.equal(box.phase, "running");
  assert.equal((await json<Box>(["show", box.id])).name, "one");
  const forks = await json<Box[]>(["fork", "one", "--name", "two", "--name", "three"]);
  assert.deepEqual(
    forks.map((fork) => [fork.name, fork.phase, fork.source.forkedFrom?.name]),
    [
      ["two", "running", "one"],
      ["three", "running", "one"],
    ],
  );
  const names = (await json<Box[]>(["list"])).map((one) => one.name);
  for (const name of ["one", "two", "three"]) assert.ok(names.includes(name));
  const paused = await json<Box[]>(["pause", "two", "three"]);
  assert.deepEqual(
    paused.map((one) => one.phase),
    ["paused", "paused"],
  );
});

test("each verb does what it says, by name and by id", async () => {
  const { id } = await json<Box>(["create", "verbs", "--env", "A=b=c"]);
  assert.equal((await json<Box>(["stop", id])).phase, "stopped");
  assert.equal((await json<Box>(["start", "verbs"])).phase, "running");
  assert.equal((await json<Box>(["restart", id])).phase, "running");
  assert.equal((await json<Box>(["pause", "verbs"])).phase, "paused");
  assert.equal((await json<Box>(["wait", "verbs", "--for", "durable"])).snapshot?.durable, true);
  assert.equal((await json<Box>(["resume", "verbs"])).phase, "running");
  assert.equal((await json<Box>(["delete", "verbs"])).phase, "deleted");
  assert.equal((await run(["show", "verbs"])).code, EXIT.failed);
});

test("checkpoints are created, listed, restored and deleted by name", async () => {
  await ok(["create", "points"]);
  const made = await json<Snapshot>(["checkpoint", "create", "points", "--name", "before it"]);
  assert.equal(made.name, "before it");
  const listed = await json<Snapshot[]>(["checkpoint", "list", "points"]);
  assert.deepEqual(
    listed.map((one) => one.id),
    [made.id],
  );
  assert.equal(
    (await json<Box>(["checkpoint", "restore", "points", "before it"])).phase,
    "running",
  );
  const unknown = await run(["checkpoint", "restore", "points", "nothing"]);
  assert.equal(unknown.code, EXIT.failed);
  assert.match(unknown.err, /no checkpoint nothing of points.*checkpoint list points/);
  const needed = await run(["checkpoint", "delete", "before it"]);
  assert.match(needed.err, /needed by the box points/);
  await ok(["checkpoint", "create", "points", "--name", "spare"]);
  await ok(["checkpoint", "delete", "spare"]);
});

test("what is refused is one paragraph that says what to do", async () => {
  await ok(["create", "taken"]);
  const again = await run(["create", "taken"]);
  assert.equal(again.code, EXIT.failed);
  assert.match(again.err, /^berth: .*taken.*Choose another name/);
  const bad = await run(["create", "Not_A_Name"]);
  assert.equal(bad.code, EXIT.failed);
  assert.match(bad.err, /lowercase letters/);
  const nothing = await run(["pause", "nobody"]);
  assert.equal(nothing.code, EXIT.failed);
  assert.match(nothing.err, /nobody/);
  const stranger = await run(["list"], { token: `berth_${"A".repeat(43)}` });
  assert.equal(stranger.code, EXIT.notAllowed);
});

test("a name that is nearly right is suggested, and one that is not is looked up", async () => {
  await ok(["create", "workshop"]);
  for (const argv of [
    ["show", "workshpo"],
    ["pause", "workshpo"],
    ["ssh", "workshpo"],
  ]) {
    const { code, err } = await run(argv);
    assert.equal(code, EXIT.failed);
    assert.match(err, /There is no box 'workshpo'\. Did you mean workshop\? `berth list` shows/);
  }
  assert.match((await run(["create", "-t", "defautl"])).err, /Did you mean default\?/);
  assert.doesNotMatch((await run(["show", "zzzzzzzzzzzz"])).err, /Did you mean/);
});

test("a token that holds no more: where it came from, and how to get another", async () => {
  const { code, err } = await run(["list"], { token: `berth_${"A".repeat(43)}` });
  assert.equal(code, EXIT.notAllowed);
  assert.match(
    err,
    /unknown, expired or revoked\. The token is that of BERTH_TOKEN\. .*berth login/,
  );
  assert.doesNotMatch(err, /Authorization/);
});

test("what is named by id alone in the API is named by name here; two of a name by id", async () => {
  await ok(["token", "create", "single"]);
  await ok(["token", "revoke", "single"]);
  await ok(["token", "create", "double"]);
  await ok(["token", "create", "double"]);
  const { code, err } = await run(["token", "revoke", "double"]);
  assert.equal(code, EXIT.usage);
  const ids = /there are 2 of the name double: (\S+), (\S+)\. Say which by its id/.exec(err);
  for (const id of ids?.slice(1) ?? assert.fail(err)) await ok(["token", "revoke", id]);
  assert.match((await run(["token", "revoke", "double"])).err, /no token 'double'.*token list/);
});

test("--quiet says nothing on the way, --json is -o json", async () => {
  const { code, out, err } = await run(["create", "hush", "--quiet", "--json"]);
  assert.equal(code, EXIT.ok);
  assert.equal((JSON.parse(out) as Box).name, "hush");
  assert.equal(err, "");
});

test("the console of a box at rest: how it is, and what to do", async () => {
  await ok(["create", "silent"]);
  await ok(["pause", "silent"]);
  const { code, err } = await run(["logs", "silent"]);
  assert.equal(code, EXIT.failed);
  assert.match(err, /silent is paused.*berth events silent/);
});

test("when one of several boxes is refused, the others are asked all the same", async () => {
  await ok(["create", "present"]);
  assert.equal((await run(["pause", "absent", "present"])).code, EXIT.failed);
  await ok(["wait", "present", "--for", "paused"]);
});

test("a wait that is over its time says why, and leaves the request", async () => {
  await ok(["node", "cordon", "vm"]);
  const first = await run(["create", "waiting", "--timeout", "300ms"]);
  assert.equal(first.code, EXIT.failed);
  assert.match(first.err, /waiting is not running after 0\.3 s.*The request stays/);
  // Once it was tried to place it, the reason is known.
  for (let err = ""; !/not running after 0\.3 s.*cordoned.*The request stays/.test(err); )
    ({ err } = await run(["wait", "waiting", "--for", "running", "--timeout", "300ms"]));
  const { terminal, ended } = start(["wait", "waiting", "--for", "running"]);
  await shown(terminal, "err", /cordoned/);
  await ok(["node", "uncordon", "vm"]);
  assert.match(
    await ok(["node", "set", "vm", "--memory-overcommit", "1.5"]),
    /vm promises 8x CPUs, 1.5x memory/,
  );
  assert.equal(await ended, EXIT.ok);
});

test("Ctrl-C stops the waiting, says that the intent stays, and it does", async () => {
  await ok(["node", "cordon", "vm"]);
  const { terminal, ended } = start(["create", "patient"]);
  await shown(terminal, "err", /cordoned/);
  terminal.interrupt();
  assert.equal(await ended, EXIT.interrupted);
  assert.match(
    terminal.written.err.replaceAll("\n", " "),
    /stays asked.*berth wait patient --for running/,
  );
  await ok(["node", "uncordon", "vm"]);
  await ok(["wait", "patient", "--for", "running"]);
});

test("a goal that cannot be reached any more ends the wait at once", async () => {
  await ok(["create", "contrary"]);
  const { code, err } = await run(["wait", "contrary", "--for", "paused"]);
  assert.equal(code, EXIT.failed);
  assert.match(err, /contrary cannot become paused any more/);
});

test("--no-wait returns what was accepted", async () => {
  const box = await json<Box>(["create", "quick", "--no-wait"]);
  assert.equal(box.name, "quick");
  await ok(["wait", "quick", "--for", "running"]);
});

test("a person is asked before a delete, a script is not", async () => {
  await ok(["create", "precious"]);
  const no = await run(["delete", "precious"], { answer: "n" });
  assert.equal(no.code, EXIT.failed);
  assert.match(no.err, /Delete precious.*nothing was done/);
  assert.equal((await json<Box>(["show", "precious"])).phase, "running");
  assert.equal((await run(["delete", "precious"], { answer: "y" })).code, EXIT.ok);
});

test("events: the past of a box, and what follows until Ctrl-C", async () => {
  await ok(["create", "storied"]);
  const past = await json<Event[]>(["events", "storied"]);
  assert.equal(past[0]?.kind, "box.created");
  const { terminal, ended } = start(["events", "storied", "--follow", "-o", "json"]);
  await shown(terminal, "out", /box\.created/);
  await ok(["pause", "storied"]);
  await shown(terminal, "out", /"message":"storied is paused/);
  terminal.interrupt();
  assert.equal(await ended, EXIT.ok);
  const cursors = terminal.written.out
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as Event).cursor);
  assert.equal(new Set(cursors).size, cursors.length, "an event came twice");
});

test("templates: versions, a build that fails and says why, a file that is wrong", async () => {
  const file = join(dir, "broken.yaml");
  await writeFile(file, "name: broken\nsetup: |\n  exit 3\n");
  const failed = await run(["template", "create", "-f", file]);
  assert.equal(failed.code, EXIT.failed);
  assert.match(failed.err, /build of template broken:1 failed: .*template show broken/);
  await writeFile(file, "name: broken\nsetup: echo fine\n");
  const template = await json<Template>(["template", "create", "-f", file]);
  assert.equal(template.ready?.version, 2);
  assert.match(await ok(["template", "show", "broken", "--version", "1"]), /failed/);
  await writeFile(file, "name: broken\nsize: { cpus: many }\n");
  const wrong = await run(["template", "create", "-f", file]);
  assert.equal(wrong.code, EXIT.failed);
  assert.match(wrong.err, /size\.cpus/);
  await writeFile(file, "name: [broken");
  assert.equal((await run(["template", "create", "-f", file])).code, EXIT.usage);
  assert.ok((await json<Template[]>(["template", "list"])).some((one) => one.name === "broken"));
});

test("nodes are listed, and a join token is printed alone", async () => {
  const nodes = await json<Node[]>(["node", "list"]);
  assert.deepEqual(
    nodes.map((node) => [node.name, node.reachable, node.driver]),
    [["vm", true, "fake"]],
  );
  assert.match(await ok(["node", "join-token"]), /^berth_[A-Za-z0-9_-]{43}\n$/);
  assert.match(await ok(["node", "list"]), /NAME +STATE/);
});

test("a node is removed only after a yes", async () => {
  const unknown = await run(["node", "remove", "nobody"]);
  assert.equal(unknown.code, EXIT.failed);
  assert.equal((await run(["node", "remove", "vm"], { answer: "no" })).code, EXIT.failed);
  assert.equal((await json<Node[]>(["node", "list"])).length, 1);
});

test("names are completed from this API", async () => {
  await ok(["create", "completable"]);
  assert.equal(await ok(["__complete", "--", "pause", "compl"]), "completable\n");
});
