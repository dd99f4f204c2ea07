import assert from "node:assert/strict";
import { test } from "node:test";
import { breachText, type QuotaBreach, type QuotaContext } from "./quota.ts";

const BREACH: QuotaBreach = {
  ...{ orgId: "org_1", scope: "org", scopeId: "org_1" },
  ...{ resource: "running", limit: 10, used: 10, wanted: 1 },
};
const CONTEXT: QuotaContext = { holder: "acme", top: [], freeable: [], templates: [] };

test("a refusal says which limit, who uses it, and what to free", () => {
  const context = {
    ...CONTEXT,
    top: [
      { name: "ada", used: 7 },
      { name: "bob", used: 3 },
    ],
    freeable: ["one", "two", "three"],
  };
  assert.equal(
    breachText(BREACH, context),
    "The limit of the organization acme is 10 running boxes: 10 are used (ada 7, bob 3), and this needs 1 more. Pause or stop one, two or three to make room.",
  );
});

test("amounts are told in the unit that people use", () => {
  const memory = { ...BREACH, scope: "team", resource: "memoryMib" } as const;
  assert.match(
    breachText({ ...memory, limit: 65_536, used: 63_488, wanted: 4096 }, CONTEXT),
    /^The limit of the team acme is 64 GiB of memory of running boxes: 62 GiB are used, and this needs 4 GiB more\. None of it is yours/,
  );
  const bytes = { ...BREACH, scope: "user", resource: "snapshotBytes" } as const;
  assert.match(
    breachText(
      { ...bytes, limit: 2 ** 31, used: 1, wanted: 2 ** 31 },
      { ...CONTEXT, holder: null },
    ),
    /^Your limit is 2 GiB of snapshots: 1 MiB is used, and this needs 2 GiB more/,
  );
});

test("sizes and templates name what may be had", () => {
  const size = { ...BREACH, resource: "boxMemoryMib", limit: 4096, used: 0, wanted: 8192 } as const;
  assert.match(
    breachText(size, CONTEXT),
    /has 4 GiB of memory at most, and this one would have 8 GiB/,
  );
  const template = { ...BREACH, resource: "templates", limit: 0, used: 0, wanted: 0 } as const;
  assert.match(
    breachText(template, { ...CONTEXT, templates: ["go", "rust"] }),
    /can be made from go or rust only/,
  );
});

test("a rate says to wait", () => {
  const rate = { ...BREACH, resource: "createsPerHour" } as const;
  assert.match(breachText(rate, CONTEXT), /Wait until the oldest of them is an hour ago\.$/);
});
