// What every driver promises, as one story of a box and its forks told in subtests. Lean on purpose:
// three boots in all, everything else restores. Looks into guests only through exec of cat, tee, rm and hostname.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cp, open, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { BoxIdentity, BoxRun, BoxSource, BoxSpec, SnapshotKind } from "#domain/box.ts";
import { type BoxId, makeId, type SnapshotId, type TemplateVersionId } from "#domain/ids.ts";
import { testCertificate } from "#drivers/conformance-certificate.ts";
import { testEgress } from "#drivers/conformance-egress.ts";
import {
  attachTo,
  SessionView,
  startEcho,
  testEchoLives,
  testSessionDoor,
} from "#drivers/conformance-sessions.ts";
import type { Driver, HostBox, LocalSnapshot, StartResult } from "#drivers/driver.ts";
import { Failpoints } from "#lib/failpoint.ts";

/** One host with one driver on it. */
export interface Subject {
  /** A new driver object on the same host, as after a restart of the agent. */
  open(failpoints: Failpoints): Promise<Driver>;
  /** Kills the VMM as the kernel would; returns when it is gone. */
  killVmm(box: HostBox): Promise<void>;
  /** Everything that boxes left on the host (processes, namespaces, taps, cgroups, files), as lines. */
  leftovers(): Promise<string[]>;
  close(): Promise<void>;
  readonly imageDigest: string;
  readonly spec: BoxSpec;
  /** Names of the failpoints that each call passes, in order; every one must be hit. */
  readonly failpoints: {
    readonly restore: readonly string[];
    readonly snapshot: readonly string[];
    readonly destroy: readonly string[];
  };
}

const MEMORY_PATH = "/dev/shm/conformance";
const SESSION = "conformance";
const DISK_PATH = "/home/dev/conformance";

export function testDriver(name: string, makeSubject: () => Promise<Subject>): void {
  test(`${name} driver`, async (t) => {
    const subject = await makeSubject();
    const story = new Story(t, subject);
    try {
      await story.tell();
    } finally {
      SessionView.closeAll();
      await story.end();
      await subject.close();
    }
  });
}

interface TestBox {
  readonly boxId: BoxId;
  readonly identity: BoxIdentity;
  epoch: number;
  bootSerial: number;
}

class Story {
  readonly #t: TestContext;
  readonly #subject: Subject;
  #failpoints = new Failpoints();
  #opened: Driver | null = null;
  #isBroken = false;
  readonly #made: BoxId[] = [];
  readonly #main = makeBox("main");

  constructor(t: TestContext, subject: Subject) {
    this.#t = t;
    this.#subject = subject;
  }

  async tell(): Promise<void> {
    await this.#reopen();
    await this.#bootAndExec();
    await this.#snapshotAndFork();
    await this.#pauseAndResume();
    await this.#crashes();
    await this.#damage();
    await this.#death();
    await this.#stop();
    await this.#removal();
  }

  async end(): Promise<void> {
    const driver = await this.#reopen();
    for (const boxId of this.#made) await driver.destroy(boxId);
    for (const { snapshotId } of await driver.listSnapshots())
      await driver.removeSnapshot(snapshotId);
    await driver.sweep();
    await driver.close();
  }

  async #bootAndExec(): Promise<void> {
    const box = this.#main;
    const image: BoxSource = { kind: "image", imageDigest: this.#subject.imageDigest };
    await this.#step("an empty host has nothing", async (driver) => {
      assert.deepEqual(await driver.list(), []);
      assert.equal(await driver.inspect(box.boxId), null);
      assert.deepEqual(await driver.listSnapshots(), []);
      const fingerprint = await driver.fingerprint();
      assert.ok(fingerprint.cpus > 0 && fingerprint.memoryMib > 0 && fingerprint.compatibility);
    });
    await this.#step("start boots from the image, and again adopts", async (driver) => {
      const first = await this.#start(driver, box, image);
      assert.equal(first.how, "booted");
      assert.ok(first.renewal.renewed.length > 0);
      const found = await driver.inspect(box.boxId);
      assert.equal(found?.state, "ready");
      assert.equal(found.epoch, box.epoch);
      assert.deepEqual(found.notices.filter(isFailure), []);
      await this.#start(driver, box, image);
      assert.equal((await driver.inspect(box.boxId))?.pid, found.pid);
      assert.deepEqual(
        (await driver.list()).map(({ boxId }) => boxId),
        [box.boxId],
      );
    });
    await this.#step("exec gives output and exit code", async (driver) => {
      assert.equal(await this.#output(driver, box, ["hostname"]), `${box.identity.hostName}\n`);
      const failed = await driver.exec(box.boxId, { argv: ["false"], user: "dev" });
      assert.equal(failed.exitCode, 1);
      assert.equal(
        await this.#output(driver, box, ["cat", "/etc/machine-id"]),
        `${box.identity.machineId}\n`,
      );
      await this.#write(driver, box, "first");
    });
    await this.#step("a session outlives its connection, and its door opens only it", async (d) => {
      const first = await startEcho(d, box, SESSION);
      first.type("typed before");
      await first.shows("typed before");
      first.close();
      await testEchoLives(d, box, SESSION, "typed before");
      await testSessionDoor(d, box, SESSION);
      const none = await attachTo(d, box, "none", "write");
      assert.equal((await none.frame("error")).kind, "error");
      await rejectsWith(d.openSession(box.boxId, box.epoch + 1, SESSION, "read"), "epoch_stale");
    });
    await this.#step("ports and keys are of the box as it is", async (driver) => {
      const ports = await driver.listeningPorts(box.boxId, box.epoch);
      assert.ok(ports.every(({ port }) => port > 1));
      await driver.authorizeKeys(box.boxId, box.epoch, ["ssh-ed25519 AAAA one", "ssh-rsa BBBB"]);
      await driver.authorizeKeys(box.boxId, box.epoch, []);
      await rejectsWith(driver.listeningPorts(box.boxId, box.epoch + 1), "epoch_stale");
      await rejectsWith(driver.authorizeKeys(box.boxId, box.epoch + 1, []), "epoch_stale");
    });
    await this.#step("an old certificate is replaced while the box runs", async (driver) => {
      await testCertificate(driver, box);
      assert.equal(await this.#readMemory(driver, box), "first");
    });
    await this.#step("bytes that leave it are counted", (driver) => testEgress(driver, box));
    await this.#step("a new driver object finds the box as it runs", async (driver) => {
      const before = await driver.inspect(box.boxId);
      const next = await this.#reopen();
      assert.deepEqual(await next.list(), [before]);
      assert.equal(await this.#readMemory(next, box), "first");
    });
  }

  async #snapshotAndFork(): Promise<void> {
    const box = this.#main;
    const child = makeBox("child");
    let checkpoint: LocalSnapshot | null = null;
    await this.#step("a checkpoint lets the box go on, and is taken once", async (driver) => {
      checkpoint = await this.#snapshot(driver, box, "checkpoint");
      assert.equal((await driver.inspect(box.boxId))?.state, "ready");
      assert.equal(await this.#readMemory(driver, box), "first");
      for (const file of checkpoint.files) await stat(join(checkpoint.directory, file));
      const again = await this.#snapshot(driver, box, "checkpoint", checkpoint.snapshotId);
      assert.deepEqual(again, checkpoint);
      assert.deepEqual(await driver.listSnapshots(), [checkpoint]);
      await this.#write(driver, box, "second");
    });
    await this.#step("a fork has the memory and another identity", async (driver) => {
      const before = await this.#start(driver, box, from(checkpoint!));
      const forked = await this.#start(driver, child, from(checkpoint!));
      assert.equal(forked.how, "restored");
      assert.equal(await this.#readMemory(driver, child), "first");
      assert.equal(await this.#readDisk(driver, child), "first");
      assert.equal(await this.#output(driver, child, ["hostname"]), "child\n");
      assert.equal(
        await this.#output(driver, child, ["cat", "/etc/machine-id"]),
        `${child.identity.machineId}\n`,
      );
      assert.notEqual(forked.renewal.sshHostKey, before.renewal.sshHostKey);
      // Both have the session, each its own from here on.
      await testEchoLives(driver, child, SESSION, "typed before");
      await testEchoLives(driver, box, SESSION, "typed before");
      assert.equal(await this.#readMemory(driver, box), "second");
    });
    await this.#step("a fetched snapshot is as good as one taken here", async (driver) => {
      await driver.destroy(child.boxId);
      const { directory, allocatedBytes, ...meta } = checkpoint!;
      const copy = { ...meta, snapshotId: newSnapshotId() };
      const staged = await driver.stageSnapshot(copy.snapshotId);
      for (const file of meta.files)
        await cp(join(directory, file), join(staged, file), { recursive: true });
      await cp(join(directory, "digests"), join(staged, "digests")).catch(() => {});
      const fetched = await driver.commitSnapshot(copy);
      assert.ok(allocatedBytes > 0 && fetched.allocatedBytes > 0);
      const grandchild = makeBox("fetched");
      await this.#start(driver, grandchild, from(fetched));
      assert.equal(await this.#readMemory(driver, grandchild), "first");
      await driver.destroy(grandchild.boxId);
      await driver.removeSnapshot(fetched.snapshotId);
    });
    await this.#step("destroy survives a crash at each step", async (driver) => {
      let current = driver;
      for (const name of this.#subject.failpoints.destroy) {
        const doomed = makeBox("doomed");
        await this.#start(current, doomed, from(checkpoint!));
        current = await this.#crashAt(name, (d) => d.destroy(doomed.boxId));
        await current.destroy(doomed.boxId);
        assert.equal(await current.inspect(doomed.boxId), null, name);
      }
      await current.removeSnapshot(checkpoint!.snapshotId);
      await current.removeSnapshot(checkpoint!.snapshotId);
      assert.deepEqual(await current.listSnapshots(), []);
    });
  }

  async #pauseAndResume(): Promise<void> {
    const box = this.#main;
    await this.#step("pause releases the box, resume brings it back alive", async (driver) => {
      const before = await driver.inspect(box.boxId);
      const paused = await this.#snapshot(driver, box, "pause");
      assert.equal(await driver.inspect(box.boxId), null);
      const again = await this.#snapshot(driver, box, "pause", paused.snapshotId);
      assert.deepEqual(again, paused);
      box.epoch += 1;
      const resumed = await this.#start(driver, box, from(paused));
      assert.equal(resumed.how, "restored");
      assert.notEqual((await driver.inspect(box.boxId))?.pid, before?.pid);
      assert.equal(await this.#readMemory(driver, box), "second");
      assert.equal(await this.#readDisk(driver, box), "second");
      assert.equal(await this.#output(driver, box, ["hostname"]), "main\n");
      await testEchoLives(driver, box, SESSION, "typed before");
      await driver.removeSnapshot(paused.snapshotId);
    });
    await this.#step("an older epoch is refused and changes nothing", async (driver) => {
      const older = { ...box, epoch: box.epoch - 1 };
      const image: BoxSource = { kind: "image", imageDigest: this.#subject.imageDigest };
      await rejectsWith(this.#start(driver, older, image), "epoch_stale");
      await rejectsWith(this.#snapshot(driver, older, "pause"), "epoch_stale");
      await rejectsWith(driver.shutdown(box.boxId, older.epoch, 1000), "epoch_stale");
      assert.equal(await this.#readMemory(driver, box), "second");
    });
  }

  /** After each crash: what the agent would do next, with a new driver object. */
  async #crashes(): Promise<void> {
    const box = this.#main;
    for (const name of this.#subject.failpoints.snapshot)
      await this.#step(`pause converges after a crash at ${name}`, async () => {
        const snapshotId = newSnapshotId();
        const driver = await this.#crashAt(name, (d) =>
          this.#snapshot(d, box, "pause", snapshotId),
        );
        await driver.sweep();
        const paused = await this.#snapshot(driver, box, "pause", snapshotId);
        assert.equal(await driver.inspect(box.boxId), null);
        box.epoch += 1;
        await this.#start(driver, box, from(paused));
        assert.equal(await this.#readMemory(driver, box), "second");
        await driver.removeSnapshot(snapshotId);
      });
    for (const name of this.#subject.failpoints.restore)
      await this.#step(`resume converges after a crash at ${name}`, async (before) => {
        const paused = await this.#snapshot(before, box, "pause");
        box.epoch += 1;
        const driver = await this.#crashAt(name, (d) => this.#start(d, box, from(paused)));
        assert.notEqual((await driver.inspect(box.boxId))?.state, "frozen");
        await driver.sweep();
        await this.#start(driver, box, from(paused));
        assert.equal((await driver.inspect(box.boxId))?.state, "ready");
        assert.equal(await this.#readMemory(driver, box), "second");
        await driver.removeSnapshot(paused.snapshotId);
      });
    await this.#step("a frozen box can go on", async () => {
      const name = this.#subject.failpoints.snapshot[0]!;
      const driver = await this.#crashAt(name, (d) => this.#snapshot(d, box, "pause"));
      await driver.thaw(box.boxId, box.epoch);
      assert.equal((await driver.inspect(box.boxId))?.state, "ready");
      assert.equal(await this.#readMemory(driver, box), "second");
    });
  }

  async #damage(): Promise<void> {
    const box = this.#main;
    await this.#step(
      "a flipped or truncated snapshot is refused before it runs",
      async (driver) => {
        const damages = [flipByte, (path: string, size: number) => truncate(path, size - 1)];
        for (const damage of damages) {
          const snapshot = await this.#snapshot(driver, box, "fork");
          const file = snapshot.files[0]!;
          const path = join(snapshot.directory, file);
          await damage(path, (await stat(path)).size);
          const child = makeBox("damaged");
          await rejectsWith(this.#start(driver, child, from(snapshot)), "snapshot_corrupt");
          assert.ok(["absent", undefined].includes((await driver.inspect(child.boxId))?.state));
          await driver.destroy(child.boxId);
          await driver.removeSnapshot(snapshot.snapshotId);
        }
        const missing = {
          kind: "snapshot",
          snapshotId: newSnapshotId(),
          withMemory: true,
        } as const;
        await rejectsWith(this.#start(driver, makeBox("none"), missing), "snapshot_missing");
      },
    );
  }

  async #death(): Promise<void> {
    const box = this.#main;
    await this.#step("a box whose VMM is killed boots from its disks, with a notice", async (d) => {
      const before = await d.inspect(box.boxId);
      const sent = await d.egress(box.boxId, box.epoch);
      await this.#subject.killVmm(before!);
      assert.equal((await d.inspect(box.boxId))?.state, "down");
      await rejectsWith(d.exec(box.boxId, { argv: ["true"], user: "dev" }), "guest_unreachable");
      const image: BoxSource = { kind: "image", imageDigest: this.#subject.imageDigest };
      const started = await this.#start(d, box, image);
      assert.equal(started.how, "booted");
      const after = await d.inspect(box.boxId);
      assert.ok(after?.notices.some(({ code }) => code === "vmm_died"));
      assert.notEqual((await d.egress(box.boxId, box.epoch))?.counter, sent?.counter);
      assert.equal(await this.#readDisk(d, box), "second");
      assert.equal(await this.#readMemory(d, box), null);
    });
  }

  async #stop(): Promise<void> {
    const box = this.#main;
    await this.#step("stop keeps the disks, start boots from them", async (driver) => {
      await this.#write(driver, box, "third");
      await driver.shutdown(box.boxId, box.epoch, 60_000);
      await driver.shutdown(box.boxId, box.epoch, 60_000);
      assert.equal((await driver.inspect(box.boxId))?.state, "down");
      await rejectsWith(this.#snapshot(driver, box, "pause"), "box_wrong_state");
      const request = { snapshotId: newSnapshotId(), kind: "stop", withMemory: false } as const;
      const stopped = await driver.snapshot(box.boxId, box.epoch, request);
      assert.equal(stopped.withMemory, false);
      assert.equal(await driver.inspect(box.boxId), null);
      box.epoch += 1;
      box.bootSerial += 1;
      const started = await this.#start(driver, box, from(stopped));
      assert.equal(started.how, "booted");
      const found = await driver.inspect(box.boxId);
      assert.equal(found?.bootSerial, box.bootSerial);
      assert.deepEqual(found.notices.filter(isFailure), []);
      assert.equal(await this.#readDisk(driver, box), "third");
      assert.equal(await this.#readMemory(driver, box), null);
      await driver.removeSnapshot(stopped.snapshotId);
    });
  }

  async #removal(): Promise<void> {
    await this.#step("destroy leaves nothing", async (driver) => {
      await driver.destroy(this.#main.boxId);
      await driver.destroy(this.#main.boxId);
      await driver.sweep();
      assert.deepEqual(await driver.list(), []);
      assert.deepEqual(await driver.listSnapshots(), []);
      assert.deepEqual(await this.#subject.leftovers(), []);
    });
  }

  /** Steps build on each other: after one failed, the others are skipped. */
  async #step(name: string, tell: (driver: Driver) => Promise<void>): Promise<void> {
    await this.#t.test(name, async (t) => {
      if (this.#isBroken) return t.skip("an earlier step failed");
      try {
        await tell(this.#opened!);
      } catch (error) {
        this.#isBroken = true;
        throw error;
      }
    });
  }

  async #reopen(): Promise<Driver> {
    await this.#opened?.close();
    this.#failpoints = new Failpoints();
    this.#opened = await this.#subject.open(this.#failpoints);
    return this.#opened;
  }

  /** Runs `call` until it passes the failpoint, and gives a driver object that knows nothing of it. */
  async #crashAt(name: string, call: (driver: Driver) => Promise<unknown>): Promise<Driver> {
    const before = this.#failpoints.hits(name);
    this.#failpoints.arm(name, { kind: "throw", message: `crash at ${name}` });
    await assert.rejects(call(this.#opened!), `nothing crashed at ${name}`);
    assert.ok(this.#failpoints.hits(name) > before, `${name} was not hit`);
    return await this.#reopen();
  }

  #start(driver: Driver, box: TestBox, source: BoxSource): Promise<StartResult> {
    this.#made.push(box.boxId);
    const run: BoxRun = {
      ...box,
      spec: this.#subject.spec,
      imageDigest: this.#subject.imageDigest,
      source,
      templateVersionId: "tv_00000000000000000000" as TemplateVersionId,
    };
    // Any text does: sshd reads the certificate only when somebody logs in.
    return driver.start(run, { signHostKey: async (key) => key });
  }

  #snapshot(
    driver: Driver,
    box: TestBox,
    kind: SnapshotKind,
    snapshotId = newSnapshotId(),
  ): Promise<LocalSnapshot> {
    return driver.snapshot(box.boxId, box.epoch, { snapshotId, kind, withMemory: true });
  }

  async #output(driver: Driver, box: TestBox, argv: readonly string[]): Promise<string> {
    const done = await driver.exec(box.boxId, { argv, user: "dev" });
    assert.equal(done.exitCode, 0, `${argv.join(" ")}: ${done.stderr}`);
    return done.stdout;
  }

  async #write(driver: Driver, box: TestBox, text: string): Promise<void> {
    for (const path of [MEMORY_PATH, DISK_PATH])
      await driver.exec(box.boxId, { argv: ["tee", path], user: "dev", stdin: text });
    await this.#output(driver, box, ["sync"]);
  }

  #readMemory(driver: Driver, box: TestBox): Promise<string | null> {
    return this.#read(driver, box, MEMORY_PATH);
  }

  #readDisk(driver: Driver, box: TestBox): Promise<string | null> {
    return this.#read(driver, box, DISK_PATH);
  }

  async #read(driver: Driver, box: TestBox, path: string): Promise<string | null> {
    const done = await driver.exec(box.boxId, { argv: ["cat", path], user: "dev" });
    return done.exitCode === 0 ? done.stdout : null;
  }
}

function makeBox(hostName: string): TestBox {
  const boxId = makeId<BoxId>("box", fill);
  const machineId = randomBytes(16).toString("hex");
  const sshUserCa = "ssh-ed25519 AAAA conformance";
  const identity = { boxId, hostName, machineId, sshUserCa, sshPrincipals: [boxId], env: {} };
  return { boxId, identity, epoch: 1, bootSerial: 0 };
}

function newSnapshotId(): SnapshotId {
  return makeId<SnapshotId>("snap", fill);
}

function fill(bytes: Uint8Array): void {
  bytes.set(randomBytes(bytes.length));
}

function from(snapshot: LocalSnapshot): BoxSource {
  const { snapshotId, withMemory } = snapshot;
  return { kind: "snapshot", snapshotId, withMemory };
}

function isFailure({ code }: { code: string }): boolean {
  return code !== "emulated";
}

async function flipByte(path: string, size: number): Promise<void> {
  const file = await open(path, "r+");
  const at = Math.floor(size / 2);
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 0x40;
  await file.write(byte, 0, 1, at);
  await file.close();
}

async function rejectsWith(call: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(call, (error: { code?: string; message: string }) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}
