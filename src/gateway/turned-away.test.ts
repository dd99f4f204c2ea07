// Who is refused at a box's door leaves an entry when it is known who that is: what they showed was once ours. Of
// strangers, anybody could make as many as they like: they leave none.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { connect } from "node:net";
import { test } from "node:test";
import { sshString } from "#lib/ssh-wire.ts";
import { BOX as DOOR_BOX, USER as DOOR_USER, openDoors } from "#test/harness/doors.ts";
import {
  BOX,
  CREDENTIAL,
  hostAuthority,
  MINUTE_MS,
  OTHERS,
  rig,
  USER,
} from "#test/harness/ssh-rig.ts";
import {
  loadSshAuthority,
  makeSshAuthorityKey,
  signUserCertificate,
} from "#trust/ssh-certificates.ts";
import { makeTicketKey, type NewTicket, ticketSigner } from "#trust/tickets.ts";
import type { SeenEntry } from "./entries.ts";
import type { Known } from "./known.ts";
import { attempt } from "./ssh-login.ts";

const UPGRADE = [
  ...["Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
].join("\r\n");

/** Resolves with the status when the door has closed the connection. */
function show(port: number, ticket: string, box = DOOR_BOX as string): Promise<string> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => done(text.split(" ")[1] ?? ""));
    socket.write(
      `GET /v1/stream?box=${box}&port=80 HTTP/1.1\r\n${UPGRADE}\r\nAuthorization: Bearer ${ticket}\r\n\r\n`,
    );
  });
}

test("a ticket that was ours and does not open the door names its holder; any other names nobody", async (t) => {
  const noted: SeenEntry[] = [];
  const doors = await openDoors({ noteEntry: (one) => void noted.push(one) });
  t.after(() => doors.close());
  const { clientPort } = doors.gateway;
  const claims: NewTicket = {
    ...{ userId: DOOR_USER, orgId: "org_1", boxId: DOOR_BOX, epoch: null, ports: "any" },
    ...{ kinds: ["port"], session: null, credentialId: "token_1", origin: null, gatewayUrl: null },
  };
  const forged = await ticketSigner(makeTicketKey().privateKeyPem)(claims, Date.now());
  assert.equal(await show(clientPort, forged.ticket), "401");
  assert.equal(await show(clientPort, "no.ticket.atall"), "401");
  const { ticket: oldForged } = await ticketSigner(makeTicketKey().privateKeyPem)(claims, 1000);
  assert.equal(await show(clientPort, oldForged), "401");
  assert.equal(noted.length, 0, "of nobody who is known");
  const cases: [string, string, string, string?][] = [
    [await doors.mint({}, Date.now() - 60 * MINUTE_MS), "401", "ticket_expired"],
    [await doors.mint({ ports: [22] }), "403", "forbidden"],
    [await doors.mint(), "403", "forbidden", "box_another0000000000000"],
    [await doors.mint({ gatewayUrl: "https://other.example" }), "403", "forbidden"],
    [await doors.mint({ origin: "https://berth.example" }), "403", "forbidden"],
  ];
  for (const [ticket, status, code, box] of cases) {
    noted.length = 0;
    assert.equal(await show(clientPort, ticket, box), status);
    assert.deepEqual(
      noted.map((one) => [one.userId, one.boxId, one.code, one.door, one.address]),
      [[DOOR_USER, DOOR_BOX, code, "port 80", "127.0.0.1"]],
    );
    assert.equal(noted[0]?.credentialId, "token_0123456789abcdefghjk");
  }
});

test("a registered key at a box that it may not enter is told; a strange key or name is not", async (t) => {
  const { register, ssh, turnedAway, change } = await rig(t);
  await register();
  assert.notEqual((await ssh(["nobodys@127.0.0.1", "true"])).code, 0);
  assert.deepEqual(turnedAway, []);
  assert.notEqual((await ssh([`${OTHERS.name}@127.0.0.1`, "true"])).code, 0);
  assert.deepEqual(turnedAway, [[USER, OTHERS.boxId, "key_1", "forbidden"]]);
  change({ goneKeys: ["key_1"] });
  assert.notEqual((await ssh([`${OTHERS.name}@127.0.0.1`, "true"])).code, 0);
  assert.equal(turnedAway.length, 1);
});

test("a certificate that is over or was revoked is told; another authority's is not", async (t) => {
  const { certify, ssh, turnedAway, change } = await rig(t);
  const enter = async () => assert.notEqual((await ssh([`${BOX.name}@127.0.0.1`, "true"])).code, 0);
  const over = { notBeforeMs: Date.now() - 10 * MINUTE_MS, notAfterMs: Date.now() - MINUTE_MS };
  await certify(over, hostAuthority);
  await enter();
  assert.deepEqual(turnedAway, []);
  await certify(over);
  await enter();
  assert.deepEqual(turnedAway[0], [USER, BOX.boxId, CREDENTIAL, "ticket_expired"]);
  await certify();
  change({ revocations: [{ credentialId: CREDENTIAL, untilMs: Date.now() + MINUTE_MS }] });
  turnedAway.length = 0;
  await enter();
  assert.deepEqual(turnedAway[0], [USER, BOX.boxId, CREDENTIAL, "revoked"]);
});

test("who shows somebody's certificate and cannot sign with its key is told of to nobody", () => {
  const authority = loadSshAuthority(makeSshAuthorityKey(), "users");
  const known = {
    settings: { sshUserCa: authority.publicKeyLine },
    isRevoked: () => false,
  } as unknown as Known;
  const { publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const key = Buffer.concat([sshString("ssh-ed25519"), sshString(Buffer.from(x, "base64url"))]);
  const line = signUserCertificate(authority, {
    ...{ publicKeyLine: `ssh-ed25519 ${key.toString("base64")} k`, principals: ["box_1"] },
    ...{ keyId: "usr_1@box_1#tok_1", notBeforeMs: 1000, notAfterMs: 60_000 },
  });
  const data = Buffer.from(line.split(" ")[1] ?? "", "base64");
  const shown = { method: "publickey", key: { algo: line.split(" ")[0], data } };
  const show = (more: object) => attempt({ ...shown, ...more } as never, known, Date.now());
  assert.deepEqual(show({}), { kind: "asked" }, "and so asked for a signature");
  const stranger = generateKeyPairSync("ed25519").privateKey;
  const blob = Buffer.from("what is to be signed");
  const signature = Buffer.concat([
    sshString("ssh-ed25519"),
    sshString(sign(null, blob, stranger)),
  ]);
  assert.deepEqual(show({ blob, signature }), { kind: "refused", why: "not signed" });
});

test("a key that is over opens no door, also while no control plane says so", () => {
  const keyOf = (untilMs: number | null) => ({
    ...{ keyId: "key_1", fingerprint: "f", userId: "usr_1", orgId: "org_1", untilMs },
  });
  const shown = { method: "publickey", key: { algo: "ssh-ed25519", data: Buffer.from("key") } };
  const show = (untilMs: number | null) => {
    const known = { keys: () => [keyOf(untilMs)], isRevoked: () => false } as unknown as Known;
    return attempt(shown as never, known, 1000).kind;
  };
  assert.deepEqual([null, 1001, 1000].map(show), ["asked", "asked", "refused"]);
});
