// What drivers promise of bytes that leave a box: counted while its network lives, and by another name after that.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { BoxId } from "#domain/ids.ts";
import type { Driver } from "#drivers/driver.ts";

interface Place {
  readonly boxId: BoxId;
  readonly epoch: number;
}

export async function testEgress(driver: Driver, { boxId, epoch }: Place): Promise<void> {
  const before = await driver.egress(boxId, epoch);
  assert.ok(before, "a box that is ready has a network");
  const stream = await driver.connect(boxId, epoch, 22);
  stream.write("SSH-2.0-conformance\r\n");
  await once(stream, "data");
  stream.destroy();
  const after = await driver.egress(boxId, epoch);
  assert.equal(after?.counter, before.counter);
  assert.ok(after.bytes > before.bytes, `${after.bytes} after ${before.bytes}`);
  assert.equal(await driver.egress(boxId, epoch + 1), null);
  assert.equal(await driver.egress("box_none" as BoxId, 1), null);
}
