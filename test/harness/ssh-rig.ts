// The SSH door alone, before one box whose ports are those of this machine, for tests with the system's own OpenSSH.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
import { promisify } from "node:util";
import { Problem } from "#contract/errors.ts";
import type { FeedBox, FeedChange, FeedFull } from "#contract/gateway-feed.ts";
import { KnownState } from "#gateway/known.ts";
import { openSshDoor, type SshLimits } from "#gateway/ssh-door.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { makeHostKey } from "#lib/ssh-keys.ts";
import { NODE } from "#test/harness/doors.ts";
import { type ExecHost, startExecHost, TOKEN } from "#test/harness/exec-host.ts";
import {
  knownHostsLine,
  loadSshAuthority,
  makeSshAuthorityKey,
  type SshAuthority,
  signHostCertificate,
  signUserCertificate,
  type UserCertificateOptions,
} from "#trust/ssh-certificates.ts";
import { encodeExecFrame } from "#wire/exec-frames.ts";

const run = promisify(execFile);
export const HOST = "127.0.0.1";
export const MINUTE_MS = 60_000;
export const USER = "usr_0123456789abcdefghjk";
const ORG = "org_0123456789abcdefghjk";
export const CREDENTIAL = "token_0123456789abcdefghjk";
export const BOX: FeedBox = {
  boxId: "box_0123456789abcdefghjk",
  name: "web",
  orgId: ORG,
  ownerId: USER,
  teamId: null,
  shares: [],
  phase: "running",
  reason: null,
  epoch: 1,
  nodeId: NODE,
};
export const OTHERS: FeedBox = {
  ...BOX,
  boxId: "box_theirs000000000000",
  name: "theirs",
  ownerId: "usr_b",
};

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const userAuthority = loadSshAuthority(makeSshAuthorityKey(), "users");
export const hostAuthority = loadSshAuthority(makeSshAuthorityKey(), "hosts");

export interface SshRig {
  readonly known: KnownState;
  /** TCP ports of the box, as ports of this machine. */
  readonly ports: Map<number, number>;
  readonly folder: string;
  readonly port: number;
  /** Boxes that were waited for. */
  readonly woken: string[];
  /** Those at rest stay so until this resolves. */
  resting: Promise<void>;
  /** Who was refused: user, box, credential and why. */
  readonly turnedAway: (readonly [string | null, string, string | null, string])[];
  ssh(args: readonly string[], stdin?: string): Promise<Ended>;
  /** Options of ssh that stand before the host. */
  options(): string[];
  change(change: Partial<FeedChange>): void;
  /** Makes `id` (and `id-cert.pub`) in the folder. */
  certify(change?: Partial<UserCertificateOptions>, authority?: SshAuthority): Promise<void>;
  /** Registers `id`. */
  register(userId?: string): Promise<void>;
}

const FULL: FeedFull = {
  kind: "full",
  settings: {
    ticketKeysPem: [],
    sshUserCa: userAuthority.publicKeyLine,
    sshHostCa: hostAuthority.publicKeyLine,
    dashboardOrigin: "http://localhost:7300",
    previewOrigin: null,
  },
  boxes: [BOX, OTHERS],
  previews: [],
  goneLabels: [],
  keys: [],
  members: [
    { orgId: ORG, userId: USER, roles: ["member"], teams: [] },
    { orgId: ORG, userId: "usr_b", roles: ["member"], teams: [] },
  ],
  revocations: [],
};
const NOTHING: FeedChange = {
  kind: "change",
  ...{ boxes: [], goneBoxes: [], previews: [], gonePreviews: [] },
  ...{ keys: [], goneKeys: [], members: [], goneMembers: [], revocations: [] },
};

export async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, HOST, done));
  return (server.address() as { port: number }).port;
}

let shared: Promise<ExecHost> | null = null;
/** The guest's own exec server, compiled once. */
function execHost(): Promise<ExecHost> {
  shared ??= startExecHost();
  return shared;
}
after(async () => (await shared)?.stop());

export async function rig(
  t: TestContext,
  limits: Partial<SshLimits> = {},
  clock: Clock = systemClock,
): Promise<SshRig> {
  const folder = await mkdtemp(join(tmpdir(), "berth-ssh-door-"));
  const known = new KnownState(FULL, Date.now());
  const ports = new Map<number, number>();
  const woken: string[] = [];
  const turnedAway: SshRig["turnedAway"] = [];
  const hostKey = makeHostKey();
  const certificate = signHostCertificate(hostAuthority, {
    ...{ publicKeyLine: hostKey.publicKeyLine, keyId: "gateway", principals: ["gw.berth"] },
    ...{ notBeforeMs: Date.now() - MINUTE_MS, notAfterMs: Date.now() + 60 * MINUTE_MS },
  });
  const door = await openSshDoor({
    ...{ host: HOST, port: 0, clock, log: silentLog, limits, boxUser: "root" },
    hostKey: {
      privateKeyOpenssh: hostKey.privateKeyOpenssh,
      certificateLine: () => certificate,
    },
    boxes: {
      known,
      turnAway: ({ userId, boxId, credentialId }, { code }) =>
        void turnedAway.push([userId, boxId, credentialId, code]),
      open: async (_login, box, target, { onPhase }) => {
        if (box.phase !== "running") {
          onPhase?.("resuming", "restoring memory");
          woken.push(box.name);
          await made.resting;
        }
        const port = "port" in target ? ports.get(target.port) : undefined;
        if (port === undefined) throw new Problem("port_closed", "nothing listens there");
        return await new Promise<Socket>((resolve, reject) => {
          const socket = connect({ port, host: HOST, allowHalfOpen: true, noDelay: true });
          socket.once("error", reject);
          socket.once("connect", () => resolve(socket));
          // As the node does it.
          if ("port" in target && target.port === 1)
            socket.write(encodeExecFrame({ kind: "auth", token: TOKEN }));
        });
      },
    },
  });
  const exec = await execHost();
  ports.set(1, exec.port);
  t.after(async () => {
    await door.close();
    await rm(folder, { recursive: true, force: true });
  });
  await writeFile(
    join(folder, "known_hosts"),
    `${knownHostsLine(hostAuthority.publicKeyLine, "gw.berth,*.berth")}\n`,
  );
  const options = () => [
    ...["-F", "none", "-p", String(door.port), "-i", join(folder, "id")],
    ...["-o", `UserKnownHostsFile=${join(folder, "known_hosts")}`, "-o", "HostKeyAlias=gw.berth"],
    ...["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"],
    ...["-o", "GlobalKnownHostsFile=none", "-o", "ForwardX11=no"],
  ];
  const keygen = async () => {
    const path = join(folder, "id");
    for (const name of ["id", "id.pub", "id-cert.pub"])
      await rm(join(folder, name), { force: true });
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
    return (await readFile(`${path}.pub`, "utf8")).trim();
  };
  const made: SshRig = {
    ...{ known, ports, folder, woken, turnedAway, options, port: door.port },
    resting: Promise.resolve(),
    ssh: (args, stdin) => runSsh([...options(), ...args], stdin),
    change: (change) => known.apply({ ...NOTHING, ...change }, Date.now()),
    certify: async (change = {}, authority = userAuthority) => {
      const publicKeyLine = await keygen();
      const certificate = signUserCertificate(authority, {
        ...{ publicKeyLine, keyId: `${USER}@${BOX.boxId}#${CREDENTIAL}`, principals: [BOX.boxId] },
        ...{ notBeforeMs: Date.now() - MINUTE_MS, notAfterMs: Date.now() + 5 * MINUTE_MS },
        ...change,
      });
      await writeFile(join(folder, "id-cert.pub"), `${certificate}\n`);
    },
    register: async (userId = USER) => {
      await keygen();
      const { stdout } = await run("ssh-keygen", ["-lf", join(folder, "id.pub")]);
      const key = { keyId: "key_1", fingerprint: stdout.split(" ")[1] ?? "", userId, orgId: ORG };
      known.apply({ ...NOTHING, keys: [key] }, Date.now());
    },
  };
  return made;
}

export function runSsh(
  args: readonly string[],
  stdin = "",
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn("ssh", args, { stdio: "pipe", env });
    const said = { stdout: "", stderr: "" };
    for (const kind of ["stdout", "stderr"] as const)
      child[kind].on("data", (data) => {
        said[kind] += data;
      });
    child.stdin.on("error", () => {});
    child.stdin.end(stdin);
    child.on("close", (code) => resolve({ code: code ?? 255, ...said }));
  });
}
