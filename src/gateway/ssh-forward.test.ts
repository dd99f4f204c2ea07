// Forwarded ports of the SSH door against the system's own OpenSSH client, and against boxes that answer what they like.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { isHostName } from "#gateway/ssh-names.ts";
import { makeHostKey } from "#lib/ssh-keys.ts";
import { until } from "#test/harness/doors.ts";
import { freePort } from "#test/harness/free-ports.ts";
import {
  BOX,
  HOST,
  hostAuthority,
  listening,
  MINUTE_MS,
  rig,
  runSsh,
  userAuthority,
} from "#test/harness/ssh-rig.ts";
import { startSshd } from "#test/harness/sshd.ts";
import { signHostCertificate } from "#trust/ssh-certificates.ts";
import {
  type ExecClientFrame,
  ExecFrameDecoder,
  type ExecServerFrame,
  encodeExecFrame,
} from "#wire/exec-frames.ts";

const run = promisify(execFile);

test("-L reaches a port of the box, what the box can reach, and no other box", async (t) => {
  const { certify, options, ports } = await rig(t);
  await certify();
  const app = createServer((socket) => socket.end("the app"));
  t.after(() => app.close());
  ports.set(8080, await listening(app));
  const via = (target: string) => runSsh([...options(), "-W", target, `web@${HOST}`]);
  assert.equal((await via("localhost:8080")).stdout, "the app");
  assert.equal((await via("web:8080")).stdout, "the app");
  assert.match((await via("localhost:81")).stderr, /forwarding failed|open failed/);
  // An address is dialed from the box, which here is this machine.
  const elsewhere = createServer((socket) => socket.end("elsewhere"));
  t.after(() => elsewhere.close());
  await new Promise<void>((done) => elsewhere.listen(0, "0.0.0.0", done));
  const { port } = elsewhere.address() as { port: number };
  const { stdout: addresses } = await run("hostname", ["-I"]);
  const own = addresses.split(" ").find((address) => /^\d+\./.test(address)) ?? "";
  if (own) assert.equal((await via(`${own}:${port}`)).stdout, "elsewhere");
  assert.match((await via("0.0.0.0:1")).stderr, /forwarding failed|open failed/);
  assert.match((await via("theirs.berth:8080")).stderr, /forwarding failed|open failed/);
});

test("ssh -J goes end to end to the box's own sshd", async (t) => {
  const { certify, ports, folder, port } = await rig(t);
  await certify();
  const host = makeHostKey();
  const sshd = await startSshd({
    userCaLine: userAuthority.publicKeyLine,
    principals: [BOX.boxId],
    hostPrivateKeyOpenssh: host.privateKeyOpenssh,
    hostCertificate: signHostCertificate(hostAuthority, {
      ...{ publicKeyLine: host.publicKeyLine, keyId: "box", principals: ["web.berth"] },
      ...{ notBeforeMs: Date.now() - MINUTE_MS, notAfterMs: Date.now() + 60 * MINUTE_MS },
    }),
  });
  t.after(() => sshd.stop());
  ports.set(22, sshd.port);
  const config = join(folder, "config");
  await writeFile(
    config,
    `Host gw.berth
  HostName ${HOST}
  Port ${port}
  User anybody
  HostKeyAlias gw.berth
Host *
  IdentityFile ${join(folder, "id")}
  IdentitiesOnly yes
  UserKnownHostsFile ${join(folder, "known_hosts")}
  StrictHostKeyChecking yes
  BatchMode yes
`,
  );
  const { stdout, stderr, code } = await runSsh([
    ...["-F", config, "-J", "gw.berth", "dev@web.berth", "echo inside as $(id -un)"],
  ]);
  assert.equal(stdout, "inside as dev\n", stderr);
  assert.equal(code, 0);
  // Forwards are the box's own sshd's: it looks names up itself.
  const app = createServer((socket) => socket.end("the app"));
  t.after(() => app.close());
  const target = `${hostname()}:${await listening(app)}`;
  const via = ["-F", config, "-J", "gw.berth", "-W", target, "dev@web.berth"];
  assert.equal((await runSsh(via)).stdout, "the app");
});

test("-R: what connects in the box reaches this machine", async (t) => {
  const { certify, ssh } = await rig(t);
  await certify();
  const here = createServer((socket) => socket.end("from home"));
  t.after(() => here.close());
  const port = await listening(here);
  const inBox = await freePort();
  const { stdout, stderr } = await ssh([
    ...["-R", `${inBox}:${HOST}:${port}`, "-o", "ExitOnForwardFailure=yes", `web@${HOST}`],
    `exec 3<>/dev/tcp/127.0.0.1/${inBox}; cat <&3`,
  ]);
  assert.equal(stdout, "from home", stderr);
});

test("-D and -L take names, which the box looks up", async (t) => {
  const { certify, options, ports, ssh } = await rig(t);
  await certify();
  const app = createServer((socket) => socket.end("HTTP/1.0 200 OK\r\n\r\nthe app"));
  t.after(() => app.close());
  const port = await listening(app);
  ports.set(8080, port);
  const socks = await freePort();
  const child = spawn("ssh", [...options(), "-N", "-D", `${HOST}:${socks}`, `web@${HOST}`]);
  t.after(() => child.kill());
  let said = "";
  child.stderr.on("data", (data) => {
    said += data;
  });
  const curl = (url: string) =>
    run("curl", ["-sS", "--noproxy", "", "--socks5-hostname", `${HOST}:${socks}`, url]).then(
      ({ stdout }) => stdout,
      () => "nothing",
    );
  await until(async () => (await curl("http://localhost:8080/")) === "the app", "SOCKS answers");
  assert.equal(await curl("http://app.localhost:8080/"), "the app");
  // The box here is this machine. `127.1` is no address either, until it is looked up.
  assert.equal(await curl(`http://${hostname()}:${port}/`), "the app");
  assert.match((await ssh(["-W", `127.1:${port}`, `web@${HOST}`])).stdout, /the app/);
  assert.equal(await curl(`http://nosuch.invalid:${port}/`), "nothing");
  await until(() => /the box knows no address of nosuch\.invalid/.test(said), "ssh says why");
  const { stdout, stderr } = await ssh(["-W", "-oProxyCommand:80", `web@${HOST}`]);
  assert.equal(stdout, "");
  assert.match(stderr, /no address and no host name/);
});

test("nothing that a program could take for more than a name is looked up", () => {
  const label = "a".repeat(63);
  for (const name of ["a", "db.internal", "_srv.a-b.example.", "10.1", "xn--bcher-kva.example"])
    assert.ok(isHostName(name), name);
  const hostile = [
    ...["", ".", "..", "a..b", ".a", "-", "-h", "--help", "a.-b", "a-.b", "a b", "a\tb", "a\nb"],
    ...[
      "a\0b",
      "a;b",
      "$(id)",
      "`id`",
      "a/b",
      "../a",
      "a=b",
      "a%b",
      "a@b",
      "b\u00fccher",
      "*",
      "[::1]",
    ],
    ...[`${label}a`, [label, label, label, label].join("."), "fe80::1%a b", "\u001b]0;x\u0007"],
  ];
  for (const name of hostile) assert.ok(!isHostName(name), JSON.stringify(name));
});

/** A box whose root answers as he likes: what port 1 says to `start` and to `dial`. */
async function rootedBox(
  t: TestContext,
  answers: (frame: ExecClientFrame) => Uint8Array | readonly ExecServerFrame[],
): Promise<{ port: number; asked: ExecClientFrame[] }> {
  const asked: ExecClientFrame[] = [];
  const server = createServer((socket) => {
    const decoder = new ExecFrameDecoder();
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      for (const frame of decoder.push(chunk) as ExecClientFrame[]) {
        if (frame.kind === "auth") continue;
        asked.push(frame);
        const answer = answers(frame);
        if (answer instanceof Uint8Array) socket.write(answer);
        else for (const one of answer) socket.write(encodeExecFrame(one));
      }
    });
  });
  t.after(() => server.close());
  return { port: await listening(server), asked };
}

function looked(output: string, exitCode = 0): readonly ExecServerFrame[] {
  return [
    { kind: "started", pid: 2 },
    { kind: "stdout", data: Buffer.from(output) },
    { kind: "exit", exitCode },
  ];
}

test("the addresses of a name are tried in their order, and only addresses are", async (t) => {
  const { certify, ssh, ports } = await rig(t);
  await certify();
  const { port, asked } = await rootedBox(t, (frame) => {
    if (frame.kind === "start")
      return looked(
        [
          ...["-oX STREAM db", "evil.name STREAM", "10.0.0.1;id STREAM", "10.0.0.1      STREAM db"],
          ...["10.0.0.1 DGRAM", "10.0.0.2 RAW", "fd00::2  STREAM", "10.0.0.1 STREAM", ""],
        ].join("\n"),
      );
    const isSecond = frame.kind === "dial" && frame.tcp === "[fd00::2]:5432";
    if (isSecond)
      return Buffer.concat([encodeExecFrame({ kind: "dialed" }), Buffer.from("the database")]);
    return [{ kind: "error", code: "cannot_dial", message: "Connection refused" }];
  });
  ports.set(1, port);
  const { stdout } = await ssh(["-W", "db.internal:5432", `web@${HOST}`]);
  assert.equal(stdout, "the database");
  const [lookUp, ...dials] = asked;
  assert.deepEqual(lookUp?.kind === "start" && lookUp.argv, ["getent", "ahosts", "db.internal"]);
  assert.deepEqual(
    dials.map((frame) => frame.kind === "dial" && frame.tcp),
    ["10.0.0.1:5432", "[fd00::2]:5432"],
  );
});

const HUGE_FRAME = Buffer.from([0xff, 0xff, 0xff, 0xff, 17]);
const LIES: Record<string, [Uint8Array | readonly ExecServerFrame[], RegExp]> = {
  "no address": [looked("", 2), /knows no address of db/],
  "no getent": [
    [{ kind: "error", code: "cannot_start", message: "no \u001b]0;title\u0007such program" }],
    /could not look up db: no \?\]0;title\?such program/,
  ],
  "output without end": [
    [{ kind: "stdout", data: Buffer.alloc(60_000, "10.0.0.1 STREAM\n") }],
    /too much output/,
  ],
  "a frame without end": [Buffer.concat([HUGE_FRAME, Buffer.alloc(100)]), /frame of 4294967295/],
  "bytes that are no frame": [Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), /could not look up db/],
};

for (const [what, [answer, why]] of Object.entries(LIES))
  test(`a lookup that the box answers with ${what} is refused with the reason`, async (t) => {
    const { certify, ssh, ports } = await rig(t);
    await certify();
    ports.set(1, (await rootedBox(t, () => answer)).port);
    const { code, stderr } = await ssh(["-W", "db:80", `web@${HOST}`]);
    assert.equal(code, 255);
    assert.match(stderr, why);
  });

test("what a box answers to a dial or a listener ends no more than that", async (t) => {
  const { certify, ssh, ports } = await rig(t);
  await certify();
  const program = ports.get(1) ?? 0;
  const answers = [
    ...[HUGE_FRAME, Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), encodeExecFrame({ kind: "list" })],
    ...[Buffer.from([0, 0, 0, 3, 20, 9, 9, 9]), Buffer.from([0, 0, 0, 1, 250, 0])],
    encodeExecFrame({ kind: "started", pid: 1 }),
  ];
  for (const answer of answers) {
    ports.set(1, (await rootedBox(t, () => answer)).port);
    const dialed = await ssh(["-W", "10.9.9.9:80", `web@${HOST}`]);
    assert.equal(dialed.code, 255, String(answer));
    const listener = ["-R", "0:localhost:9", "-o", "ExitOnForwardFailure=yes", "-N"];
    const { stderr } = await ssh([...listener, `web@${HOST}`]);
    assert.match(stderr, /remote port forwarding failed/, String(answer));
  }
  ports.set(1, program);
  assert.equal((await ssh([`web@${HOST}`, "echo still here"])).stdout, "still here\n");
});
