// What every object store driver must do. A driver's test calls `testObjectStore` with a way to open an
// empty store.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ObjectStore } from "#objects/store.ts";
import { isStoreError, listAll, type StoreErrorCode } from "#objects/store.ts";

export interface StoreUnderTest {
  readonly store: ObjectStore;
  close(): Promise<void>;
}

export function testObjectStore(name: string, open: () => Promise<StoreUnderTest>): void {
  const testStore = (what: string, body: (store: ObjectStore) => Promise<void>): void => {
    test(what, async () => {
      const { store, close } = await open();
      try {
        await body(store);
      } finally {
        await close();
      }
    });
  };
  describe(`object store: ${name}`, () => {
    testStore("gives back what was put, whole and in ranges", async (store) => {
      const bytes = Buffer.from(Array.from({ length: 10_000 }, (_, i) => i % 251));
      await store.put("a/b", bytes);
      assert.deepEqual(await store.get("a/b"), bytes);
      assert.deepEqual(await store.getRange("a/b", 100, 50), bytes.subarray(100, 150));
      assert.deepEqual(await store.getRange("a/b", 9_990, 50), bytes.subarray(9_990));
      assert.equal((await store.getRange("a/b", 20_000, 5)).length, 0);
      await store.put("empty", Buffer.alloc(0));
      assert.equal((await store.get("empty")).length, 0);
    });

    testStore("replaces, and with ifNoneMatch does not", async (store) => {
      await store.put("k", Buffer.from("one"));
      await store.put("k", Buffer.from("two"));
      await assert.rejects(
        store.put("k", Buffer.from("three"), { ifNoneMatch: true }),
        is("precondition_failed"),
      );
      assert.equal((await store.get("k")).toString(), "two");
      await store.put("new", Buffer.from("x"), { ifNoneMatch: true });
      assert.equal((await store.get("new")).toString(), "x");
    });

    testStore("lets exactly one of many creators win", async (store) => {
      const puts = Array.from({ length: 20 }, (_, i) =>
        store.put("race/one", Buffer.from(`${i}`), { ifNoneMatch: true }).then(
          () => i,
          (error) => {
            assert.ok(isStoreError(error, "precondition_failed"), String(error));
            return null;
          },
        ),
      );
      const winners = (await Promise.all(puts)).filter((i) => i !== null);
      assert.equal(winners.length, 1);
      assert.equal((await store.get("race/one")).toString(), `${winners[0]}`);
    });

    testStore("says what is not there", async (store) => {
      await assert.rejects(store.get("no/such"), is("not_found"));
      await assert.rejects(store.getRange("no/such", 0, 1), is("not_found"));
      assert.equal(await store.head("no/such"), null);
      await store.delete("no/such");
    });

    testStore("deletes, and says so afterwards", async (store) => {
      await store.put("d/e", Buffer.from("x"));
      assert.equal((await store.head("d/e"))?.bytes, 1);
      await store.delete("d/e");
      await store.delete("d/e");
      assert.equal(await store.head("d/e"), null);
      assert.deepEqual(await keysOf(store, "d"), []);
      await store.put("d/e", Buffer.from("y"));
      assert.equal((await store.get("d/e")).toString(), "y");
    });

    testStore("lists by prefix in the order of bytes, page after page", async (store) => {
      const keys = ["a", "a-b/c", "a/b", "a/b/c", "a0", "b/x", ...numbered("many/", 25)];
      for (const key of keys) await store.put(key, Buffer.from(key));
      assert.deepEqual(await keysOf(store, ""), [...keys].sort(byBytes));
      assert.deepEqual(await keysOf(store, "a"), ["a", "a-b/c", "a/b", "a/b/c", "a0"]);
      assert.deepEqual(await keysOf(store, "a/"), ["a/b", "a/b/c"]);
      assert.deepEqual(await keysOf(store, "many/"), numbered("many/", 25));
      assert.deepEqual(await keysOf(store, "none/"), []);
      for await (const { key, bytes } of listAll(store, "a")) assert.equal(bytes, key.length);
    });

    testStore("keeps any key apart and inside itself", async (store) => {
      const keys = [
        "../up",
        "x/../../up",
        "./here",
        "x/./y",
        ".tmp/x",
        ".hidden",
        "sp ace",
        "per%cent",
        "per%25cent",
        "tilde~",
        "tilde",
        "tilde~/under",
        "ünï",
        "nul\u0000byte",
        "UPPER",
        "upper",
        "back\\slash",
      ];
      for (const key of keys) await store.put(key, Buffer.from(`<${key}>`));
      for (const key of keys) assert.equal((await store.get(key)).toString(), `<${key}>`);
      assert.deepEqual(await keysOf(store, ""), [...keys].sort(byBytes));
      for (const key of keys) await store.delete(key);
      assert.deepEqual(await keysOf(store, ""), []);
    });

    testStore("tells when an object was written", async (store) => {
      await store.put("t", Buffer.from("x"));
      const first = (await store.head("t"))!.modifiedMs;
      for (let after = first; after <= first; ) {
        await store.put("t", Buffer.from("y"));
        after = (await store.head("t"))!.modifiedMs;
      }
      for await (const { modifiedMs } of listAll(store, "t")) assert.ok(modifiedMs > first);
    });
  });
}

function is(code: StoreErrorCode) {
  return (error: unknown): boolean => isStoreError(error, code);
}

function numbered(prefix: string, n: number): string[] {
  return Array.from({ length: n }, (_, i) => `${prefix}${String(i).padStart(3, "0")}`);
}

async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of listAll(store, prefix)) keys.push(key);
  return keys;
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
