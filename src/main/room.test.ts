import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Config, readConfig } from "./config.ts";
import { freeDiskBytes, refuseTooLittle, roomFor } from "./room.ts";

const GIB = 1024 ** 3;
const config = (driver: string): Config => readConfig({ BERTH_DRIVER: driver });

function refusal(
  driver: string,
  room: { readonly memory?: number; readonly disk?: number },
  isFirst = true,
): string | null {
  const { memory = 8, disk = 100 } = room;
  try {
    refuseTooLittle(
      { memoryBytes: memory * GIB, freeDiskBytes: disk * GIB },
      { config: config(driver), recorded: isFirst ? null : config(driver) },
    );
    return null;
  } catch (error) {
    const { message, next } = error as Error & { next: string };
    return `${message} ${next}`;
  }
}

test("too little memory or disk is refused before anything is made, with what would do", () => {
  assert.equal(refusal("qemu", {}), null);
  assert.match(
    refusal("qemu", { memory: 2 }) ?? "",
    /has 2\.0 GiB of memory; .* want 3\.0 GiB\. .*--driver fake/,
  );
  assert.match(
    refusal("qemu", { disk: 4 }) ?? "",
    /4\.0 GiB are free for \/var\/lib\/berth; .*10\.0 GiB to begin with.*--state-dir/,
  );
  assert.equal(refusal("fake", { memory: 1, disk: 2 }), null, "the fake driver takes little");
  assert.match(refusal("fake", { disk: 0 }) ?? "", /0 B are free/);
});

test("what was begun here goes on with less, but not with a full disk", () => {
  assert.equal(refusal("qemu", { memory: 2, disk: 4 }, false), null);
  assert.match(refusal("qemu", { disk: 0.5 }, false) ?? "", /512 MiB are free.*1\.0 GiB to start/);
});

test("a directory that is not there yet has the room of the disk that it will be on", async () => {
  const there = await freeDiskBytes(tmpdir());
  assert.ok(there > 0);
  const { memoryBytes, freeDiskBytes: free } = await roomFor(join(tmpdir(), "berth-none/a/b"));
  assert.ok(memoryBytes > 0 && free > 0 && Number.isFinite(free));
  assert.equal(await freeDiskBytes("/dev/null/berth"), Number.POSITIVE_INFINITY);
});
