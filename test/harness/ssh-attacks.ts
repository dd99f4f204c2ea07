// Hostile SSH clients, each the same for the same dice: bytes of a good client that were changed, packets that make
// little sense before and after the login, and floods whose answers nobody reads.

import { connect, createServer, type Socket } from "node:net";
import ssh2 from "ssh2";

export type Dice = () => number;

const HOST = "127.0.0.1";
const HUGE = 0xffff_ffff;
/** Message numbers, of RFC 4250. */
const GLOBAL_REQUEST = 80;
const CHANNEL_OPEN = 90;
const CHANNEL_REQUEST = 98;
const MESSAGES = [
  ...[1, 2, 3, 4, 5, 6, 7, 20, 21, 30, 31, 50, 51, 52, 53, 60, 61, 80, 81, 82],
  ...[90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 192, 255],
];
const GLOBAL_REQUESTS = [
  ...["tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com"],
  ...["cancel-streamlocal-forward@openssh.com", "hostkeys-prove-00@openssh.com", "keepalive@x"],
];
const CHANNELS = [
  ...["session", "direct-tcpip", "direct-streamlocal@openssh.com", "x11"],
  ...["forwarded-tcpip", "auth-agent@openssh.com", "tun@openssh.com"],
];
const REQUESTS = [
  ...["pty-req", "env", "shell", "exec", "subsystem", "window-change", "signal", "exit-status"],
  ...["auth-agent-req@openssh.com", "x11-req", "xon-xoff", "break", "eow@openssh.com"],
];
const TEXTS = [
  ...["", "web", "sftp", "TERM", "localhost", "10.0.0.1", "a.b", "-h", "\0", "x".repeat(3000)],
];

export const pick = <T>(dice: Dice, from: readonly T[]): T =>
  from[Math.floor(dice() * from.length)] as T;
const below = (dice: Dice, end: number) => Math.floor(dice() * end);

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function text(value: string | Buffer): Buffer {
  return Buffer.concat([uint32(Buffer.byteLength(value)), Buffer.from(value)]);
}

export function randomBytes(dice: Dice, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => below(dice, 256)));
}

/** All that a good client says in one login, byte by byte. */
export async function recordLogin(
  port: number,
  login: (port: number) => Promise<unknown>,
): Promise<Buffer> {
  const said: Buffer[] = [];
  const relay = createServer((outer) => {
    const inner = connect(port, HOST);
    for (const side of [outer, inner]) side.on("error", () => {});
    outer.on("data", (chunk) => said.push(chunk));
    outer.pipe(inner).pipe(outer);
  });
  await new Promise<void>((done) => relay.listen(0, HOST, done));
  try {
    await login((relay.address() as { port: number }).port);
  } finally {
    relay.close();
  }
  return Buffer.concat(said);
}

/** Changes some of it: bits, lengths, order, an end too early, a part twice, garbage between. */
export function mutate(dice: Dice, good: Buffer): Buffer {
  let bytes = Buffer.from(good);
  for (let n = 1 + below(dice, 4); n > 0 && bytes.length > 8; n -= 1) {
    const at = below(dice, bytes.length - 4);
    const end = Math.min(bytes.length, at + 1 + below(dice, 400));
    const part = bytes.subarray(at, end);
    const ways = [
      () => bytes.subarray(0, at),
      () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]),
      () => Buffer.concat([bytes.subarray(0, end), part, bytes.subarray(end)]),
      () => Buffer.concat([bytes.subarray(0, at), randomBytes(dice, 40), bytes.subarray(at)]),
      () => Buffer.concat([bytes.subarray(end), part, bytes.subarray(0, at)]),
      () => {
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(dice, 8));
        return bytes;
      },
      () => {
        bytes.writeUInt32BE(pick(dice, [0, 1, 5, 35_000, 0x7fff_ffff, HUGE]), at);
        return bytes;
      },
    ];
    bytes = Buffer.from(pick(dice, ways)());
  }
  return bytes;
}

/** The first line and packets before there are keys, well framed and badly filled. */
export function plainPackets(dice: Dice): Buffer {
  const packets = Array.from({ length: 1 + below(dice, 6) }, () => {
    const payload = anyPayload(dice);
    const padding = dice() < 0.9 ? 8 - ((payload.length + 5) % 8) + 8 : below(dice, 256);
    const length = dice() < 0.9 ? 1 + payload.length + padding : below(dice, HUGE);
    return Buffer.concat([uint32(length), Buffer.from([padding]), payload, Buffer.alloc(padding)]);
  });
  return Buffer.concat([Buffer.from("SSH-2.0-fuzz\r\n"), ...packets]);
}

const anyText = (dice: Dice) =>
  dice() < 0.9 ? text(pick(dice, TEXTS)) : Buffer.concat([uint32(HUGE), Buffer.from("cut")]);
const anyNumber = (dice: Dice) =>
  uint32(pick(dice, [0, 0, 1, 2, 3, 7, 255, 32_768, 65_536, 0x7fff_ffff, HUGE]));

/** A message of the connection protocol, mostly of the right shape, with values that nobody would send. */
export function anyPayload(dice: Dice): Buffer {
  const some = (count: number) =>
    Array.from({ length: count }, () => (dice() < 0.5 ? anyText(dice) : anyNumber(dice)));
  const reply = Buffer.from([below(dice, 2)]);
  const shapes = [
    () => [Buffer.from([GLOBAL_REQUEST]), text(pick(dice, GLOBAL_REQUESTS)), reply, ...some(3)],
    () => [
      ...[Buffer.from([CHANNEL_OPEN]), text(pick(dice, CHANNELS))],
      ...[anyNumber(dice), anyNumber(dice), anyNumber(dice)],
      ...[anyText(dice), anyNumber(dice), anyText(dice), anyNumber(dice)],
    ],
    () => [
      ...[Buffer.from([CHANNEL_REQUEST]), uint32(below(dice, 4)), text(pick(dice, REQUESTS))],
      ...[reply, ...some(below(dice, 7))],
    ],
    () => [Buffer.from([pick(dice, MESSAGES)]), uint32(below(dice, 4)), ...some(below(dice, 5))],
    () => [Buffer.from([pick(dice, MESSAGES)]), randomBytes(dice, below(dice, 200))],
  ];
  return Buffer.concat(pick(dice, shapes)());
}

/** Says it in pieces and goes away in one of the ways there are. */
export async function say(dice: Dice, port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, HOST);
  const closed = new Promise<void>((done) => socket.once("close", () => done()));
  socket.on("error", () => {});
  socket.resume();
  for (let at = 0; at < bytes.length && !socket.destroyed; ) {
    const end = at + 1 + below(dice, bytes.length);
    socket.write(bytes.subarray(at, end));
    at = end;
    await new Promise((done) => setImmediate(done));
  }
  const way = dice();
  if (way < 0.5) socket.end();
  else if (way < 0.75) socket.resetAndDestroy();
  else setTimeout(() => socket.destroy(), 50);
  await closed;
}

interface Internals {
  readonly _protocol: {
    readonly _packetRW: {
      readonly write: {
        allocStart: number;
        alloc(size: number): Buffer;
        finalize(packet: Buffer): Buffer;
      };
    };
    readonly _cipher: { encrypt(packet: Buffer): void };
  };
}

/** ssh2's own client, through whose encryption anything can be said. */
export class Attacker {
  readonly socket: Socket;
  readonly #client = new ssh2.Client();
  isClosed = false;
  readonly #closed: Promise<void>;

  constructor(port: number) {
    this.socket = connect(port, HOST);
    this.socket.on("error", () => {});
    this.#client.on("error", () => {});
    this.#closed = new Promise((done) => {
      this.socket.once("close", () => {
        this.isClosed = true;
        done();
      });
    });
  }

  /** `handshake`: encrypted, and nobody yet. */
  async reach(stage: "handshake" | "ready", privateKey: string): Promise<void> {
    const reached = new Promise<void>((done) => this.#client.once(stage as "ready", () => done()));
    const sock = this.socket;
    // A client that stays a stranger never asks to log in: its authentication is not made.
    const authHandler = stage === "ready" ? (["publickey"] as const) : () => {};
    this.#client.connect({
      ...{ sock, username: "web", privateKey, readyTimeout: 60_000, hostVerifier: () => true },
      authHandler: authHandler as never,
    });
    await Promise.race([reached, this.#closed]);
  }

  send(payload: Buffer): void {
    if (this.isClosed || !this.socket.writable) return;
    const { _packetRW: packets, _cipher: cipher } = (this.#client as unknown as Internals)
      ._protocol;
    try {
      const packet = packets.write.alloc(payload.length);
      packet.set(payload, packets.write.allocStart);
      cipher.encrypt(packets.write.finalize(packet));
    } catch {
      this.socket.destroy(); // Its own end of the connection is over.
    }
  }

  /** Waits while more is on its way than the gateway takes; false when it has taken nothing for so long. */
  async taken(patienceMs: number): Promise<boolean> {
    for (let left = patienceMs; this.socket.writableLength > 0 && !this.isClosed; left -= 10) {
      if (left <= 0) return false;
      await new Promise((done) => setTimeout(done, 10));
    }
    return !this.isClosed;
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.#closed;
  }
}
