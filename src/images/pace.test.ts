// How often the guest reads what a program writes: in a box each piece is a packet, and packets are dear.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ExecClient, type ExecHost, startExecHost } from "#test/harness/exec-host.ts";

let host: ExecHost;
before(async () => {
  host = await startExecHost(["-O2"]);
});
after(() => host.stop());

/** One in 4 ms, five more after a pause of 20 ms, and one for each 2048 bytes: twice as many are fine. */
const mostPieces = (ms: number, bytes: number) => 20 + 2 * (ms / 4 + ms / 4 + bytes / 2048);

for (const pty of [undefined, { rows: 24, cols: 80 }]) {
  const where = pty ? "terminal" : "pipe";
  test(`what is written in many small pieces to a ${where} comes in few large ones`, async () => {
    const writes = 100_000;
    const client = new ExecClient(host.port);
    const startedMs = performance.now();
    const argv = ["dd", "if=/dev/zero", "bs=2", `count=${writes}`, "status=none"];
    client.send({ kind: "start", argv, user: "root", pty });
    await client.frame("exit");
    const ms = performance.now() - startedMs;
    assert.equal(client.output().length, 2 * writes);
    const pieces = client.frames.filter(({ kind }) => kind === "stdout").length;
    const most = mostPieces(ms, 2 * writes);
    assert.ok(pieces <= most, `${pieces} pieces in ${ms.toFixed()} ms, not ${most.toFixed()}`);
  });
}
