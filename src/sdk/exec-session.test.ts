// A session over connections that break anywhere: no byte of output or input is lost or doubled, gaps are told,
// and what cannot be cured is not tried for ever.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "#test/harness/fc.ts";
import {
  type ExecClientFrame,
  type ExecFrame,
  ExecFrameDecoder,
  encodeExecFrame,
} from "#wire/exec-frames.ts";
import {
  type ByteChannel,
  LastingSession,
  type LastingSessionOptions,
  type SessionStatus,
} from "./exec-session.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytesOf = (value: string) => new TextEncoder().encode(value);
const turn = () => new Promise<void>((done) => setImmediate(done));

/** Both ends of a connection in memory; `cut` loses what is under way. */
class Pipe implements ByteChannel {
  readonly toBox: Uint8Array[] = [];
  readonly #toClient: (Uint8Array | null)[] = [];
  #wake: () => void = () => {};
  isCut = false;
  isClosed = false;
  onWrite: () => void = () => {};

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.isCut || this.isClosed) throw new Error("the connection was lost");
      const next = this.#toClient.shift();
      if (next !== undefined) return next;
      await new Promise<void>((done) => {
        this.#wake = done;
      });
    }
  }
  async write(bytes: Uint8Array): Promise<void> {
    if (this.isCut || this.isClosed) throw new Error("the connection was lost");
    this.toBox.push(bytes.slice());
    this.onWrite();
  }
  close(): void {
    this.isClosed = true;
    this.#wake();
  }
  say(frame: ExecFrame): void {
    this.#toClient.push(encodeExecFrame(frame));
    this.#wake();
  }
  cut(): void {
    this.isCut = true;
    this.#wake();
  }
}

/** The exec server's side of one session, as guest/PROTOCOL.md has it. */
class Box {
  output = "";
  input = "";
  /** As if the ring had kept no more. */
  oldest = 0;
  starts = 0;
  exists = false;
  acksInput = true;
  readonly frames: ExecClientFrame[] = [];
  readonly #taken = new Map<string, number>();
  #attached: { pipe: Pipe; sent: number; writer: string | undefined } | null = null;

  connect(): Pipe {
    const pipe = new Pipe();
    const decoder = new ExecFrameDecoder();
    pipe.onWrite = () => {
      for (const bytes of pipe.toBox.splice(0))
        for (const frame of decoder.push(bytes)) this.#receive(pipe, frame as ExecClientFrame);
    };
    return pipe;
  }

  #receive(pipe: Pipe, frame: ExecClientFrame): void {
    this.frames.push(frame);
    if (frame.kind === "start") {
      if (!this.exists) this.starts += 1;
      this.exists = true;
      this.#attach(pipe, this.oldest, frame.writer);
    } else if (frame.kind === "attach") {
      if (this.exists) this.#attach(pipe, frame.from ?? this.oldest, frame.writer);
      else pipe.say({ kind: "error", code: "no_such_session", message: "gone" });
    } else if (frame.kind === "stdin") {
      this.input += text(frame.data);
      const writer = this.#attached?.writer ?? "";
      this.#taken.set(writer, (this.#taken.get(writer) ?? 0) + frame.data.length);
      if (this.acksInput) pipe.say({ kind: "input-taken", bytes: this.#taken.get(writer) ?? 0 });
    }
  }

  #attach(pipe: Pipe, asked: number, writer: string | undefined): void {
    const from = Math.min(Math.max(asked, this.oldest), this.output.length);
    this.#attached = { pipe, sent: from, writer };
    pipe.say({
      ...{ kind: "attached", session: "s", oldest: this.oldest, from, end: this.output.length },
      ...{ received: this.#taken.get(writer ?? "") ?? 0, rows: 24, cols: 80, isTerminal: true },
    });
    this.#sendOn();
  }

  #sendOn(): void {
    if (!this.#attached || this.#attached.pipe.isCut) return;
    const data = bytesOf(this.output.slice(this.#attached.sent));
    this.#attached.sent = this.output.length;
    if (data.length > 0) this.#attached.pipe.say({ kind: "stdout", data });
  }

  print(line: string): void {
    this.output += line;
    this.#sendOn();
  }
  /** Loses the connection, and with it what was said on it and not read. */
  cut(): void {
    this.#attached?.pipe.cut();
    this.#attached = null;
  }
  exit(exitCode: number): void {
    this.#attached?.pipe.say({ kind: "exit", exitCode });
  }
}

function open(box: Box, change: Partial<LastingSessionOptions> = {}) {
  const said: SessionStatus[] = [];
  const gaps: number[] = [];
  const shown = { text: "" };
  const session = new LastingSession({
    session: "s",
    mode: "write",
    start: { argv: [], pty: { rows: 24, cols: 80 } },
    connect: async () => box.connect(),
    isRetryable: () => true,
    onData: (bytes) => {
      shown.text += text(bytes);
    },
    onGap: (missing) => gaps.push(missing),
    onStatus: (status) => said.push(status),
    sleep: turn,
    nowMs: () => 0,
    random: () => 0.5,
    silenceMs: 1,
    ...change,
  });
  return { session, said, gaps, shown };
}

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (let turns = 0; turns < 100_000; turns++) {
    if (isTrue()) return;
    await turn();
  }
  throw new Error(`never: ${what}`);
}

type Step = { readonly do: "print" | "type" | "cut" | "turn"; readonly text: string };
const step = fc.record({
  do: fc.constantFrom("print" as const, "type" as const, "cut" as const, "turn" as const),
  text: fc.stringMatching(/^[a-z]{1,6}$/),
});

test("however connections break: output and input arrive once, in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps: Step[]) => {
      const box = new Box();
      const { session, shown, gaps } = open(box);
      let typed = "";
      for (const { do: what, text: word } of steps) {
        if (what === "print" && box.exists) box.print(word);
        else if (what === "type") {
          typed += word;
          void session.write(bytesOf(word));
        } else if (what === "cut") box.cut();
        else await turn();
      }
      await until(() => shown.text === box.output && box.input === typed, "all arrived");
      for (let turns = 0; turns < 20; turns++) await turn();
      assert.equal(shown.text, box.output);
      assert.equal(box.input, typed);
      assert.deepEqual(gaps, []);
      assert.ok(box.starts <= 1, "one program was started");
      session.close();
    }),
    { numRuns: 300 },
  );
});

test("what the box did not keep is told as a gap, and the rest follows", async () => {
  const box = new Box();
  const { session, shown, gaps } = open(box);
  await until(() => box.exists, "started");
  box.print("first ");
  await until(() => shown.text === "first ", "shown");
  box.cut();
  box.output += "missed ";
  box.oldest = box.output.length;
  box.output += "last";
  await until(() => shown.text === "first last", "the rest");
  assert.deepEqual(gaps, ["missed ".length]);
  session.close();
});

test("a session that is gone is not started again in its place, nor tried for ever", async () => {
  const box = new Box();
  const { session, said } = open(box);
  await until(() => session.status.kind === "attached", "attached");
  box.exists = false;
  box.cut();
  await assert.rejects(session.exit, { code: "no_such_session" });
  assert.equal(box.starts, 1);
  assert.equal(said.at(-1)?.kind, "failed");
});

test("another program under the same id is shown from its beginning, without a gap", async () => {
  const box = new Box();
  const { session, shown, gaps } = open(box);
  await until(() => box.exists, "started");
  box.print("a long output of the old program. ");
  await until(() => shown.text === box.output, "shown");
  box.cut();
  box.output = "new";
  await until(() => session.status.kind === "attached" && box.frames.length > 1, "attached again");
  box.print(" program");
  await until(() => shown.text.endsWith(" program"), "the new one's output");
  assert.deepEqual(gaps, []);
  session.close();
});

test("errors: those that waiting cures are tried again with longer pauses, others end it", async () => {
  const pauses: number[] = [];
  let tries = 0;
  const { session } = open(new Box(), {
    connect: async () => {
      tries += 1;
      throw tries < 12 ? new Error("away") : new RangeError("no right");
    },
    isRetryable: (error) => !(error instanceof RangeError),
    sleep: async (ms) => {
      pauses.push(ms);
      await turn();
    },
  });
  await assert.rejects(session.exit, RangeError);
  assert.equal(tries, 12);
  assert.deepEqual(pauses.slice(0, 4), [50, 100, 200, 400]);
  assert.equal(Math.max(...pauses), 10_000);
});

test("a connection on which input stays untaken in silence is given up", async () => {
  const box = new Box();
  box.acksInput = false;
  let connections = 0;
  const { session } = open(box, {
    connect: async () => {
      connections += 1;
      if (connections > 1) box.acksInput = true;
      return box.connect();
    },
  });
  await until(() => session.status.kind === "attached", "attached");
  void session.write(bytesOf("hello"));
  await until(() => connections > 1 && session.status.kind === "attached", "attached again");
  assert.equal(box.input, "hello", "the box had it; nothing is doubled");
  session.close();
});

test("nothing more is read until the output was taken", async () => {
  const box = new Box();
  let isFree = () => {};
  let shown = "";
  const { session } = open(box, {
    onData: (bytes) => {
      shown += text(bytes);
      return new Promise<void>((done) => {
        isFree = done;
      });
    },
  });
  await until(() => box.exists, "started");
  box.print("one");
  await until(() => shown === "one", "shown");
  box.print("two");
  for (let turns = 0; turns < 50; turns++) await turn();
  assert.equal(shown, "one");
  isFree();
  await until(() => shown === "onetwo", "the rest");
  session.close();
});

test("a reader sends nothing but its wish to read", async () => {
  const box = new Box();
  box.exists = true;
  box.print("secret");
  const { session, shown } = open(box, { mode: "read", start: undefined });
  await until(() => shown.text === "secret", "shown");
  void session.write(bytesOf("rm -rf"));
  session.signal(9);
  session.resize(1, 1);
  session.end();
  for (let turns = 0; turns < 50; turns++) await turn();
  assert.deepEqual(
    box.frames.filter((frame) => frame.kind !== "attach").map((frame) => frame.kind),
    [],
  );
  session.close();
});

test("a size that changed meanwhile is told when attached again, and the exit code comes", async () => {
  const box = new Box();
  const { session } = open(box);
  await until(() => session.status.kind === "attached", "attached");
  box.cut();
  session.resize(40, 100);
  await until(() => box.frames.some((frame) => frame.kind === "resize"), "told");
  assert.deepEqual(
    box.frames.findLast((frame) => frame.kind === "resize"),
    {
      kind: "resize",
      rows: 40,
      cols: 100,
    },
  );
  box.exit(7);
  assert.equal(await session.exit, 7);
});
