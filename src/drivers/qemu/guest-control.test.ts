// The control client against a scripted guest: sessions, stale and hostile bytes, time-outs.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Duplex, duplexPair } from "node:stream";
import { test } from "node:test";
import type { Clock } from "#lib/clock.ts";
import { fc } from "#test/harness/fc.ts";
import { type DecodedRecord, decodeRecord, encodeRecord, type Field } from "#wire/records.ts";
import { GuestControl, GuestControlError, type Renewal } from "./guest-control.ts";

/** A clock whose time passes only when the test says so. */
class HandClock implements Clock {
  now = 1_000_000;
  readonly #sleepers: { at: number; wake: () => void }[] = [];
  nowMs(): number {
    return this.now;
  }
  monotonicMs(): number {
    return this.now;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sleepers.push({ at: this.now + ms, wake: resolve });
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  }
  pass(ms: number): void {
    this.now += ms;
    for (const sleeper of this.#sleepers) if (sleeper.at <= this.now) sleeper.wake();
  }
}

interface Request {
  session: string;
  sequence: string;
  verb: string;
  record: DecodedRecord;
}

/** The guest's end: calls `obey` per request. */
function guest(stream: Duplex, obey: (request: Request) => void): void {
  let held = "";
  stream.on("data", (chunk: Buffer) => {
    held += chunk.toString();
    const lines = held.split("\n");
    held = lines.pop() ?? "";
    for (const line of lines.filter(Boolean)) {
      const [session = "", sequence = "", verb = "", hex = ""] = line.split(" ");
      const record = decodeRecord(Buffer.from(hex === "-" ? "" : hex, "hex"));
      obey({ session, sequence, verb, record });
    }
  });
}

function line(session: string, sequence: string, word: string, fields: Field[]): string {
  return `${session} ${sequence} ${word} ${Buffer.from(encodeRecord(fields)).toString("hex") || "-"}\n`;
}

const STATUS: Field[] = [
  ["bootId", "b1"],
  ["epoch", "3"],
  ["state", "renewed"],
];

const RENEWAL: Renewal = {
  epoch: 4,
  boxId: "box_1",
  hostName: "first",
  machineId: "0".repeat(32),
  sshHostKey: "KEY",
  sshHostPublicKey: "PUB",
  sshHostCertificate: "CERT",
  sshUserCa: "CA",
  sshPrincipals: ["box_1", "other"],
  env: { A: "1", B: "it's" },
  execToken: "token",
};

function pair(): { clock: HandClock; control: GuestControl; far: Duplex } {
  const clock = new HandClock();
  const [near, far] = duplexPair();
  return { clock, far, control: new GuestControl(near, { clock, session: "s1" }) };
}

const coded = (code: string) => (error: unknown) =>
  error instanceof GuestControlError && error.code === code;

test("hello is repeated until a guest that is still booting answers", async () => {
  const { clock, control, far } = pair();
  let asked = 0;
  guest(far, ({ session, sequence, verb }) => {
    assert.equal(verb, "hello");
    asked += 1;
    if (asked < 3) setImmediate(() => clock.pass(1_000));
    else far.write(line(session, sequence, "ok", STATUS));
  });
  const status = await control.hello(60_000);
  assert.deepEqual(status, { bootId: "b1", epoch: 3, state: "renewed", trouble: "" });
  assert.equal(asked, 3);
});

test("hello gives up after its time", async () => {
  const { clock, control, far } = pair();
  guest(far, () => setImmediate(() => clock.pass(1_000)));
  await assert.rejects(control.hello(5_000), coded("timeout"));
});

test("hello ends when it is aborted", async () => {
  const { control, far } = pair();
  const abort = new AbortController();
  guest(far, () => abort.abort(new Error("enough")));
  await assert.rejects(control.hello(5_000, abort.signal), /enough/);
});

test("answers of an older session, of no request, and garbage are not taken for an answer", async () => {
  const { control, far } = pair();
  guest(far, ({ session, sequence }) => {
    far.write("half of a line of the past");
    far.write(`\n${line("s0", sequence, "ok", [["epoch", "99"]])}`);
    far.write(line(session, "77", "ok", [["epoch", "98"]]));
    far.write(line(session, sequence, "ok", STATUS));
  });
  assert.equal((await control.ping()).epoch, 3);
});

test("an answer is found again after more bytes without a newline than are ever kept", async () => {
  const { control, far } = pair();
  guest(far, ({ session, sequence }) => {
    for (let i = 0; i < 20; i += 1) far.write("x".repeat(60_000));
    far.write(`\n${line(session, sequence, "ok", STATUS)}`);
  });
  assert.equal((await control.ping()).epoch, 3);
});

test("whatever bytes a guest sends, requests end with an answer or a GuestControlError", async () => {
  const noise = fc.array(fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.constant("s1 1 ok 0\n")));
  await fc.assert(
    fc.asyncProperty(noise, async (chunks) => {
      const { clock, control, far } = pair();
      far.resume();
      const asked = control.ping(1_000).catch((error) => {
        assert.ok(error instanceof GuestControlError);
      });
      for (const chunk of chunks) far.write(chunk);
      await new Promise((resolve) => setImmediate(resolve));
      clock.pass(1_000);
      await asked;
    }),
  );
});

test("the guest's own refusal is told with its words", async () => {
  const { control, far } = pair();
  guest(far, ({ session, sequence }) =>
    far.write(line(session, sequence, "error", [["message", "no such request"]])),
  );
  await assert.rejects(control.sync(), /no such request/);
});

test("a record that makes no sense is malformed, not an answer", async () => {
  const { control, far } = pair();
  guest(far, ({ session, sequence }) => far.write(`${session} ${sequence} ok ff00\n`));
  await assert.rejects(control.ping(), coded("malformed"));
});

test("requests that wait fail when the channel closes, and later ones at once", async () => {
  const { control, far } = pair();
  guest(far, () => far.end());
  await assert.rejects(control.sync(), coded("closed"));
  await assert.rejects(control.ping(), coded("closed"));
});

test("a renewal carries the whole identity, fresh entropy and the clock", async () => {
  const { clock, control, far } = pair();
  const seen: DecodedRecord[] = [];
  guest(far, ({ session, sequence, record }) => {
    seen.push(record);
    const renewed = ["entropy", "clock", "exec-token", "hostname"].map(
      (w): Field => ["renewed", w],
    );
    far.write(
      line(session, sequence, "ok", [
        ...renewed,
        ["epoch", "4"],
        ["bootId", "b"],
        ["sshd", "ready"],
      ]),
    );
  });
  const ack = await control.renew(RENEWAL);
  await control.renew(RENEWAL);
  const [first, second] = seen as [DecodedRecord, DecodedRecord];
  assert.equal(ack.sshdReady, true);
  assert.deepEqual(ack.renewed, ["entropy", "clock", "exec-token", "hostname"]);
  assert.equal(first.number("timeMs"), clock.now);
  assert.deepEqual(first.texts("env"), ["A=1", "B=it's"]);
  assert.deepEqual(first.texts("sshPrincipal"), ["box_1", "other"]);
  const entropyOf = (record: DecodedRecord) =>
    Buffer.from(record.bytes("entropy") ?? []).toString("hex");
  assert.equal(entropyOf(first).length, 128);
  assert.notEqual(entropyOf(first), entropyOf(second));
});

test("a renewal that leaves something out, or is of another epoch, fails closed", async () => {
  for (const missing of ["entropy", "clock", "exec-token"]) {
    const { control, far } = pair();
    guest(far, ({ session, sequence }) => {
      const rest = ["entropy", "clock", "exec-token"].filter((word) => word !== missing);
      const renewed = rest.map((word): Field => ["renewed", word]);
      far.write(line(session, sequence, "ok", [...renewed, ["epoch", "4"]]));
    });
    await assert.rejects(control.renew(RENEWAL), new RegExp(`did not renew its ${missing}`));
  }
  const { control, far } = pair();
  guest(far, ({ session, sequence }) => {
    const renewed = ["entropy", "clock", "exec-token"].map((word): Field => ["renewed", word]);
    far.write(line(session, sequence, "ok", [...renewed, ["epoch", "3"]]));
  });
  await assert.rejects(control.renew(RENEWAL), /acknowledged epoch 3, not 4/);
});

test("a thaw tells whether the freeze was still held", async () => {
  const { control, far } = pair();
  const held = ["yes", "no"];
  guest(far, ({ session, sequence }) =>
    far.write(line(session, sequence, "ok", [["held", held.shift() ?? ""]])),
  );
  assert.equal(await control.thaw(), true);
  assert.equal(await control.thaw(), false);
});

test("ports are taken as the guest says them, and what makes no sense is left out", async () => {
  const { control, far } = pair();
  const said = ["22 any sshd", "5173 loopback node dev", "8080 any ", "0 any x", "70000 any x"];
  const odd = ["x any y", "80 everywhere y", "81 any \u0007", `82 any ${"x".repeat(33)}`, ""];
  guest(far, ({ session, sequence, verb }) => {
    assert.equal(verb, "ports");
    const fields = [...said, ...odd].map((text): Field => ["port", text]);
    far.write(line(session, sequence, "ok", fields));
  });
  assert.deepEqual(await control.ports(), [
    { port: 22, isLoopback: false, program: "sshd" },
    { port: 5173, isLoopback: true, program: "node dev" },
    { port: 8080, isLoopback: false, program: null },
  ]);
});

test("SSH keys are a field each, and never two lines", async () => {
  const { control, far } = pair();
  const seen: DecodedRecord[] = [];
  guest(far, ({ session, sequence, verb, record }) => {
    assert.equal(verb, "keys");
    seen.push(record);
    far.write(line(session, sequence, "ok", []));
  });
  await control.authorizeKeys(["ssh-ed25519 AAAA one", "ssh-rsa BBBB two\nssh-rsa CCCC three"]);
  await control.authorizeKeys([]);
  assert.deepEqual(
    seen.map((record) => record.texts("sshAuthorizedKey")),
    [["ssh-ed25519 AAAA one", "ssh-rsa BBBB two ssh-rsa CCCC three"], []],
  );
});
