import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "#lib/clock.ts";
import { recordedTerminal, runBerth } from "#test/harness/terminal.ts";
import { complete } from "./completion.ts";
import { createProgram } from "./program.ts";
import { Session } from "./session.ts";

/** A session whose API knows two boxes, and one whose API never answers. */
function sessionWith(list: () => Promise<unknown>): Session {
  const session = new Session(recordedTerminal());
  const all = { boxes: { list }, templates: { list }, nodes: { list }, teams: { list } };
  session.client = async () => ({ ...all, members: { list } }) as never;
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
  for (const words of [
    ...[
      ["ssh", "we"],
      ["exec", "we"],
      ["port", "open", "we"],
      ["session", "attach", "we"],
    ],
    ...[
      ["share", "add", "web", "--user", "we"],
      ["hand-over", "web", "--owner", "we"],
    ],
    ...[
      ["create", "--team", "we"],
      ["member", "remove", "we"],
      ["team", "members", "we"],
    ],
    ...[
      ["node", "drain", "we"],
      ["template", "show", "we"],
      ["checkpoint", "create", "we"],
    ],
  ])
    assert.deepEqual(await fits(words), ["web"], words.join(" "));
});

test("an API that fails or hangs completes nothing, soon", async () => {
  assert.deepEqual(await fits(["show", ""], () => Promise.reject(new Error("down"))), []);
  assert.deepEqual(await fits(["show", ""], () => new Promise(() => {})), []);
});

test("a shell does not wait for what is not needed any more", async () => {
  let slept: AbortSignal | undefined;
  const terminal = recordedTerminal({
    clock: {
      ...systemClock,
      sleep: (_ms, signal) => {
        slept = signal;
        return new Promise((_, reject) => signal?.addEventListener("abort", () => reject()));
      },
    },
  });
  const session = new Session(terminal);
  session.client = async () => ({ boxes: { list: known } }) as never;
  assert.deepEqual(await complete(createProgram(session), session, ["pause", "we"]), ["web"]);
  assert.ok(slept?.aborted, "the limit of time goes on after the answer");
});

test("the script of bash completes in a real bash", async () => {
  const terminal = recordedTerminal();
  await runBerth(terminal, ["completion", "bash"]);
  const script = `
    berth() { [ "$1 $2 $3" = "__complete -- pa" ] && printf 'pause\\n'; }
    ${terminal.written.out}
    COMP_WORDS=(berth pa); COMP_CWORD=1
    _berth_complete
    echo "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)("bash", ["-c", script]);
  assert.equal(stdout.trim(), "pause");
});
