// The SSH port of a gateway, for machines without our CLI: `ssh BOX@gateway`, and `ssh -J gateway BOX.berth`. Plain
// OpenSSH at the other end, which knows this host by a certificate of Berth's host authority.

import { createServer, type Socket } from "node:net";
import type { Connection } from "ssh2";
import ssh2 from "ssh2";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { listen } from "./listen.ts";
import { Lobby } from "./lobby.ts";
import { reviewOnChange } from "./review.ts";
import type { SshBoxes } from "./ssh-boxes.ts";
import { serveForwards } from "./ssh-forward.ts";
import { Guard } from "./ssh-guard.ts";
import { attempt, type Login } from "./ssh-login.ts";
import { type ProgramContext, serveSession } from "./ssh-program.ts";
import { hostKeysWithCertificate } from "./ssh2-internals.ts";

export interface SshHostKey {
  /** Content of an OpenSSH private key file. */
  readonly privateKeyOpenssh: string;
  /** The line of its certificate; asked at each handshake, because it is renewed. */
  readonly certificateLine: () => string;
}

export interface SshDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly hostKey: SshHostKey;
  readonly boxes: SshBoxes;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<SshLimits>;
  /** Linux user that programs run as. */
  readonly boxUser?: string;
}

export interface SshLimits {
  /** Connections that have not logged in yet; when there are more, the one that has waited longest goes. */
  readonly strangers: number;
  readonly connections: number;
  /** A login must be done by then. */
  readonly loginTimeoutMs: number;
  readonly attempts: number;
  /** Sessions and forwards of one connection at a time. */
  readonly channels: number;
  readonly keepaliveMs: number;
}

const LIMITS: SshLimits = {
  strangers: 4000,
  connections: 20_000,
  loginTimeoutMs: 20_000,
  attempts: 8,
  channels: 200,
  keepaliveMs: 15_000,
};

/**
 * The client's order of ciphers counts, and OpenSSH's first is chacha20, which costs three times as much here. The key
 * exchange is curve25519, which is all that ssh2 has in common with today's OpenSSH.
 */
const ALGORITHMS = {
  cipher: ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"],
} as const;
/** A quarter of an hour: a suspended ssh (`~^Z`) and a closed lid answer none, and go on later. */
const KEEPALIVES_MISSED = 60;
const BOX_USER = "dev";
const TOO_MANY_KEYS =
  "too many keys that are not registered: choose with -i KEY -o IdentitiesOnly=yes; `berth key list` shows those that are";

export interface SshDoor {
  readonly port: number;
  /** Connections that are logged in. */
  readonly connections: number;
  close(): Promise<void>;
}

export async function openSshDoor(options: SshDoorOptions): Promise<SshDoor> {
  const limits = { ...LIMITS, ...options.limits };
  const { privateKeyOpenssh, certificateLine } = options.hostKey;
  const keys = hostKeysWithCertificate(privateKeyOpenssh, certificateLine);
  const callers = new Callers(limits, options.clock);
  const guests = new Set<Guest>();
  const ssh = new ssh2.Server(
    {
      hostKeys: keys.hostKeys,
      algorithms: { cipher: [...ALGORITHMS.cipher] },
      ident: "Berth",
      keepaliveInterval: limits.keepaliveMs,
      keepaliveCountMax: KEEPALIVES_MISSED,
    } as ssh2.ServerConfig,
    (connection, { ip, port }) => {
      keys.bind(connection);
      connection.on("ready", () => callers.welcome(ip, port));
      const guest = new Guest(connection, `${ip} ${port}`, { ...options, limits });
      guests.add(guest);
      connection.on("close", () => {
        guests.delete(guest);
        guest.end();
      });
    },
  );
  // ssh2 tells of a connection only after its first line; those that never send one are seen here.
  const server = createServer({ noDelay: true }, (socket) => {
    if (callers.admit(socket)) ssh.injectSocket(socket);
    else socket.destroy();
  });
  const { known } = options.boxes;
  const stopReviewing = reviewOnChange(guests, (guest) => guest.recheck(), { ...options, known });
  const port = await listen(server, options);
  return {
    port,
    get connections() {
      return callers.guests;
    },
    close: async () => {
      stopReviewing();
      const closed = new Promise<void>((done) => server.close(() => done()));
      callers.end();
      await closed;
    },
  };
}

/** The sockets: each is a stranger's until its login, and strangers are few and leave soon. */
class Callers {
  readonly #limits: SshLimits;
  readonly #clock: Clock;
  readonly #sockets = new Map<string, Socket>();
  readonly #strangers = new Map<string, AbortController>();
  readonly #lobby: Lobby;

  constructor(limits: SshLimits, clock: Clock) {
    this.#limits = limits;
    this.#lobby = new Lobby(limits.strangers);
    this.#clock = clock;
  }

  get guests(): number {
    return this.#sockets.size - this.#strangers.size;
  }

  admit(socket: Socket): boolean {
    const { connections, loginTimeoutMs } = this.#limits;
    if (this.#sockets.size >= connections) return false;
    const key = keyOf(socket.remoteAddress, socket.remotePort);
    const settled = new AbortController();
    this.#sockets.set(key, socket);
    this.#strangers.set(key, settled);
    this.#clock.sleep(loginTimeoutMs, settled.signal).then(
      () => socket.destroy(),
      () => {}, // It logged in, or is gone.
    );
    socket.on("close", () => {
      this.#sockets.delete(key);
      this.#settle(key);
    });
    this.#lobby.enter(socket);
    return true;
  }

  /** The connection from there has logged in. */
  welcome(address: string, port: number): void {
    const key = keyOf(address, port);
    const socket = this.#sockets.get(key);
    if (socket) this.#lobby.leave(socket);
    this.#settle(key);
  }

  end(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  #settle(key: string): void {
    this.#strangers.get(key)?.abort();
    this.#strangers.delete(key);
  }
}

function keyOf(address: string | undefined, port: number | undefined): string {
  return `${address} ${port}`;
}

/** One connection: a stranger until its login. */
class Guest {
  #login: Login | null = null;
  readonly #options: SshDoorOptions & { readonly limits: SshLimits };
  readonly #guard: Guard;
  readonly #ended = new AbortController();
  #attempts = 0;
  #stopUsing = () => {};

  constructor(
    connection: Connection,
    clientAddress: string,
    options: SshDoorOptions & { readonly limits: SshLimits },
  ) {
    this.#options = options;
    const { clock, limits, log, boxes } = options;
    this.#guard = new Guard(connection, { clock, channels: limits.channels });
    connection.on("authentication", (context) => {
      const result = attempt(context, boxes.known, clock.nowMs());
      if (result.kind === "asked") return context.accept();
      if (result.kind === "in") {
        const login = { ...result.login, address: clientAddress.split(" ")[0] };
        this.#login = login;
        // Also while it has no stream open: it may open one by what it showed long ago.
        this.#stopUsing();
        this.#stopUsing = boxes.known.use(result.login.credentialId);
        log.info({ userId: result.login.userId, as: context.username }, "ssh login");
        this.#serve({
          ...{ connection, boxes, clock, clientAddress, login },
          ...{ userName: context.username, ended: this.#ended.signal },
          boxUser: this.#options.boxUser ?? BOX_USER,
        });
        return context.accept();
      }
      this.#attempts += 1;
      if (context.method !== "none") log.info({ why: result.why }, "ssh login refused");
      if (result.holder) {
        const address = clientAddress.split(" ")[0] ?? null;
        const { code, ...who } = result.holder;
        boxes.turnAway(who, { address, door: "login", code });
      }
      if (this.#attempts >= limits.attempts) return this.#guard.leave(TOO_MANY_KEYS);
      context.reject(["publickey"]);
    });
  }

  /** Something changed at the control plane: who may no longer be here is sent away. */
  recheck(): void {
    if (this.#login && !this.#login.isStillGood(this.#options.boxes.known))
      this.#guard.leave("the key or certificate that you came in by does not hold any more");
  }

  end(): void {
    this.#ended.abort();
    this.#stopUsing();
  }

  #serve(context: ProgramContext): void {
    const { connection } = context;
    connection.on("session", (accept) => serveSession(accept(), context));
    serveForwards(connection, context);
  }
}
