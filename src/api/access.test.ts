// Tickets and SSH certificates as their readers see them: the gateway's check, and OpenSSH itself.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "#lib/run.ts";
import { controlPlane } from "#test/harness/control-plane.ts";
import { gatewayPeer } from "#test/harness/gateway-peer.ts";
import { ticketCheck } from "#trust/tickets.ts";

test("a ticket opens this box's doors and says whose it is", async (t) => {
  const plane = await controlPlane(t);
  const { access, boxes } = plane.admin.client;
  await plane.addTemplate();
  const { box } = await boxes.create({ template: "default", name: "web" });
  const made = await access.ticket("web", { ports: [22, 3000] });
  assert.equal(made.boxId, box.id);
  const check = ticketCheck([plane.ticketPublicKeyPem]);
  const { ticketId, issuedAtMs, credentialId, ...said } = await check(
    made.ticket,
    Date.parse(made.expiresAt) - 1000,
  );
  assert.ok(ticketId && credentialId && issuedAtMs);
  assert.deepEqual(said, {
    userId: plane.admin.subject.userId,
    orgId: plane.admin.subject.orgId,
    boxId: box.id,
    epoch: null,
    ports: [22, 3000],
    kinds: ["port", "console"],
    session: null,
    origin: null,
    gatewayUrl: null,
  });
  assert.deepEqual(
    (await check((await access.ticket("web")).ticket, Date.parse(made.expiresAt) - 1000)).ports,
    "any",
  );
  await boxes.delete("web");
  await assert.rejects(access.ticket(box.id), { code: "not_now" });
});

test("a page's ticket is for one gateway: the one that it asks for, while that is there", async (t) => {
  const plane = await controlPlane(t);
  const { client } = plane.admin;
  await plane.addTemplate();
  await client.boxes.create({ template: "default", name: "web" });
  const check = ticketCheck([plane.ticketPublicKeyPem]);
  for (const name of ["one", "two"]) {
    const feed = await (await gatewayPeer(plane, name)).openFeed();
    t.after(async () => feed.close());
  }
  const boundTo = async (wish: { forBrowser: boolean; gatewayUrl?: string }) => {
    const answer = await client.access.ticket("web", wish);
    const { gatewayUrl } = await check(answer.ticket, Date.now());
    if (wish.forBrowser) assert.equal(gatewayUrl, answer.gatewayUrl);
    return gatewayUrl;
  };
  for (const gatewayUrl of ["http://one.test", "http://two.test"])
    assert.equal(await boundTo({ forBrowser: true, gatewayUrl }), gatewayUrl);
  const [best] = (await client.access.ticket("web")).gatewayUrls;
  assert.equal(await boundTo({ forBrowser: true }), best);
  assert.equal(await boundTo({ forBrowser: true, gatewayUrl: "http://gone.test" }), best);
  assert.equal(await boundTo({ forBrowser: false, gatewayUrl: "http://two.test" }), null);
});

test("an SSH certificate is one that ssh-keygen reads, for this box only", async (t) => {
  const plane = await controlPlane(t);
  const { access, boxes } = plane.admin.client;
  await plane.addTemplate();
  const { box } = await boxes.create({ template: "default", name: "web" });
  const folder = await mkdtemp(join(tmpdir(), "berth-access-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const key = join(folder, "id");
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  const publicKey = (await readFile(`${key}.pub`, "utf8")).trim();
  const made = await access.sshCertificate("web", { publicKey });
  await writeFile(join(folder, "id-cert.pub"), `${made.certificate}\n`);
  const { stdout } = await run(["ssh-keygen", "-L", "-f", join(folder, "id-cert.pub")]);
  assert.match(stdout, /user certificate/);
  assert.match(stdout, new RegExp(`Principals:\\s+${box.id}\\s+Critical Options: \\(none\\)`));
  assert.equal(made.user, "dev");
  assert.equal(made.hostName, `${box.id}.berth`);
  assert.match(made.knownHosts, /^@cert-authority \*\.berth ssh-ed25519 /);
  assert.equal((await access.sshAuthority()).knownHosts, made.knownHosts);
  for (const bad of [
    "ssh-ed25519 AAAA",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==",
    made.certificate,
  ])
    await assert.rejects(access.sshCertificate("web", { publicKey: bad }), {
      code: "invalid_request",
    });
});
