// A gateway with an SSH port as a process of its own, so that a crash of it is seen, before a box of paper: its exec
// server runs nothing, because what attackers ask for is random.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { FeedBox } from "#contract/gateway-feed.ts";
import type { SshLimits } from "#gateway/ssh-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { makeHostKey } from "#lib/ssh-keys.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  signHostCertificate,
} from "#trust/ssh-certificates.ts";
import { makeTicketKey } from "#trust/tickets.ts";
import { type ExecClientFrame, ExecFrameDecoder, encodeExecFrame } from "#wire/exec-frames.ts";
import {
  BOX,
  DoorDriver,
  emptyFeed,
  makeAuthority,
  NODE,
  nodeTls,
  serverTls,
  USER,
  until,
} from "./doors.ts";
import { freePort } from "./free-ports.ts";

const HOST = "127.0.0.1";
const HOUR_MS = 3_600_000;
const EXEC_PORT = 1;
const ORG = "org_0123456789abcdefghjk";
const FEED_BOX: FeedBox = {
  ...{ boxId: BOX, name: "web", orgId: ORG, ownerId: USER, teamId: null, shares: [] },
  ...{ phase: "running", reason: null, epoch: 1, nodeId: NODE },
};
/** Whether the box listens there it never says. */
export const SILENT_PORT = 9;
/** What a program of this command says for as long as it is read. */
export const FLOOD = "flood";
const CHUNK = encodeExecFrame({ kind: "stdout", data: Buffer.alloc(32 * 1024, "x") });

export interface SshWorld {
  readonly port: number;
  /** OpenSSH's private key, which is registered. */
  readonly privateKey: string;
  readonly child: ChildProcess;
  /** Programs and connections that the box was asked for. */
  asked(): number;
  /** Bytes that were taken from programs that flood. */
  floodedBytes(): number;
  /** A login with the system's own ssh, at `port` when it is not the gateway's; resolves with what it printed. */
  login(port?: number): Promise<string>;
  rssBytes(): Promise<number>;
  /** Open files of the gateway. */
  files(): Promise<number>;
  streams(): Promise<number>;
  close(): Promise<void>;
}

export async function startSshWorld(limits: Partial<SshLimits> = {}): Promise<SshWorld> {
  const folder = await mkdtemp(join(tmpdir(), "berth-ssh-world-"));
  const run = promisify(execFile);
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "id")]);
  const { stdout } = await run("ssh-keygen", ["-lf", join(folder, "id.pub")]);
  const hosts = loadSshAuthority(makeSshAuthorityKey(), "hosts");
  await writeFile(
    join(folder, "known_hosts"),
    `${knownHostsLine(hosts.publicKeyLine, "gw.berth")}\n`,
  );
  const host = makeHostKey();
  const certificate = signHostCertificate(hosts, {
    ...{ publicKeyLine: host.publicKeyLine, keyId: "gateway", principals: ["gw.berth"] },
    ...{ notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + HOUR_MS },
  });
  const authority = await makeAuthority();
  const [nodePort, clientPort, port] = [await freePort(), await freePort(), await freePort()];
  const fingerprint = stdout.split(" ")[1] ?? "";
  const child = await startGateway(folder, {
    nodeDoor: { host: HOST, port: nodePort, tls: await serverTls(authority, "gateway") },
    clientDoor: { host: HOST, port: clientPort },
    ssh: { port, privateKeyOpenssh: host.privateKeyOpenssh, certificate, limits },
    feed: {
      ...emptyFeed(makeTicketKey().publicKeyPem),
      boxes: [FEED_BOX],
      keys: [{ keyId: "key_1", fingerprint, userId: USER, orgId: ORG }],
      members: [{ orgId: ORG, userId: USER, roles: ["member"], teams: [] }],
    },
  });
  const box = await paperBox();
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  driver.ports.set(EXEC_PORT, box.port);
  const tls = await nodeTls(authority);
  const links = new GatewayLinks({ driver, tls, clock: systemClock, log: silentLog });
  links.setGateways([`https://${HOST}:${nodePort}`]);
  const health = async (): Promise<{ boxes: number; streams: number }> =>
    (await (await fetch(`http://${HOST}:${clientPort}/healthz`)).json()) as never;
  await until(async () => (await health()).boxes === 1, "the box is announced");
  return {
    ...{ port, child, asked: () => driver.opened.length, floodedBytes: box.floodedBytes },
    privateKey: await readFile(join(folder, "id"), "utf8"),
    login: async (at = port) => {
      const args = [
        ...["-F", "none", "-p", String(at), "-i", join(folder, "id"), "-o", "BatchMode=yes"],
        ...["-o", `UserKnownHostsFile=${join(folder, "known_hosts")}`, "-o", "IdentitiesOnly=yes"],
        ...["-o", "HostKeyAlias=gw.berth", "-o", "StrictHostKeyChecking=yes"],
      ];
      return (await run("ssh", [...args, `web@${HOST}`, "true"], { timeout: 60_000 })).stdout;
    },
    rssBytes: async () => {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
    },
    files: async () => (await readdir(`/proc/${child.pid}/fd`)).length,
    streams: async () => (await health()).streams,
    close: async () => {
      await links.close();
      const ended = new Promise((done) => child.once("exit", done));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await ended;
      }
      box.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startGateway(folder: string, config: object): Promise<ChildProcess> {
  const path = join(folder, "gateway.json");
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  const program = join(import.meta.dirname, "door-process.ts");
  const args = ["--disable-warning=ExperimentalWarning", program, "gateway", path];
  // What it keeps for ever makes it fall.
  const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ""} --max-old-space-size=160`;
  const env = { ...process.env, NODE_OPTIONS };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((done, fail) => {
    child.stdout.once("data", () => done());
    child.once("exit", () => fail(new Error("the gateway did not start")));
  });
  return child;
}

async function paperBox(): Promise<{ port: number; floodedBytes(): number; close(): void }> {
  const sockets = new Set<Socket>();
  const floods: Socket[] = [];
  const server: Server = createServer({ noDelay: true }, (socket) => {
    const decoder = new ExecFrameDecoder();
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk) as ExecClientFrame[]) answer(socket, frame, floods);
      } catch {
        socket.destroy(); // After `dialed` there are no frames.
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, HOST, done));
  return {
    port: (server.address() as { port: number }).port,
    floodedBytes: () => floods.reduce((sum, one) => sum + one.bytesWritten, 0),
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function answer(socket: Socket, frame: ExecClientFrame, floods: Socket[]): void {
  if (frame.kind === "start") {
    socket.write(encodeExecFrame({ kind: "started", pid: 7 }));
    if (frame.argv.includes(FLOOD)) {
      floods.push(socket);
      flood(socket);
      return;
    }
    socket.write(encodeExecFrame({ kind: "stdout", data: Buffer.from("in\n") }));
    socket.write(encodeExecFrame({ kind: "exit", exitCode: 0 }));
  }
  if (frame.kind === "dial") socket.write(encodeExecFrame({ kind: "dialed" }));
  if (frame.kind === "listen" && !("tcp" in frame && frame.tcp.endsWith(`:${SILENT_PORT}`)))
    socket.write(encodeExecFrame({ kind: "listening", address: "127.0.0.1:4000" }));
}

function flood(socket: Socket): void {
  const more = () => {
    while (!socket.destroyed && socket.write(CHUNK));
  };
  socket.on("drain", more);
  more();
}
