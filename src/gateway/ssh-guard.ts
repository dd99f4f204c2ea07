// Bounds that ssh2 does not have: on what it keeps for a client that does not read, on channels, and on how long an
// ended connection stays. ssh-fuzz.test.ts goes red without those on packets, what is unread and what is unanswered.

import type { Socket } from "node:net";
import type { Connection, ServerChannel } from "ssh2";
import type { Clock } from "#lib/clock.ts";
import { endConnection, type GuardedChannel, guarded } from "./ssh2-internals.ts";

/** No client has smaller packets: with 1 byte each, every byte costs a packet; with 0, ssh2 makes packets for ever. */
const MIN_PACKET_BYTES = 256;
/** So much output waits for the client; then the channels wait, and what is behind them. */
const MAX_UNREAD_BYTES = 1024 * 1024;
/** And when so much does, which only answers can come to, nothing more is read. */
const MAX_UNREAD_ANSWERS_BYTES = 2 * 1024 * 1024;
/** Packets that wait for the end of a key exchange. */
const MAX_QUEUED = 4096;
/** Requests of a connection whose answers wait for an earlier one's, for answers keep their order. */
const MAX_UNANSWERED = 256;
const LEAVE_MS = 5000;
const RESOURCE_SHORTAGE = 4;

const guards = new WeakMap<object, Guard>();

export class Guard {
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  #isLeaving = false;

  constructor(connection: Connection, { clock, channels }: { clock: Clock; channels: number }) {
    this.#connection = connection;
    this.#clock = clock;
    const { _sock: socket, _protocol: protocol, _chanMgr: open } = guarded(connection);
    this.#socket = socket;
    guards.set(connection, this);
    const { CHANNEL_OPEN: onOpen, CHANNEL_OPEN_CONFIRMATION: onOpened } = protocol._handlers;
    protocol._handlers.CHANNEL_OPEN = (one, info) => {
      refuseSmallPackets(info);
      if (open._count < channels) onOpen(one, info);
      else one.channelOpenFail(info.sender, RESOURCE_SHORTAGE, "");
    };
    protocol._handlers.CHANNEL_OPEN_CONFIRMATION = (one, info) => {
      refuseSmallPackets(info);
      onOpened(one, info);
    };
    limitUnanswered(protocol);
    // After ssh2's own listener: what came has been answered.
    socket.on("data", () => {
      if ((protocol._queue?.length ?? 0) > MAX_QUEUED) this.leave();
      else if (socket.writableLength > MAX_UNREAD_ANSWERS_BYTES) socket.pause();
    });
    socket.on("drain", () => {
      socket.resume();
      this.#goOn();
    });
    connection.on("rekey", () => this.#goOn());
    connection.on("error", ({ message }) => this.leave(whyEnded(message))); // Strangers are not worth a log line.
    connection.on("end", () => this.leave());
  }

  /** Says good-bye and why, and does not wait for long until the client has read it. */
  leave(why = ""): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#socket.removeAllListeners("data").resume();
    endConnection(this.#connection, why);
    const closed = new AbortController();
    this.#socket.once("close", () => closed.abort());
    this.#clock.sleep(LEAVE_MS, closed.signal).then(
      () => this.#socket.destroy(),
      () => {},
    );
  }

  whenTaken(go: () => void): void {
    const isExchangingKeys = guarded(this.#connection)._protocol._kexinit !== undefined;
    if (isExchangingKeys || this.#socket.writableLength > MAX_UNREAD_BYTES) this.#waiting.add(go);
    else go();
  }

  #goOn(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const go of waiting) this.whenTaken(go);
  }
}

/** ssh2 takes packets of 35,000 bytes, which is what every client may count on; OpenSSH's own server takes more. */
function whyEnded(message: string): string {
  return message.startsWith("Bad packet length")
    ? "too long for one packet: give a command or variable of more than 34 KB as input"
    : message;
}

function limitUnanswered(protocol: ReturnType<typeof guarded>["_protocol"]): void {
  const { GLOBAL_REQUEST: onRequest } = protocol._handlers;
  const { requestSuccess, requestFailure } = protocol;
  let unanswered = 0;
  protocol.requestSuccess = (data) => {
    unanswered -= 1;
    requestSuccess.call(protocol, data);
  };
  protocol.requestFailure = () => {
    unanswered -= 1;
    requestFailure.call(protocol);
  };
  protocol._handlers.GLOBAL_REQUEST = (one, name, wantsReply, data) => {
    if (wantsReply) unanswered += 1;
    if (unanswered > MAX_UNANSWERED) throw new Error("too many requests wait for an answer");
    onRequest(one, name, wantsReply, data);
  };
}

function refuseSmallPackets({ packetSize }: { readonly packetSize: number }): void {
  if (packetSize < MIN_PACKET_BYTES) throw new Error("the client's packets are too small");
}

/** What is written to the channel counts as taken only when the client's socket has room. ssh2 asks the window alone. */
export function paced(channel: ServerChannel): ServerChannel {
  const { _client: connection } = channel as unknown as GuardedChannel;
  const guard = guards.get(connection);
  for (const side of [channel, channel.stderr]) {
    side.on("error", () => {}); // Written to after its end; a close follows.
    const write = side._write;
    side._write = (data, encoding, done) =>
      write.call(side, data, encoding, (error) => guard?.whenTaken(() => done(error)));
  }
  return channel;
}
