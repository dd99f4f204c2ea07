// Part of conformance.ts: the certificate of a running box's host key is replaced when it is old, and not sooner.

import assert from "node:assert/strict";
import type { BoxId } from "#domain/ids.ts";
import type { Driver } from "#drivers/driver.ts";

interface Place {
  readonly boxId: BoxId;
  readonly epoch: number;
}

const DAY_MS = 86_400_000;

export async function testCertificate(driver: Driver, box: Place): Promise<void> {
  const certify = async (olderThanMs: number, epoch = box.epoch) => {
    let asked = 0;
    const signHostKey = async () => {
      asked += 1;
      return "another certificate";
    };
    await driver.certifyHostKey(box.boxId, epoch, { signHostKey, olderThanMs });
    return asked;
  };
  assert.equal(await certify(DAY_MS), 0, "it is new");
  assert.equal(await certify(0), 1);
  assert.equal((await driver.inspect(box.boxId))?.state, "ready");
  assert.equal(await certify(DAY_MS), 0, "and new again");
  await assert.rejects(certify(0, box.epoch + 1), { code: "epoch_stale" });
}
