// A node that was cut off goes on announcing what was placed elsewhere since: nothing leads to it.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { openStream } from "#sdk/stream.ts";
import {
  BOX,
  DoorDriver,
  NO_CHANGE,
  NODE,
  nodeTls,
  openDoors,
  USER,
  until,
} from "#test/harness/doors.ts";

const ECHO = 7;
const OTHER = "node_other00000000000000";

async function world(t: TestContext) {
  const doors = await openDoors();
  const echo = createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((done) => echo.listen(0, "127.0.0.1", done));
  doors.driver.ports.set(ECHO, (echo.address() as { port: number }).port);
  t.after(async () => {
    await doors.close();
    echo.close();
  });
  const place = (epoch: number, nodeId: string) => {
    const box = { boxId: BOX, name: "web", orgId: "org_a", ownerId: USER, epoch, nodeId };
    const rest = { teamId: null, shares: [], phase: "running" as const, reason: null };
    const boxes = [{ ...box, ...rest }];
    const members = [{ orgId: "org_a", userId: USER, roles: ["member" as const], teams: [] }];
    doors.known.apply({ ...NO_CHANGE, boxes, members }, Date.now());
  };
  const enter = async (): Promise<Duplex> => {
    const stream = await openStream({
      ...{ gatewayUrl: doors.gatewayUrl, ticket: await doors.mint() },
      ...{ boxId: BOX, door: { port: ECHO } },
    });
    stream.on("error", () => {});
    return stream;
  };
  return { doors, place, enter };
}

const refused = { code: "box_not_here" };

test("a placement that is over is entered no more, also before the next is announced, and its streams end", async (t) => {
  const { doors, place, enter } = await world(t);
  place(1, NODE);
  const open = await enter();
  const broken = new Promise<Error>((done) => open.once("error", done));
  place(2, OTHER);
  await assert.rejects(enter(), refused);
  assert.match((await broken).message, /another placement/);
  assert.equal(doors.gateway.status().boxes, 0);
  // What was last known holds when the control plane is heard no more.
  doors.known.setHeard(true);
  doors.known.setHeard(false);
  await assert.rejects(enter(), refused);
});

test("a node is not believed about a box of another node", async (t) => {
  const { doors, place, enter } = await world(t);
  doors.known.setHeard(true);
  place(1, OTHER);
  await assert.rejects(enter(), refused);
  place(1, NODE);
  (await enter()).destroy();
  // It claims to be ahead of everybody.
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 99, state: "ready" });
  driver.boxes.set("box_of_its_own", { epoch: 1, state: "ready" });
  doors.newLinks({ driver, tls: await nodeTls(doors.authority, OTHER) });
  await until(() => doors.gateway.status().boxes === 2, "it was heard");
  (await enter()).destroy();
});

test("a placement that the gateway hears of from the node first is entered once it is told", async (t) => {
  const { doors, place, enter } = await world(t);
  doors.known.setHeard(true);
  place(1, NODE);
  /** With a box that nobody knows for each turn: by them we see that it was announced. */
  const announce = async (epoch: number, boxes: number) => {
    doors.driver.boxes.set(BOX, { epoch, state: "ready" });
    for (const n of ["a", "b"]) doors.driver.boxes.set(`${n}_${epoch}`, { epoch, state: "ready" });
    doors.links.refresh();
    await until(() => doors.gateway.status().boxes === boxes, "announced");
  };
  await announce(2, 2);
  await assert.rejects(enter(), refused);
  place(2, NODE);
  (await enter()).destroy();
  // Nobody tells any more: what nodes announce is all there is.
  await announce(3, 4);
  await assert.rejects(enter(), refused);
  doors.known.setHeard(false);
  (await enter()).destroy();
});
