// The base image in a plain QEMU (no jail, user network): boots to nothing but the guest's side, becomes the box it is told
// to be, runs programs, stands still while sealed, and goes off in order. One VM, tests in their order.

import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { type GuestControl, openGuestControl, type Renewal } from "#drivers/qemu/guest-control.ts";
import { GuestExecError, runGuestExec } from "#drivers/qemu/guest-exec.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { run } from "#lib/run.ts";
import { freePort } from "#test/harness/free-ports.ts";
import { type ExecFrame, ExecFrameDecoder, encodeExecFrame } from "#wire/exec-frames.ts";
import { encodeRecord } from "#wire/records.ts";
import { type BaseImage, ensureBaseImage } from "./build.ts";

const CACHE_DIR = "/var/cache/berth/images";
const PATIENCE_MS = 3 * 60_000;

let directory = "";
let image: BaseImage;
let vm: ChildProcess;
let control: GuestControl;
let execPort = 0;
let sshPort = 0;
let token = "";

async function boot(): Promise<void> {
  const mhz = /^cpu MHz\s*:\s*([\d.]+)/m.exec(await readFile("/proc/cpuinfo", "utf8"))?.[1];
  const append = `console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check nowatchdog tsc_early_khz=${Math.round(Number(mhz) * 1000)}`;
  [execPort, sshPort] = [await freePort(), await freePort()];
  const forwards = `hostfwd=tcp:127.0.0.1:${execPort}-:1,hostfwd=tcp:127.0.0.1:${sshPort}-:22`;
  const disk = (name: string) => [
    ...["-drive", `if=none,id=${name},format=qcow2,file=${join(directory, name)},discard=unmap`],
    ...["-device", `virtio-blk-device,drive=${name},serial=${name}`],
  ];
  vm = spawn(
    "qemu-system-x86_64",
    [
      ...["-M", "microvm,acpi=on", "-accel", "tcg,tb-size=128", "-cpu", "max", "-m", "768M"],
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-kernel", join(image.directory, "vmlinux"), "-initrd", join(image.directory, "initrd")],
      ...["-append", append, "-serial", `file:${join(directory, "console")}`],
      ...disk("root"),
      ...disk("home"),
      ...["-netdev", `user,id=net,${forwards}`, "-device", "virtio-net-device,netdev=net"],
      ...["-device", "virtio-serial-device", "-device", "virtio-rng-device"],
      ...["-chardev", `socket,id=control,path=${join(directory, "control")},server=on,wait=off`],
      ...["-device", "virtserialport,chardev=control,name=berth.control"],
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  await waitFor("the control socket", () => stat(join(directory, "control")).then(Boolean));
  control = await openGuestControl(join(directory, "control"), { clock: systemClock });
}

async function waitFor(what: string, look: () => Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + PATIENCE_MS;
  while (!(await look().catch(() => false))) {
    assert.ok(systemClock.monotonicMs() < endMs, `waited in vain for ${what}`);
    await systemClock.sleep(100);
  }
}

async function keyPair(name: string): Promise<void> {
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(directory, name)]);
}

/** What box `name` is to be, with a host key and certificate of its own. */
async function renewalOf(name: string, epoch: number): Promise<Renewal> {
  const text = (file: string) => readFile(join(directory, file), "utf8");
  const key = `host-${name}`;
  if (!(await text(key).catch(() => ""))) {
    await keyPair(key);
    const names = `${name}.berth,box_${name}.berth`;
    const sign = ["ssh-keygen", "-q", "-s", join(directory, "ca"), "-h", "-I", name, "-n", names];
    await run([...sign, join(directory, `${key}.pub`)]);
  }
  token = randomBytes(24).toString("hex");
  return {
    epoch,
    boxId: `box_${name}`,
    hostName: name,
    machineId: createHash("md5").update(name).digest("hex"),
    sshHostKey: await text(key),
    sshHostPublicKey: await text(`${key}.pub`),
    sshHostCertificate: await text(`${key}-cert.pub`),
    sshUserCa: await text("ca.pub"),
    sshPrincipals: [`box_${name}`],
    env: { GREETING: `it's "${name}"\\ $HOME`, EDITOR: "nano" },
    execToken: token,
  };
}

function openExec(): Socket {
  return createConnection(execPort, "127.0.0.1");
}

async function inBox(script: string, more: { user?: string; stdin?: string; token?: string } = {}) {
  const { user = "dev", stdin } = more;
  const request = { argv: ["bash", "-c", script], user, timeoutMs: PATIENCE_MS };
  const options = { clock: systemClock, token: more.token ?? token };
  return await runGuestExec(openExec(), { ...request, ...(stdin ? { stdin } : {}) }, options);
}

async function says(script: string, user?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await inBox(script, user ? { user } : {});
  assert.equal(exitCode, 0, `${script}: ${stdout}${stderr}`);
  return stdout.trim();
}

/** An exec connection whose frames the test reads itself. */
function talk(): { socket: Socket; next: (kind: ExecFrame["kind"]) => Promise<ExecFrame> } {
  const socket = openExec();
  const decoder = new ExecFrameDecoder();
  const frames: ExecFrame[] = [];
  socket.on("data", (chunk) => frames.push(...decoder.push(chunk)));
  socket.on("error", () => {});
  const next = async (kind: ExecFrame["kind"]) => {
    let found: ExecFrame | undefined;
    await waitFor(`frame ${kind}`, async () => {
      const at = frames.findIndex((frame) => frame.kind === kind);
      if (at >= 0) found = frames.splice(0, at + 1).at(-1);
      return found !== undefined;
    });
    return found as ExecFrame;
  };
  return { socket, next };
}

/** Reads stdout until it holds `wanted`. */
async function readUntil(
  next: (kind: ExecFrame["kind"]) => Promise<ExecFrame>,
  wanted: string,
): Promise<void> {
  let text = "";
  while (!text.includes(wanted)) {
    const frame = await next("stdout");
    if (frame.kind === "stdout") text += Buffer.from(frame.data).toString();
  }
}

/** Plain OpenSSH as the box's user would have it: certificates both ways, nothing trusted on first use. */
async function ssh(name: string, command: string): Promise<string> {
  const known = join(directory, "known_hosts");
  await writeFile(known, `@cert-authority *.berth ${await readFile(join(directory, "ca.pub"))}`);
  const user = join(directory, `user-${name}`);
  if (!(await stat(user).catch(() => null))) {
    await keyPair(`user-${name}`);
    const sign = ["ssh-keygen", "-q", "-s", join(directory, "ca"), "-I", "u", "-n", `box_${name}`];
    await run([...sign, `${user}.pub`]);
  }
  const options = { UserKnownHostsFile: known, StrictHostKeyChecking: "yes", BatchMode: "yes" };
  const pairs = Object.entries({
    ...options,
    HostKeyAlias: `${name}.berth`,
    IdentitiesOnly: "yes",
  });
  const argv = pairs.flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  const to = ["-i", user, "-p", String(sshPort), "dev@127.0.0.1", command];
  return (await promisify(execFile)("ssh", ["-F", "none", ...argv, ...to])).stdout.trim();
}

before(async () => {
  image = await ensureBaseImage("debian-12", { cacheDir: CACHE_DIR, run, log: silentLog });
  directory = await mkdtemp(join(tmpdir(), "berth-image-"));
  const backing = ["-b", join(image.directory, "root.ext4"), "-F", "raw"];
  await run(["qemu-img", "create", "-q", "-f", "qcow2", ...backing, join(directory, "root"), "6G"]);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", join(directory, "home"), "1G"]);
  await keyPair("ca");
  await boot();
});

after(async () => {
  if (vm.exitCode === null) vm.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

test("a boot waits for its identity: the guest's side answers, and nothing else runs", async () => {
  const status = await control.hello(PATIENCE_MS);
  assert.deepEqual(status, { bootId: status.bootId, epoch: 0, state: "unrenewed", trouble: "" });
  assert.match(status.bootId, /^[0-9a-f-]{36}$/);
  await assert.rejects(inBox("true", { token: "x".repeat(48) }), { code: "unauthorized" });
  await assert.rejects(control.seal(), /no renewal/);
  const { socket } = { socket: createConnection(sshPort, "127.0.0.1") };
  const banner: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => banner.push(chunk));
  socket.on("error", () => {});
  await once(socket, "close"); // Nobody listens in the box.
  assert.equal(banner.length, 0);
});

test("a renewal that lacks something is refused, and leaves the box closed", async () => {
  const whole = await renewalOf("first", 1);
  await assert.rejects(control.renew({ ...whole, machineId: "short" }), /machineId/);
  await assert.rejects(control.renew({ ...whole, hostName: "Not/a name" }), /hostName/);
  await assert.rejects(control.renew({ ...whole, execToken: "" }), /execToken/);
  await assert.rejects(control.renew({ ...whole, entropy: new Uint8Array(4) }), /entropy/);
  await assert.rejects(control.renew({ ...whole, sshUserCa: "" }), /sshUserCa/);
  assert.equal((await control.ping()).state, "unrenewed");
});

test("a renewed box is who it was told to be", async () => {
  const renewal = await renewalOf("first", 1);
  const ack = await control.renew(renewal, PATIENCE_MS);
  assert.equal(ack.epoch, 1);
  assert.equal(ack.sshdReady, true);
  for (const word of ["entropy", "clock", "hostname", "machine-id", "ssh-host-key", "exec-token"])
    assert.ok(ack.renewed.includes(word), `${word} in ${ack.renewed}`);
  assert.equal(await says("hostname; cat /etc/hostname; hostname -f"), "first\nfirst\nfirst.berth");
  assert.equal(
    await says("cat /etc/machine-id /var/lib/dbus/machine-id | uniq"),
    renewal.machineId,
  );
  assert.equal(await says("id -un; pwd; sudo id -u"), "dev\n/home/dev\n0");
  assert.equal(await says("id -un; pwd", "root"), "root\n/root");
  const driftMs = Math.abs(Number(await says("date +%s%3N")) - systemClock.nowMs());
  assert.ok(driftMs < 60_000, `clock is ${driftMs} ms off`);
  assert.equal(await says("ls /etc/ssh/ssh_host_* 2>/dev/null | wc -l"), "0");
});

test("disks: root grew to its disk, the home volume is a new user's home", async () => {
  const [root = 0, home = 0] = (await says("df -m --output=size / /home/dev | tail -n 2"))
    .split("\n")
    .map(Number);
  assert.ok(root > 5500, `root has ${root} MiB of 6144`);
  assert.ok(home > 900, `home has ${home} MiB of 1024`);
  assert.equal(
    await says("stat -c %U:%a /home/dev; ls -A /home/dev | head -n 1"),
    "dev:755\n.bash_logout",
  );
});

test("the environment reaches exec, ssh and login shells, quotes and all", async () => {
  const greeting = 'it\'s "first"\\ $HOME';
  assert.equal(await says('printf %s "$GREETING"'), greeting);
  assert.equal(await says("bash -lc 'printf %s \"$GREETING\"'"), greeting);
  assert.equal(await ssh("first", 'printf %s "$GREETING"'), greeting);
});

test("ssh: certificates both ways, and no other principal enters", async () => {
  assert.equal(await ssh("first", "id -un; echo $XDG_RUNTIME_DIR"), "dev\n/run/user/1000");
  await assert.rejects(ssh("other", "true"), /Host key verification failed|Permission denied/);
});

test("exec: exit codes, signals, both outputs, stdin, and what cannot start", async () => {
  assert.equal((await inBox("exit 7")).exitCode, 7);
  assert.equal((await inBox("kill -9 $$")).exitCode, 137);
  const both = await inBox("echo out; echo err >&2");
  assert.deepEqual([both.stdout, both.stderr], ["out\n", "err\n"]);
  const big = randomBytes(400_000).toString("hex");
  const echoed = await inBox("cat", { stdin: big });
  assert.equal(echoed.stdout, big);
  const code = (wanted: string) => (error: unknown) =>
    error instanceof GuestExecError && error.code === wanted;
  const options = () => ({ clock: systemClock, token });
  const of = (argv: string[], user: string, cwd?: string) =>
    runGuestExec(openExec(), { argv, user, ...(cwd ? { cwd } : {}) }, options());
  await assert.rejects(of(["no-such-program"], "dev"), code("cannot_start"));
  await assert.rejects(of(["true"], "nobody-at-all"), code("cannot_start"));
  await assert.rejects(of(["true"], "dev", "/no/such"), code("cannot_start"));
  await assert.rejects(of([], "dev"), code("cannot_start"));
  await assert.rejects(inBox("true", { token: `${token}x` }), code("unauthorized"));
});

test("exec: a terminal has its size, is resized, and takes signals", async () => {
  const { socket, next } = talk();
  socket.write(encodeExecFrame({ kind: "auth", token }));
  const script = "trap 'stty size; exit 9' WINCH; stty size; while :; do sleep 0.1; done";
  const argv = ["bash", "-c", script];
  socket.write(encodeExecFrame({ kind: "start", argv, user: "dev", pty: { rows: 33, cols: 77 } }));
  await readUntil(next, "33 77");
  socket.write(encodeExecFrame({ kind: "resize", rows: 44, cols: 88 }));
  await readUntil(next, "44 88");
  assert.deepEqual(await next("exit"), { kind: "exit", exitCode: 9 });
  socket.destroy();
});

test("exec: a client that does not read makes the program wait, and loses nothing", async () => {
  const { socket, next } = talk();
  socket.pause();
  socket.write(encodeExecFrame({ kind: "auth", token }));
  const argv = ["bash", "-c", "head -c 40000000 /dev/zero; echo done > /tmp/written"];
  socket.write(encodeExecFrame({ kind: "start", argv, user: "dev" }));
  await systemClock.sleep(2_000);
  const { exitCode } = await inBox("test -e /tmp/written");
  assert.equal(exitCode, 1, "40 MB were taken from the program with nobody reading");
  let bytes = 0;
  const decoder = new ExecFrameDecoder();
  socket.on("data", (chunk) => {
    for (const frame of decoder.push(chunk))
      if (frame.kind === "stdout") bytes += frame.data.length;
  });
  socket.resume();
  assert.deepEqual(await next("exit"), { kind: "exit", exitCode: 0 });
  assert.equal(bytes, 40_000_000);
});

test("exec: closing the connection ends the program and its children", async () => {
  const { socket, next } = talk();
  socket.write(encodeExecFrame({ kind: "auth", token }));
  const argv = ["bash", "-c", "sleep 4321 & sleep 4321; true"];
  socket.write(encodeExecFrame({ kind: "start", argv, user: "dev" }));
  await next("started");
  await waitFor("both to run", async () => (await says("pgrep -fc '^sleep 4321' || true")) === "2");
  socket.destroy();
  await waitFor("both to end", async () => (await says("pgrep -fc '^sleep 4321' || true")) === "0");
});

test("garbage on either channel is dropped, and both go on", async () => {
  for (const bytes of [
    Buffer.concat([Buffer.of(0xff), randomBytes(5000)]),
    Buffer.from([0, 0, 0, 1, 99, 0]),
    Buffer.alloc(64, 0xff),
  ]) {
    const { socket, next } = talk();
    socket.write(bytes);
    assert.equal((await next("error")).kind, "error");
    socket.destroy();
  }
  const { socket, next } = talk();
  socket.write(encodeExecFrame({ kind: "auth", token }));
  socket.write(Buffer.concat([Buffer.from([0, 0, 0, 4, 2]), Buffer.from([200, 1, 2, 3])]));
  const refused = await next("error");
  assert.ok(refused.kind === "error" && refused.code === "bad_request");
  socket.destroy();
  control.close();
  const raw = createConnection(join(directory, "control"));
  const power = Buffer.from(encodeRecord([])).toString("hex") || "-";
  raw.write(`stale 1 shutdown ${power}\nx y z\n${"A".repeat(2_000_000)}\ns 1 renew zz\nunfinished`);
  raw.write(randomBytes(100_000));
  await systemClock.sleep(1_000);
  raw.destroy();
  control = await openGuestControl(join(directory, "control"), { clock: systemClock });
  assert.equal((await control.hello(PATIENCE_MS)).state, "renewed");
  assert.equal(await says("echo alive"), "alive");
});

test("a freeze holds writers until the thaw, and ends by itself when the host forgets", async () => {
  await control.freeze(120_000);
  const writing = inBox("echo frozen > /home/dev/f; echo written > /dev/shm/f");
  await systemClock.sleep(1_500);
  assert.equal(await says("cat /dev/shm/f 2>/dev/null || echo waits"), "waits");
  assert.equal(await control.thaw(), true);
  assert.equal((await writing).exitCode, 0);
  await control.freeze(500);
  assert.equal((await inBox("echo again > /home/dev/f; sync /home/dev/f")).exitCode, 0);
  assert.equal(await control.thaw(), false, "the watchdog had thawed");
});

test("a sealed box stands still, and goes on as another one with nothing of the first's", async () => {
  await says(
    "nohup bash -c 'while :; do echo x >> /dev/shm/ticks; sleep 0.1; done' > /dev/null 2>&1 &",
  );
  await waitFor("ticks", async () => Number(await says("wc -l < /dev/shm/ticks")) > 2);
  const { socket, next } = talk();
  socket.write(encodeExecFrame({ kind: "auth", token }));
  const argv = ["bash", "-c", "while :; do date +%s%N; sleep 0.1; done"];
  socket.write(encodeExecFrame({ kind: "start", argv, user: "dev" }));
  await next("stdout");
  const first = token;

  await control.seal();
  assert.equal((await control.ping()).state, "sealed");
  socket.removeAllListeners("data");
  const isClosed = new Promise<boolean>((done) => socket.once("close", () => done(true)));
  let late = 0;
  socket.on("data", () => {
    late += 1;
  });
  // What was on its way arrives, and then nothing more of what it wrote ten times a second.
  await waitFor("it to write nothing", async () => {
    const before = late;
    await systemClock.sleep(2_000);
    return late === before;
  });
  const sealed = late;
  await assert.rejects(inBox("true", { token: first }), { code: "unauthorized" });
  await assert.rejects(control.renew({ ...(await renewalOf("second", 2)), machineId: "" }));
  assert.equal(
    (await control.ping()).state,
    "sealed",
    "a renewal that failed must not open the box",
  );

  const ack = await control.renew(await renewalOf("second", 2), PATIENCE_MS);
  assert.deepEqual([ack.epoch, ack.sshdReady], [2, true]);
  assert.ok(late > sealed || (await isClosed), "the first's exec was told to end");
  socket.destroy();
  await assert.rejects(inBox("true", { token: first }), { code: "unauthorized" });
  assert.equal(await says("hostname"), "second");
  assert.equal(await ssh("second", "hostname"), "second");
  await assert.rejects(ssh("first", "true"), /Host key verification failed/);
  const ticks = Number(await says("wc -l < /dev/shm/ticks"));
  await waitFor(
    "the process to go on",
    async () => Number(await says("wc -l < /dev/shm/ticks")) > ticks,
  );
});

test("the box that goes on after its own snapshot keeps its exec sessions", async () => {
  const same = await renewalOf("second", 2);
  await control.renew(same, PATIENCE_MS);
  const kept = talk();
  kept.socket.write(encodeExecFrame({ kind: "auth", token }));
  kept.socket.write(encodeExecFrame({ kind: "start", argv: ["cat"], user: "dev" }));
  await kept.next("started");
  await control.seal();
  await control.renew(same, PATIENCE_MS);
  kept.socket.write(encodeExecFrame({ kind: "stdin", data: Buffer.from("still here") }));
  await readUntil(kept.next, "still here");
  kept.socket.destroy();
});

test("a full disk does not keep a box from its identity", async () => {
  await inBox(
    "fallocate -l 100G /big; dd if=/dev/zero of=/fill bs=1M; dd if=/dev/zero of=/fill2 bs=4k",
    {
      user: "root",
    },
  );
  assert.match((await inBox("echo x > /one", { user: "root" })).stderr, /No space left/);
  await control.renew(await renewalOf("third", 3), PATIENCE_MS);
  const renewal = await renewalOf("second", 4);
  const ack = await control.renew(renewal, PATIENCE_MS);
  assert.ok(ack.renewed.includes("machine-id") && ack.renewed.includes("hostname"));
  assert.equal(await says("cat /etc/hostname /etc/machine-id"), `second\n${renewal.machineId}`);
  await says("rm -f /fill /fill2 /big /one", "root");
});

test("no key of a box is on a disk", async () => {
  const found = await says(
    "grep -rlE 'BEGIN OPENSSH PRIVATE KEY' / --one-file-system || true",
    "root",
  );
  assert.equal(found.replace(/^\/(usr|var\/lib\/dpkg)\/.*$/gm, "").trim(), "");
});

test("a guest's side that was killed comes back, waits for a renewal, and knows its home volume", async () => {
  await inBox("pkill -9 -o berth-guest", { user: "root" }).catch(() => {});
  await waitFor("it to answer", async () => (await control.hello(10_000)).state === "unrenewed");
  await control.renew(await renewalOf("second", 5), PATIENCE_MS);
  assert.equal((await control.ping()).trouble, "");
  await control.freeze(120_000);
  const writing = inBox("echo frozen > /home/dev/f; echo written > /dev/shm/g");
  await systemClock.sleep(1_500);
  assert.equal(await says("cat /dev/shm/g 2>/dev/null || echo waits"), "waits");
  assert.equal(await control.thaw(), true);
  assert.equal((await writing).exitCode, 0);
});

test("a container runs inside the box, as the user", async () => {
  const files = "/bin/sh /lib/x86_64-linux-gnu/libc.so.6 /lib64/ld-linux-x86-64.so.2";
  await says(`tar -chPf - ${files} | podman import -q - tiny`);
  const out = await says(
    "podman run --rm --network=none tiny /bin/sh -c 'echo from a container as $$'",
  );
  assert.equal(out, "from a container as 1");
});

test("tools that people expect are there", async () => {
  const names =
    "git gcc make python3 pip3 node npm npx tmux vim curl rsync jq rg docker sudo systemctl";
  await says(
    `for name in ${names}; do command -v $name > /dev/null || { echo no $name; exit 1; }; done`,
  );
  assert.match(await says("node --version"), /^v24\./);
  assert.equal(await says("systemctl --failed --no-legend --plain"), "");
});

test("settled, shut down and booted again: what was written is there", async () => {
  await says("echo kept > /home/dev/kept; tmux new-session -d -s work");
  await control.settle(PATIENCE_MS);
  const gone = once(vm, "exit");
  await control.shutdown();
  await gone;
  assert.equal(vm.exitCode, 0);
  control.close();
  await rm(join(directory, "control"), { force: true });
  await boot();
  assert.equal((await control.hello(PATIENCE_MS)).state, "unrenewed");
  await control.renew(await renewalOf("second", 6), PATIENCE_MS);
  assert.equal(await says("cat /home/dev/kept; hostname"), "kept\nsecond");
});
