// What runs a box at rest and what does not: a person who goes there does, a page that was open when it was paused does
// not, or no pause would hold.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Phase } from "#domain/box.ts";
import { BOX, NO_CHANGE, until } from "#test/harness/doors.ts";
import { ask, get, openPreviews, type PreviewRig, statusOf } from "#test/harness/previews.ts";

interface Resting {
  readonly rig: PreviewRig;
  asked: number;
}
let held: Resting;
/** The same without the defence. */
let open: Resting;

async function openResting(pausesHold: boolean): Promise<Resting> {
  const askWake = async () => {
    resting.asked += 1;
    run(resting);
    return "resuming" as const;
  };
  const rig = await openPreviews({ defences: { pausesHold }, askWake });
  const resting: Resting = { rig, asked: 0 };
  await rig.http((request, response) => response.end(`served ${request.url}`));
  return resting;
}

before(async () => {
  [held, open] = [await openResting(true), await openResting(false)];
});
after(() => Promise.all([held.rig.end(), open.rig.end()]));

function say({ rig }: Resting, phase: Phase) {
  const box = {
    ...{ boxId: BOX, name: "web", orgId: "org_a", ownerId: "usr_a", teamId: null },
    ...{ shares: [], phase, reason: null, epoch: 0, nodeId: null },
  };
  rig.doors.known.apply({ ...NO_CHANGE, boxes: [box] }, Date.now());
}

function run({ rig: { doors } }: Resting) {
  doors.driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  doors.links.refresh();
}

async function rest(resting: Resting) {
  const { driver, links, gateway } = resting.rig.doors;
  driver.boxes.clear();
  links.refresh();
  say(resting, "paused");
  await until(() => gateway.status().boxes === 0, "the box rests");
  resting.asked = 0;
}

/** `user`: a person did it just then. */
function from(site: string, mode: string, dest: string, user = false): string[] {
  const lines = [`Sec-Fetch-Site: ${site}`, `Sec-Fetch-Mode: ${mode}`, `Sec-Fetch-Dest: ${dest}`];
  return user ? [...lines, "Sec-Fetch-User: ?1"] : lines;
}

const UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
const BY_ITSELF: Record<string, string[]> = {
  "a fetch": from("same-origin", "cors", "empty"),
  "an image": from("same-origin", "no-cors", "image"),
  "a frame": from("same-origin", "navigate", "iframe"),
  "a page that loads itself again": from("same-origin", "navigate", "document"),
  "a WebSocket": [...from("same-origin", "websocket", "websocket"), ...UPGRADE],
  "an old browser's WebSocket": UPGRADE,
};
const BY_SOMEBODY: Record<string, string[]> = {
  "an address that was typed": from("none", "navigate", "document", true),
  "a bookmark, in a browser that does not tell of people": from("none", "navigate", "document"),
  "a reload": from("same-origin", "navigate", "document", true),
  "a link on the dashboard": from("cross-site", "navigate", "document", true),
  "curl, a webhook": [],
};

async function visit({ rig }: Resting, lines: readonly string[]): Promise<string> {
  const cookie = `Cookie: ${await rig.cookie()}`;
  const isUpgrade = lines.includes(UPGRADE[0] as string);
  if (!isUpgrade) return get(rig, "/", [cookie, ...lines]);
  const head = ["GET / HTTP/1.1", `Host: ${rig.host()}`, cookie, ...lines];
  return ask(rig, `${head.join("\r\n")}\r\n\r\n`);
}

test("a page that was open does not wake its box", async (t) => {
  for (const [name, lines] of Object.entries(BY_ITSELF))
    await t.test(name, async () => {
      await rest(held);
      const answer = await visit(held, lines);
      assert.equal(statusOf(answer), 503);
      assert.match(answer, /The box is at rest/);
      assert.equal(held.asked, 0);
      await rest(open);
      assert.match(await visit(open, lines), /served/);
      assert.equal(open.asked, 1);
    });
});

test("whoever goes there wakes it, and is served", async (t) => {
  for (const [name, lines] of Object.entries(BY_SOMEBODY))
    await t.test(name, async () => {
      await rest(held);
      assert.match(await visit(held, lines), /served/);
      assert.ok(held.asked > 0);
    });
});

test("a form that a person sends from an open page wakes it", async () => {
  await rest(held);
  const head = ["POST / HTTP/1.1", `Host: ${held.rig.host()}`, "Content-Length: 2"];
  const lines = [
    ...from("same-origin", "navigate", "document", true),
    "Connection: close",
    `Cookie: ${await held.rig.cookie()}`,
  ];
  const answer = await ask(held.rig, `${[...head, ...lines].join("\r\n")}\r\n\r\nok`);
  assert.match(answer, /served/);
});

test("what a page asks for while the box is on its way waits for it, without asking", async () => {
  await rest(held);
  say(held, "resuming");
  const waiting = visit(held, from("same-origin", "cors", "empty"));
  run(held);
  assert.match(await waiting, /served/);
  assert.equal(held.asked, 0);
});

test("what waits so is told when the box comes to rest after all", async () => {
  await rest(held);
  say(held, "resuming");
  const waiting = visit(held, from("same-origin", "cors", "empty"));
  say(held, "paused");
  assert.match(await waiting, /The box is at rest/);
  assert.equal(held.asked, 0);
});
