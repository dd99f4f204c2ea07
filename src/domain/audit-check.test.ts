// A chain of 2,000 entries, each of them tampered with in every way there is: no change goes unseen. And texts that
// are made to break records come out as they went in.

import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign, verify } from "node:crypto";
import { test } from "node:test";
import {
  type AuditEntry,
  type AuditMark,
  auditText,
  markLine,
  markText,
  type SealedEntry,
  type SignedAuditMark,
  sealLine,
  sealText,
  ZERO_HASH,
} from "./audit.ts";
import {
  type AuditCheck,
  type AuditStep,
  type AuditTools,
  checkLine,
  endCheck,
  isFault,
  startCheck,
} from "./audit-check.ts";

const ENTRIES = 2000;
const CHAIN = "org_a";
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const ours = generateKeyPairSync("ed25519");
const theirs = generateKeyPairSync("ed25519");
const tools: AuditTools = {
  sha256,
  verifies: (text, signature) =>
    verify(null, Buffer.from(text), ours.publicKey, Buffer.from(signature, "base64")),
};

function entryOf(id: number, more: Partial<AuditEntry> = {}): AuditEntry {
  return {
    ...{ id, at: new Date(1_800_000_000_000 + id).toISOString(), verb: "boxes.pause" },
    ...{ outcome: "ok", code: null, actorId: `usr_${id % 7}`, actorRoles: ["member"] },
    ...{ credentialId: "tok_1", address: "192.0.2.1", userAgent: "berth", requestId: `req_${id}` },
    ...{ resource: { box: `box_${id}` }, touched: [`box_${id}`], data: {} },
    ...more,
  };
}

function sealed(seq: number, previous: string, entry: AuditEntry): SealedEntry {
  const unsealed = { chain: CHAIN, seq, previous, entry };
  return { ...unsealed, hash: sha256(sealText(unsealed)) };
}

function signed(
  kind: AuditMark["kind"],
  { seq, hash }: Pick<SealedEntry, "seq" | "hash">,
  key = ours.privateKey,
): SignedAuditMark {
  const mark = { kind, chain: CHAIN, seq, hash, at: "2027-01-01T00:00:00.000Z" };
  return { ...mark, signature: sign(null, Buffer.from(markText(mark)), key).toString("base64") };
}

function chainOf(count: number): SealedEntry[] {
  const chain: SealedEntry[] = [];
  for (let seq = 1; seq <= count; seq += 1)
    chain.push(sealed(seq, chain.at(-1)?.hash ?? ZERO_HASH, entryOf(seq)));
  return chain;
}

function check(lines: readonly string[], heads: readonly SignedAuditMark[]): AuditStep {
  return checkFrom(startCheck(CHAIN, heads, tools), lines);
}

function checkFrom(start: AuditStep, lines: readonly string[]): AuditStep {
  let at = start;
  for (const line of lines) {
    if (isFault(at)) return at;
    at = checkLine(at, line, tools);
  }
  return isFault(at) ? at : endCheck(at);
}

test("every entry of 2,000, tampered with in six ways, is detected", () => {
  const chain = chainOf(ENTRIES);
  const lines = chain.map(sealLine);
  const last = chain.at(-1) as SealedEntry;
  const head = signed("head", last);
  const whole = check(lines, [head]);
  assert.ok(!isFault(whole) && whole.entries === ENTRIES, JSON.stringify(whole));
  // The state before each entry: what a check of the untouched lines up to there comes to.
  const before: AuditCheck[] = [];
  let at = startCheck(CHAIN, [head], tools);
  for (const line of lines) {
    before.push(at as AuditCheck);
    at = checkLine(at as AuditCheck, line, tools);
  }
  const kinds = new Map<string, number>();
  const expectFault = (index: number, name: string, rest: readonly string[]) => {
    const step = checkFrom(before[index] as AuditCheck, rest);
    assert.ok(isFault(step), `${name} of entry ${index + 1} was not detected`);
    kinds.set(`${name}: ${step.kind}`, (kinds.get(`${name}: ${step.kind}`) ?? 0) + 1);
  };
  for (const [index, one] of chain.entries()) {
    const after = (from: number) => lines.slice(from, from + 3);
    const isLast = index === chain.length - 1;
    const edited = { ...one, entry: { ...one.entry, outcome: "refused" as const } };
    expectFault(index, "edit", [sealLine(edited), ...after(index + 1)]);
    expectFault(index, "drop", isLast ? [] : after(index + 1));
    if (!isLast)
      expectFault(index, "reorder", [
        ...[lines[index + 1], lines[index]].map(String),
        ...after(index + 2),
      ]);
    // Another entry in its place, sealed as well as can be without what follows.
    const forked = sealLine(sealed(one.seq, one.previous, entryOf(one.seq, { verb: "x.y" })));
    expectFault(index, "fork", [forked, ...after(index + 1)]);
    expectFault(index, "truncation", []);
    expectFault(index, "repeat", [String(lines[index]), String(lines[index]), ...after(index + 1)]);
  }
  assert.equal(
    [...kinds.values()].reduce((sum, count) => sum + count, 0),
    6 * ENTRIES - 1,
  );
});

test("a chain that was sealed anew from some entry on is found by its signed head", () => {
  const chain = chainOf(60);
  const head = signed("head", chain.at(-1) as SealedEntry);
  for (let from = 0; from < chain.length; from += 1) {
    const forged = chain.slice(0, from);
    for (const one of chain.slice(from)) {
      const entry = one.seq === from + 1 ? { ...one.entry, actorId: "usr_x" } : one.entry;
      forged.push(sealed(one.seq, forged.at(-1)?.hash ?? ZERO_HASH, entry));
    }
    const step = check(forged.map(sealLine), [head]);
    assert.ok(isFault(step) && step.kind === "forked", `from ${from}`);
    // Without the head nobody could know: this is what it is kept for.
    const unsigned = check(forged.map(sealLine), []);
    assert.ok(isFault(unsigned) && unsigned.kind === "unsigned");
  }
});

test("heads and anchors count only with the installation's signature, and only for their chain", () => {
  const chain = chainOf(10);
  const lines = chain.map(sealLine);
  const last = chain.at(-1) as SealedEntry;
  const forged = signed("head", last, theirs.privateKey);
  assert.equal((check(lines, [forged]) as { kind?: string }).kind, "forged");
  const longer = { ...signed("head", last), seq: 11 };
  assert.equal((check(lines, [longer]) as { kind?: string }).kind, "forged");
  const other = { ...signed("head", last), chain: "org_b" };
  assert.equal((check(lines, [other]) as { kind?: string }).kind, "other_chain");
  // What retention left: the rest, after an anchor.
  const anchor = signed("anchor", chain[5] as SealedEntry);
  const kept = check([markLine(anchor), ...lines.slice(6), markLine(signed("head", last))], []);
  assert.ok(!isFault(kept) && kept.entries === 4, JSON.stringify(kept));
  const older = check(
    [markLine(anchor), ...lines.slice(6), markLine(signed("head", last))],
    [signed("head", chain[2] as SealedEntry)],
  );
  assert.ok(!isFault(older) && older.unseen.length === 1);
  const wrongAnchor = signed("anchor", chain[5] as SealedEntry, theirs.privateKey);
  assert.ok(isFault(check([markLine(wrongAnchor), ...lines.slice(6)], [])));
  assert.ok(isFault(check([...lines.slice(0, 3), markLine(anchor), ...lines.slice(6)], [])));
  assert.ok(isFault(check(lines.slice(6), [])), "a beginning that is missing without an anchor");
});

/** What logs and records were broken with. */
const NASTY = [
  ...[
    "line\nbreak",
    "\r\n",
    "\u001b[31mred\u001b[0m",
    "\u001b]0;title\u0007",
    "a\tb",
    "\u2028x\u2029",
  ],
  ...['","outcome":"ok","x":"', '{"v":1}', "\\", '\\"', "'; drop table audit_entries; --", "%00"],
  ...["\u202egnp.exe", "e\u0301", "🛥️", "\ufeff", "\u0085", "\u007f", "__proto__", "constructor"],
  ...["a".repeat(300), "null", "1e999", "</script>", "\u0000nul", "\ud800half"],
];

test("names made to break records stay one line and come back as they were", () => {
  const chain: SealedEntry[] = [];
  for (const [index, nasty] of NASTY.entries()) {
    const text = auditText(nasty);
    const entry = entryOf(index + 1, {
      ...{ userAgent: text, verb: text, actorId: text, touched: [text], actorRoles: [text] },
      resource: Object.fromEntries([
        [text, text],
        ["__proto__", text],
      ]),
      data: { [text]: text },
    });
    chain.push(sealed(index + 1, chain.at(-1)?.hash ?? ZERO_HASH, entry));
  }
  const lines = chain.map(sealLine);
  const file = `${lines.join("\n")}\n`;
  assert.deepEqual(file.split(/[\n\r\u2028\u2029\u0085]/).slice(0, -1), lines.map(String));
  for (const [index, line] of lines.entries())
    assert.deepEqual(JSON.parse(line).entry, chain[index]?.entry);
  assert.ok(!isFault(check(lines, [signed("head", chain.at(-1) as SealedEntry)])));
});

test("one line has one reading: spaces, another order, doubled keys and more fields are refused", () => {
  const [one] = chainOf(1).map(sealLine) as [string];
  for (const line of [
    ` ${one}`,
    `${one} `,
    one.replace('"seq":1', '"seq": 1'),
    one.replace('"seq":1', '"seq":1.0'),
    one.replace('"seq":1', '"seq":2,"seq":1'),
    one.replace('"seq":1', '"more":true,"seq":1'),
    one.replace('"v":1', '"v":2'),
    one.replace("boxes.pause", "boxes\\u002epause"),
    "",
    "null",
    "[]",
    "{}",
  ]) {
    const step = check([line], []);
    assert.ok(isFault(step), line);
  }
  const end = markLine(signed("head", chainOf(1)[0] as SealedEntry));
  assert.ok(!isFault(check([one, end], [])));
  const broken = check([one], []);
  assert.ok(isFault(broken) && broken.kind === "unsigned", "an export that broke off");
  assert.ok(!isFault(check([], [])), "nothing has happened yet");
});
