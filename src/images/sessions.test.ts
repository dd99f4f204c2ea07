// The guest's exec sessions, as the C program keeps them, on this machine (with sanitizers): nothing is lost or doubled
// however connections break, and what one client does is no matter to another.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { ExecClient, type ExecHost, startExecHost } from "#test/harness/exec-host.ts";
import { type ExecClientFrame, type ExecStart, encodeExecFrame } from "#wire/exec-frames.ts";

let host: ExecHost;
before(async () => {
  host = await startExecHost();
});
after(() => host.stop());

const HEADER_BYTES = 5;
const RING_BYTES = 1024 * 1024;
const PTY = { rows: 24, cols: 80 };
const sh = (script: string) => ["/bin/sh", "-c", script];
let made = 0;

function open(...frames: ExecClientFrame[]): ExecClient {
  const client = new ExecClient(host.port);
  client.send(...frames);
  return client;
}

function start(session: string | undefined, argv: string[], more: Partial<ExecStart> = {}) {
  return open({ kind: "start", argv, user: "root", session, ...more });
}

type Attach = Partial<ExecClientFrame & { kind: "attach" }>;
function attach(session: string, more: Attach = {}): ExecClient {
  return open({ kind: "attach", session, mode: "write", ...more });
}

function type(client: ExecClient, text: string): void {
  client.send({ kind: "stdin", data: Buffer.from(text) });
}

function newId(): string {
  made += 1;
  return `s-${made}`;
}

async function ask(frame: ExecClientFrame & { kind: "list" | "forget" }) {
  const client = open(frame);
  const { sessions } = await client.frame("sessions");
  client.close();
  return sessions;
}

const forget = (session: string) => ask({ kind: "forget", session });

test("a program without a session ends with its connection", async () => {
  const client = start(undefined, sh("echo out; echo err >&2; cat; exit 7"));
  await client.frame("started");
  type(client, "in\n");
  client.send({ kind: "stdin-eof" });
  assert.equal((await client.frame("exit")).exitCode, 7);
  assert.equal(client.output().toString(), "out\nin\n");
  assert.equal(client.output("stderr").toString(), "err\n");
  await client.closed();

  const doomed = start(undefined, sh("echo $$; exec sleep 1000"));
  await doomed.says("\n");
  const pid = Number(doomed.output().toString());
  doomed.close();
  await gone(pid);
});

test("a session outlives its connection and shows what was missed", async () => {
  const id = newId();
  const first = start(id, sh("echo one; read line; echo got $line; exit 3"));
  assert.equal((await first.frame("attached")).from, 0);
  await first.says("one\n");
  first.close();
  const second = attach(id, { from: 4 });
  const { oldest, from, end } = await second.frame("attached");
  assert.deepEqual({ oldest, from, end }, { oldest: 0, from: 4, end: 4 });
  type(second, "hello\n");
  assert.equal((await second.frame("exit")).exitCode, 3);
  assert.equal(second.output().toString(), "got hello\n");
  // The exit and the output stay for those who come later.
  const third = attach(id, { mode: "read" });
  assert.equal((await third.frame("exit")).exitCode, 3);
  assert.equal(third.output().toString(), "one\ngot hello\n");
  const [listed] = (await ask({ kind: "list" })).filter((one) => one.session === id);
  assert.equal(listed?.exitCode, 3);
  assert.equal(listed.end, 14);
  assert.deepEqual(listed.argv[0], "/bin/sh");
  assert.ok(Math.abs(listed.startedAtMs - Date.now()) < 600_000);
  assert.deepEqual(
    (await forget(id)).filter((one) => one.session === id),
    [],
  );
  assert.equal((await attach(id).frame("error")).code, "no_such_session");
  await forget("never-was");
});

test("starting again attaches: one program, however many ask at once", async () => {
  const id = newId();
  const clients = Array.from({ length: 12 }, () => start(id, sh("echo pid $$; sleep 1000")));
  const pids = await Promise.all(
    clients.map(async (client) => {
      await client.says("\n");
      return client.output().toString();
    }),
  );
  assert.equal(new Set(pids).size, 1);
  await forget(id);
  for (const client of clients) await client.closed();
});

test("what cannot start says why, and leaves no session", async () => {
  const id = newId();
  const client = start(id, ["/no/such/program"]);
  const { code, message } = await client.frame("error");
  assert.equal(code, "cannot_start");
  assert.match(message, /no\/such\/program/);
  assert.equal((await attach(id).frame("error")).code, "no_such_session");
  const bad = open({ kind: "start", argv: ["true"], user: "root", session: "../etc" });
  assert.equal((await bad.frame("error")).code, "bad_request");
});

/** Small and fast, and the same each time. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Sends `input` through `cat` over connections that are cut at random bytes, and gives what came back. */
async function throughCuts(seed: number, input: Buffer, isPty: boolean) {
  const random = randomOf(seed);
  const id = newId();
  const writer = `w-${seed}`;
  const argv = isPty ? sh("stty raw -echo; echo ready; exec cat") : ["cat"];
  const hello = isPty ? "ready\n" : "";
  const first = start(id, argv, isPty ? { pty: PTY } : {});
  await first.frame("attached");
  await first.until(() => first.output().length >= hello.length);
  first.close();
  const output: Buffer[] = [];
  let seen = hello.length;
  let cuts = 0;
  const all = hello.length + input.length;
  while (seen < all) {
    const client = attach(id, { from: seen, writer });
    const attached = await client.frame("attached");
    assert.equal(attached.from, seen, "output was lost");
    const { received } = attached;
    // Cut after some bytes either way, in the middle of frames too.
    const frames = framesOf(input.subarray(received, received + random(150_000)), random);
    const bytes = Buffer.concat(frames);
    const sent = bytes.subarray(0, Math.max(0, bytes.length - random(300)));
    client.socket.write(sent);
    const possible = hello.length + received + wholeIn(frames, sent.length) - seen;
    const wanted = Math.min(possible, random(4) === 0 ? random(200_000) : random(3000));
    await client.until(() => client.output().length >= wanted);
    const got = client.output();
    output.push(got);
    seen += got.length;
    if (random(2) === 0) client.socket.resetAndDestroy();
    else client.close();
    cuts += 1;
  }
  await forget(id);
  return { output: Buffer.concat(output), cuts };
}

/** Frames of stdin, of many lengths. */
function framesOf(data: Buffer, random: (below: number) => number): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const part = data.subarray(at, at + 1 + random(random(4) === 0 ? 65_536 : 200));
    frames.push(Buffer.from(encodeExecFrame({ kind: "stdin", data: part })));
    at += part.length;
  }
  return frames;
}

/** Bytes of input in those frames that are whole when only so many bytes are sent. */
function wholeIn(frames: readonly Buffer[], sentBytes: number): number {
  let [end, input] = [0, 0];
  for (const frame of frames) {
    end += frame.length;
    if (end <= sentBytes) input += frame.length - HEADER_BYTES;
  }
  return input;
}

for (const isPty of [false, true])
  test(`cut at random bytes, nothing is lost or doubled (${isPty ? "terminal" : "pipes"})`, async () => {
    let cuts = 0;
    for (let seed = 1; cuts < 1500; seed += 1) {
      const input = createNumbers(600_000);
      const done = await throughCuts(seed, input, isPty);
      assert.ok(done.output.equals(input), `seed ${seed}: ${whereDiffers(done.output, input)}`);
      cuts += done.cuts;
    }
  });

function createNumbers(bytes: number): Buffer {
  const lines: string[] = [];
  for (let n = 0, length = 0; length < bytes; n += 1) {
    lines.push(`line ${n} of many\n`);
    length += lines[n]?.length ?? 0;
  }
  return Buffer.from(lines.join(""));
}

function whereDiffers(got: Buffer, wanted: Buffer): string {
  const at = got.findIndex((byte, place) => byte !== wanted[place]);
  return `at ${at}: '${got.subarray(at, at + 40)}' instead of '${wanted.subarray(at, at + 40)}'`;
}

test("an older connection of a writer is dropped, with the input that it still holds", async () => {
  const id = newId();
  const go = join(host.directory, "go");
  const first = start(id, sh(`while [ ! -e ${go} ]; do sleep 0.05; done; cat`), { writer: "me" });
  await first.frame("attached");
  // More than is taken while the program does not read.
  const input = createNumbers(4_000_000);
  first.send({ kind: "stdin", data: input });
  await first.frame("input-taken");
  const second = attach(id, { writer: "me" });
  const { received } = await second.frame("attached");
  assert.ok(received > 0 && received < input.length, `${received} bytes were taken`);
  await writeFile(go, "");
  await first.closed();
  second.send({ kind: "stdin", data: input.subarray(received) }, { kind: "stdin-eof" });
  await second.frame("exit");
  assert.ok(second.output().equals(input), whereDiffers(second.output(), input));
  await forget(id);
});

test("several see one session; those who may only read change nothing", async () => {
  const id = newId();
  const writer = start(id, sh("while read line; do echo said $line; done"));
  await writer.frame("attached");
  const reader = attach(id, { mode: "read" });
  await reader.frame("attached");
  type(writer, "hello\n");
  await writer.says("said hello\n");
  await reader.says("said hello\n");
  const other = attach(id);
  type(other, "from another\n");
  await reader.says("said from another\n");
  for (const frame of [
    { kind: "stdin", data: Buffer.from("no\n") },
    { kind: "stdin-eof" },
    { kind: "signal", signal: 15 },
    { kind: "resize", rows: 1, cols: 1 },
  ] as const) {
    const guest = attach(id, { mode: "read" });
    await guest.frame("attached");
    guest.send(frame);
    assert.equal((await guest.frame("error")).code, "forbidden");
  }
  type(writer, "still here\n");
  await reader.says("said still here\n");
  assert.ok(!reader.output().includes("said no"));
  await forget(id);
});

test("a connection that is opened for one session may only attach to that one", async () => {
  const id = newId();
  await start(id, sh("cat")).frame("attached");
  const attempts: [ExecClientFrame, string][] = [
    [{ kind: "start", argv: ["true"], user: "root" }, "forbidden"],
    [{ kind: "start", argv: ["true"], user: "root", session: id }, "forbidden"],
    [{ kind: "list" }, "forbidden"],
    [{ kind: "forget", session: id }, "forbidden"],
    [{ kind: "listen", tcp: "127.0.0.1:0" }, "forbidden"],
    [{ kind: "take", connection: "0123456789abcdef-1" }, "forbidden"],
    [{ kind: "dial", tcp: "localhost:1" }, "forbidden"],
    [{ kind: "attach", session: "other", mode: "read" }, "forbidden"],
    [{ kind: "attach", session: id, mode: "write" }, "forbidden"],
  ];
  for (const [frame, code] of attempts) {
    const client = new ExecClient(host.port, { session: id, mode: "read" });
    client.send(frame);
    assert.equal((await client.frame("error")).code, code, frame.kind);
  }
  const reader = new ExecClient(host.port, { session: id, mode: "read" });
  reader.send({ kind: "attach", session: id, mode: "read" });
  await reader.frame("attached");
  const writer = new ExecClient(host.port, { session: id, mode: "write" });
  writer.send({ kind: "attach", session: id, mode: "write" });
  type(writer, "hello\n");
  await reader.says("hello\n");
  const stranger = new ExecClient(host.port, { token: "0123456789abcdeg", session: id });
  assert.equal((await stranger.frame("error")).code, "unauthorized");
  await forget(id);
});

test("who does not read in time gets a gap, and holds up nobody", async () => {
  const id = newId();
  const lines = 3_000_000;
  const fast = start(id, sh(`read go; seq 1 ${lines}; read end`));
  await fast.frame("attached");
  const slow = attach(id, { mode: "read" });
  await slow.frame("attached");
  slow.socket.pause();
  type(fast, "go\n");
  const wanted = createHash("sha256");
  for (let n = 1; n <= lines; n += 1) wanted.update(`${n}\n`);
  await fast.says(`\n${lines}\n`);
  assert.equal(createHash("sha256").update(fast.output()).digest("hex"), wanted.digest("hex"));
  slow.socket.resume();
  await slow.says(`\n${lines}\n`);
  const gaps = slow.frames.filter((one) => one.kind === "attached");
  assert.ok(gaps.length > 1, "there was no gap");
  // What follows each `attached` is what was written from there on.
  const all = fast.output();
  let at = 0;
  for (const frame of slow.frames) {
    if (frame.kind === "attached") at = frame.from;
    if (frame.kind !== "stdout") continue;
    assert.ok(all.subarray(at, at + frame.data.length).equals(frame.data), `differs at ${at}`);
    at += frame.data.length;
  }
  assert.equal(at, all.length);
  await forget(id);
});

test("the only one attached loses nothing, however slow", async () => {
  const id = newId();
  const client = start(id, sh("seq 1 1500000"));
  await client.frame("attached");
  client.socket.pause();
  await systemClock.sleep(300);
  client.socket.resume();
  await client.frame("exit");
  const output = client.output().toString();
  assert.equal(client.frames.filter((one) => one.kind === "attached").length, 1);
  assert.equal(output.split("\n").length, 1_500_001);
  assert.ok(output.endsWith("\n1499999\n1500000\n"));
  await forget(id);
});

test("with nobody there the program goes on, and the last of its output is kept", async () => {
  const id = newId();
  const first = start(id, sh("read go; seq 1 1000000; echo the end >&2"));
  await first.frame("attached");
  type(first, "go\n");
  first.close();
  for (;;) {
    const [one] = (await ask({ kind: "list" })).filter(({ session }) => session === id);
    if (one?.exitCode === 0) break;
    await systemClock.sleep(20);
  }
  const late = attach(id, { from: 10 });
  const { from, oldest, end } = await late.frame("attached");
  assert.equal(end - oldest, RING_BYTES);
  assert.equal(from, oldest);
  await late.frame("exit");
  assert.equal(late.output("stderr").toString(), "the end\n");
  assert.equal(late.output().length, RING_BYTES - 8);
  assert.ok(late.output().toString().endsWith("\n999999\n1000000\n"));
  await forget(id);
});

test("stdout and stderr keep their order and their kind", async () => {
  const id = newId();
  const script =
    "for n in 1 2 3 4 5 6 7 8 9; do echo out $n; read go; echo err $n >&2; read go; done";
  const client = start(id, sh(script));
  // Each is seen before the next is written: which of two pipes was written first nobody can tell.
  for (let n = 1; n <= 9; n += 1)
    for (const kind of ["stdout", "stderr"] as const) {
      await client.until(() => client.output(kind).includes(` ${n}\n`));
      type(client, "\n");
    }
  await client.frame("exit");
  const late = attach(id);
  await late.frame("exit");
  for (const one of [client, late]) {
    const wanted = (word: string) =>
      Array.from({ length: 9 }, (_, n) => `${word} ${n + 1}\n`).join("");
    assert.equal(one.output().toString(), wanted("out"));
    assert.equal(one.output("stderr").toString(), wanted("err"));
  }
  const order = late.frames.flatMap((one) => (one.kind.startsWith("std") ? [one.kind] : []));
  assert.deepEqual(order.slice(0, 4), ["stdout", "stderr", "stdout", "stderr"]);
  await forget(id);
});

test("a program that takes too long is ended, and its exit says so", async () => {
  const plain = start(undefined, ["sleep", "1000"], { timeoutMs: 100 });
  assert.equal((await plain.frame("exit")).exitCode, 124);
  const id = newId();
  const stubborn = sh("trap '' TERM; echo up; while :; do sleep 0.1; done");
  const client = start(id, stubborn, { timeoutMs: 300, pty: PTY });
  assert.equal((await client.frame("exit")).exitCode, 124);
  const quick = start(newId(), sh("exit 5"), { timeoutMs: 60_000 });
  assert.equal((await quick.frame("exit")).exitCode, 5);
  await forget(id);
});

test("terminals: size, signals, a login shell", async () => {
  const id = newId();
  const client = start(id, sh("trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done"), {
    pty: PTY,
  });
  await client.says("24 80\r\n");
  client.send({ kind: "resize", rows: 50, cols: 132 });
  await client.says("50 132\r\n");
  const other = attach(id);
  const { rows, cols, isTerminal } = await other.frame("attached");
  assert.deepEqual({ rows, cols, isTerminal }, { rows: 50, cols: 132, isTerminal: true });
  other.send({ kind: "resize", rows: 10, cols: 20 });
  await client.says("10 20\r\n");
  client.send({ kind: "signal", signal: 9 });
  assert.equal((await client.frame("exit")).exitCode, 128 + 9);
  await forget(id);

  const shell = start(newId(), [], { pty: PTY });
  type(shell, "echo I am $0 in $PWD with $TERM\r");
  await shell.says("I am -");
  await shell.says("with xterm-256color");
  type(shell, "exit 4\r");
  assert.equal((await shell.frame("exit")).exitCode, 4);
  // The terminal is closed by its holder and opened again.
  const reopened = start(
    newId(),
    sh("exec </dev/null >/dev/null 2>&1; sleep 0.3; echo back >/dev/tty"),
    {
      pty: PTY,
    },
  );
  await reopened.says("back\r\n");
  await reopened.frame("exit");
});

test("a new identity ends plain programs and connections, not sessions", async () => {
  const id = newId();
  const plain = start(undefined, sh("sleep 1000"));
  await plain.frame("started");
  const attached = start(id, sh("while read line; do echo said $line; done"));
  await attached.frame("attached");
  await host.renew("another token, long enough");
  assert.equal((await plain.frame("error")).code, "ended");
  assert.equal((await attached.frame("error")).code, "detached");
  const old = attach(id);
  assert.equal((await old.frame("error")).code, "unauthorized");
  const fresh = new ExecClient(host.port, { token: "another token, long enough" });
  fresh.send({ kind: "attach", session: id, mode: "write" });
  type(fresh, "hello\n");
  await fresh.says("said hello\n");
  await host.renew("0123456789abcdef");
  await forget(id);
});

test("64 sessions: one more takes the place of one that ended, or is refused", async () => {
  const ids = Array.from({ length: 64 }, newId);
  const clients = ids.map((id) => start(id, sh("read line; exit 9")));
  for (const client of clients) await client.frame("attached");
  const names = (await ask({ kind: "list" })).map((one) => one.session);
  assert.deepEqual(
    ids.filter((id) => !names.includes(id)),
    [],
  );
  const refused = start(newId(), sh("exit 0"));
  assert.equal((await refused.frame("error")).code, "too_many_sessions");
  for (const n of [7, 3]) {
    type(clients[n] as ExecClient, "\n");
    await clients[n]?.frame("exit");
    // Which ended first is told by the file system's clock, which ticks every few milliseconds.
    await systemClock.sleep(50);
  }
  const next = newId();
  await start(next, sh("read line")).frame("attached");
  assert.equal((await attach(ids[7] ?? "").frame("error")).code, "no_such_session");
  assert.equal((await attach(ids[3] ?? "").frame("exit")).exitCode, 9);
  // A keeper that was killed makes room too.
  for (const pid of await host.keepers()) {
    if (await holdsSession(pid, ids[10] ?? "")) process.kill(pid, "SIGKILL");
  }
  await clients[10]?.closed();
  const again = start(ids[10] ?? "", sh("echo born again"));
  await again.says("born again\n");
  for (const id of [...ids, next]) await forget(id);
  assert.deepEqual(await readdir(join(host.directory, "sessions")), []);
});

async function holdsSession(pid: number, id: string): Promise<boolean> {
  const sockets = await readFile(`/proc/${pid}/net/unix`, "utf8").catch(() => "");
  const inode = sockets
    .split("\n")
    .find((line) => line.endsWith(`/sessions/${id}`))
    ?.split(/\s+/)[6];
  return (await readlink(`/proc/${pid}/fd/3`).catch(() => "")) === `socket:[${inode}]`;
}

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await systemClock.sleep(20);
  }
}
