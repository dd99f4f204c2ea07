import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { recordedTerminal } from "#test/harness/terminal.ts";
import { complete } from "./completion.ts";
import { runCli } from "./main.ts";
import { createProgram } from "./program.ts";
import { Session } from "./session.ts";

/** A session whose API knows two boxes, and one whose API never answers. */
function sessionWith(list: () => Promise<unknown>): Session {
  const session = new Session(recordedTerminal());
  session.client = async () => ({ boxes: { list }, templates: { list }, nodes: { list } }) as never;
  return session;
}

const known = async () => ({ items: [{ name: "web" }, { name: "worker" }], nextCursor: null });

async function fits(words: string[], list = known as () => Promise<unknown>): Promise<string[]> {
  const session = sessionWith(list);
  return (await complete(createProgram(session), session, words)).sort();
}

test("commands, subcommands, options and their values are completed", async () => {
  assert.deepEqual(await fits(["pa"]), ["pause"]);
  assert.deepEqual(await fits(["checkpoint", ""]), ["create", "delete", "list", "restore"]);
  assert.deepEqual(await fits(["create", "--t"]), ["--team", "--template", "--timeout"]);
  assert.deepEqual(await fits(["wait", "web", "--for", "p"]), ["paused"]);
  assert.deepEqual(await fits(["list", "-o", ""]), ["json", "text"]);
  assert.deepEqual(await fits(["completion", "f"]), ["fish"]);
  assert.ok(!(await fits([""])).includes("__complete"));
});

test("names are completed from the API", async () => {
  assert.deepEqual(await fits(["pause", "w"]), ["web", "worker"]);
  assert.deepEqual(await fits(["pause", "web", "wo"]), ["worker"]);
  assert.deepEqual(await fits(["show", "web", ""]), []);
  assert.deepEqual(await fits(["create", "new", "--template", "we"]), ["web"]);
});

test("an API that fails or hangs completes nothing, soon", async () => {
  assert.deepEqual(await fits(["show", ""], () => Promise.reject(new Error("down"))), []);
  assert.deepEqual(await fits(["show", ""], () => new Promise(() => {})), []);
});

test("the script of bash completes in a real bash", async () => {
  const terminal = recordedTerminal();
  await runCli(createProgram(new Session(terminal)), ["completion", "bash"], terminal);
  const script = `
    berth() { [ "$1 $2 $3" = "__complete -- pa" ] && printf 'pause\\n'; }
    ${terminal.written.out}
    COMP_WORDS=(berth pa); COMP_CWORD=1
    _berth_complete
    echo "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)("bash", ["-c", script]);
  assert.equal(stdout.trim(), "pause");
});
