import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "#lib/run.ts";
import {
  CsrError,
  hostsOf,
  identityOf,
  isExpired,
  isRenewalDue,
  loadCertificateAuthority,
  makeCertificateAuthority,
  makeKeyAndCsr,
} from "./x509.ts";

const NODE = "node_0123456789abcdefghjk";
const DAY_MS = 86_400_000;
const validity = { nowMs: Date.now(), lifetimeMs: 30 * DAY_MS };

async function makeAuthority() {
  return loadCertificateAuthority(await makeCertificateAuthority(Date.now()));
}

test("a node's certificate names the node and its role, and openssl accepts it as a client only", async () => {
  const authority = await makeAuthority();
  const { csrPem } = await makeKeyAndCsr();
  const certificatePem = await authority.signNodeCsr(csrPem, { nodeId: NODE, ...validity });
  const legacy = new X509Certificate(certificatePem).toLegacyObject();
  assert.deepEqual(identityOf(legacy), { role: "node", name: NODE });

  const directory = await mkdtemp(join(tmpdir(), "berth-x509-"));
  try {
    await writeFile(join(directory, "ca.pem"), authority.certificatePem);
    await writeFile(join(directory, "node.pem"), certificatePem);
    const verify = (purpose: string) =>
      run(
        ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "node.pem"],
        {
          cwd: directory,
        },
      );
    assert.match((await verify("sslclient")).stdout, /node\.pem: OK/);
    await assert.rejects(verify("sslserver"), /unsuitable certificate purpose/i);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("what a request says about itself is ignored; a request that is not proved is refused", async () => {
  const authority = await makeAuthority();
  const { csrPem } = await makeKeyAndCsr();
  const der = Buffer.from(csrPem.replace(/-----.*-----|\s/g, ""), "base64");
  der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
  const broken = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  for (const csr of [broken, "", "x", `${csrPem}${"x".repeat(20_000)}`])
    await assert.rejects(authority.signNodeCsr(csr, { nodeId: NODE, ...validity }), CsrError);
  for (const nodeId of ["", "a,OU=server", "a b", "x".repeat(65)])
    await assert.rejects(authority.signNodeCsr(csrPem, { nodeId, ...validity }), CsrError, nodeId);
});

test("a server certificate is for its hosts, DNS names and addresses", async () => {
  const authority = await makeAuthority();
  const { certificatePem } = await authority.makeServerCertificate({
    name: "server",
    hosts: ["localhost", "127.0.0.1", "::1"],
    role: "server",
    ...validity,
  });
  const certificate = new X509Certificate(certificatePem);
  assert.ok(certificate.checkIssued(new X509Certificate(authority.certificatePem)));
  assert.equal(certificate.checkHost("localhost"), "localhost");
  assert.equal(certificate.checkIP("127.0.0.1"), "127.0.0.1");
  assert.equal(certificate.checkIP("::1"), "::1");
  assert.equal(certificate.checkHost("example.com"), undefined);
});

test("only a certificate with one of our roles is somebody", () => {
  assert.equal(identityOf({}), null);
  assert.equal(identityOf({ subject: { CN: NODE } }), null);
  assert.equal(identityOf({ subject: { CN: NODE, OU: "admin" } }), null);
  assert.equal(identityOf({ subject: { CN: NODE, OU: ["node", "server"] } }), null);
  assert.equal(identityOf({ subject: { CN: ["a", "b"], OU: "node" } }), null);
});

test("a certificate is due when two thirds of its life are over, and then runs out", async () => {
  const authority = await makeAuthority();
  const { csrPem } = await makeKeyAndCsr();
  const nowMs = Date.now();
  const options = { nodeId: NODE, nowMs, lifetimeMs: 30 * DAY_MS };
  const certificatePem = await authority.signNodeCsr(csrPem, options);
  const at = (days: number) => nowMs + days * DAY_MS;
  assert.deepEqual(
    [0, 19.9, 20.1, 29.9, 30.1].map((days) => [
      isRenewalDue(certificatePem, at(days)),
      isExpired(certificatePem, at(days)),
    ]),
    [
      [false, false],
      [false, false],
      [true, false],
      [true, false],
      [true, true],
    ],
  );
});

test("the hosts of a certificate are read as they were signed", async () => {
  const authority = await makeAuthority();
  const { csrPem } = await makeKeyAndCsr();
  const hosts = ["gw.example.com", "127.0.0.1"];
  const pem = await authority.signGatewayCsr(csrPem, { name: "gw", hosts, ...validity });
  const { subjectaltname } = new X509Certificate(pem).toLegacyObject();
  assert.deepEqual(hostsOf({ subjectaltname }), hosts);
  assert.deepEqual(hostsOf({}), []);
  assert.deepEqual(hostsOf({ subjectaltname: 'DNS:"a, DNS:b", DNS:c' }), ["c"]);
});
