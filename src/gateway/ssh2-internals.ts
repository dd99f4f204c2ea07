// What the SSH door needs of ssh2 that it has no public name for. ssh2 is pinned to an exact version, and
// ssh-door.test.ts runs each of these against OpenSSH.

import type { Socket } from "node:net";
import type { Connection, ServerChannel } from "ssh2";
import ssh2 from "ssh2";

const PLAIN = "ssh-ed25519";
const CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com";
const MAX_WINDOW_BYTES = 2 * 1024 * 1024;
const PACKET_BYTES = 32 * 1024;
const MAX_WHY_LENGTH = 400;

/** The part of a parsed key that ssh2's server uses. */
interface HostKey {
  readonly type: string;
  getPublicSSH(): Buffer;
  sign(data: Buffer, algorithm?: string): Buffer | Error;
}

interface OpenInfo {
  readonly sender: number;
  readonly packetSize: number;
}

interface Protocol {
  channelOpenFail(channel: number, reason: number, description: string): void;
}

type OnOpen = (protocol: Protocol, info: OpenInfo) => void;

type OnRequest = (protocol: Protocol, name: string, wantsReply: boolean, data: unknown) => void;

interface Guarded {
  readonly _sock: Socket;
  readonly _protocol: {
    readonly _handlers: {
      CHANNEL_OPEN: OnOpen;
      CHANNEL_OPEN_CONFIRMATION: OnOpen;
      GLOBAL_REQUEST: OnRequest;
    };
    requestSuccess(data?: Buffer): void;
    requestFailure(): void;
    /** Ours, while a key exchange goes on. */
    readonly _kexinit: Buffer | undefined;
    /** Packets that wait for its end. */
    readonly _queue: readonly Buffer[] | undefined;
    readonly _packetRW: { readonly write: Partial<PacketWriter> & { allocStartKEX: number } };
  };
  readonly _chanMgr: { readonly _count: number };
}

interface PacketWriter {
  alloc(bytes: number, force: boolean): Buffer;
  finalize(packet: Buffer, force: boolean): Buffer;
}

export interface GuardedChannel {
  readonly _client: Connection;
}

/** For ssh-guard.ts. */
export function guarded(connection: Connection): Guarded {
  return connection as unknown as Guarded;
}

interface Internals {
  readonly _protocol: {
    _hostKeys: Record<string, HostKey>;
    readonly _kex: { negotiated: { serverHostKey: string } };
    openssh_authAgent(channel: number, windowBytes: number, packetBytes: number): void;
  };
  readonly _chanMgr: { add(opened: OpenedChannel): number };
}

type OpenedChannel = ((error: Error | undefined, channel: ServerChannel) => void) & {
  type?: string;
};

export interface HostKeys {
  /** For the server's options. */
  readonly hostKeys: { key: never }[];
  /** To be called with each new connection. */
  bind(connection: Connection): void;
}

/**
 * A host key that is shown with its certificate, and plainly to clients that know no certificates. ssh2 takes a key
 * that was parsed already, so one is made whose public bytes are the certificate. Its signatures must carry
 * the plain key's algorithm, where ssh2 writes the negotiated one: hence a key per connection.
 */
export function hostKeysWithCertificate(
  privateKeyOpenssh: string,
  certificateLine: () => string,
): HostKeys {
  const parsed = ssh2.utils.parseKey(privateKeyOpenssh) as unknown as HostKey | Error;
  if (parsed instanceof Error) throw parsed;
  const certified = Object.create(parsed, {
    type: { value: CERTIFICATE },
    getPublicSSH: { value: () => Buffer.from(certificateLine().split(" ")[1] ?? "", "base64") },
  }) as HostKey;
  return {
    hostKeys: [{ key: certified as never }, { key: parsed as never }],
    bind: (connection) => {
      const { _protocol: protocol } = connection as unknown as Internals;
      const bound = Object.create(certified, {
        sign: {
          value: (data: Buffer) => {
            const kex = protocol._kex;
            kex.negotiated = { ...kex.negotiated, serverHostKey: PLAIN };
            return parsed.sign(data);
          },
        },
      }) as HostKey;
      protocol._hostKeys = { ...protocol._hostKeys, [CERTIFICATE]: bound };
    },
  };
}

/** A channel to the agent of the user's ssh. */
export function openAgentChannel(connection: Connection): Promise<ServerChannel> {
  const { _protocol: protocol, _chanMgr: channels } = connection as unknown as Internals;
  return new Promise((resolve, reject) => {
    const opened: OpenedChannel = (error, channel) => (error ? reject(error) : resolve(channel));
    opened.type = "auth-agent@openssh.com";
    const id = channels.add(opened);
    if (id === -1) return reject(new Error("the connection has no channel left"));
    protocol.openssh_authAgent(id, MAX_WINDOW_BYTES, PACKET_BYTES);
  });
}

/** Ends the connection with a reason, which OpenSSH shows to its user. ssh2's own message has room for none. */
export function endConnection(connection: Connection, why: string): void {
  const { write } = guarded(connection)._protocol._packetRW;
  const { alloc, finalize } = write;
  const text = Buffer.from(plainText(why), "latin1");
  write.alloc = (bytes, force) => (alloc as Alloc).call(write, bytes + text.length, force);
  write.finalize = (packet, force) => {
    // Behind the message's kind and its number for the reason; the language's length ends it.
    const at = packet.writeUInt32BE(text.length, write.allocStartKEX + 5);
    packet.writeUInt32BE(0, at + text.copy(packet, at));
    return (finalize as Finalize).call(write, packet, force);
  };
  try {
    connection.end();
  } finally {
    delete write.alloc; // The prototype's again.
    delete write.finalize;
  }
}

type Alloc = PacketWriter["alloc"];
type Finalize = PacketWriter["finalize"];

function plainText(why: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return why.replace(/[\x00-\x1f\x7f-\uffff]/g, "?").slice(0, MAX_WHY_LENGTH);
}

/** Refuses a channel with a reason, which OpenSSH shows to its user. `reject` is what ssh2 gave for it. */
export function refuseChannel(connection: Connection, reject: () => void, why: string): void {
  const { _protocol: protocol } = connection as unknown as { _protocol: Partial<Protocol> };
  const fail = protocol.channelOpenFail;
  const text = plainText(why);
  protocol.channelOpenFail = (channel, reason) => fail?.call(protocol, channel, reason, text);
  try {
    reject();
  } finally {
    delete protocol.channelOpenFail; // The prototype's again.
  }
}
