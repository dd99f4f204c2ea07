// The host's end of a box's control channel (virtio-serial port berth.control): one line per request and
// answer, `SESSION SEQ WORD HEX-OF-RECORD`. The guest is hostile: answers are matched by session and sequence,
// cut at a size, and time out. See guest/PROTOCOL.md.

import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { createConnection } from "node:net";
import type { Duplex } from "node:stream";
import type { ListeningPort } from "#domain/box.ts";
import type { Clock } from "#lib/clock.ts";
import { type DecodedRecord, decodeRecord, encodeRecord, type Field } from "#wire/records.ts";

/** What the guest says of itself. */
export interface GuestStatus {
  readonly bootId: string;
  /** Epoch of the last renewal; 0 when there was none since boot. */
  readonly epoch: number;
  /**
   * - `unrenewed`: booted; nothing of the tenant's runs yet
   * - `renewed`: has its identity for `epoch`
   * - `sealed`: everything of the tenant's is frozen until the next renewal
   */
  readonly state: "unrenewed" | "renewed" | "sealed";
  /** What the guest could not do by itself (mount the home volume); empty when all is well. */
  readonly trouble: string;
}

/** A box's identity for one epoch. Fields that are unchanged since the last renewal cost nothing. */
export interface Renewal {
  readonly epoch: number;
  readonly boxId: string;
  readonly hostName: string;
  readonly machineId: string;
  /** OpenSSH private key file, public key line, and host certificate line. */
  readonly sshHostKey: string;
  readonly sshHostPublicKey: string;
  readonly sshHostCertificate: string;
  readonly sshUserCa: string;
  readonly sshPrincipals: readonly string[];
  /** Key lines that enter besides certificates; none leaves a box that goes on (same token) with those it has. */
  readonly sshAuthorizedKeys?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Opens the exec server for this epoch; no older one does. */
  readonly execToken: string;
  /** Tests only: bytes to reseed with. Default: 64 fresh random bytes. */
  readonly entropy?: Uint8Array;
}

export interface RenewalAck {
  readonly epoch: number;
  readonly bootId: string;
  /** What was renewed: entropy clock exec-token hostname machine-id ssh-host-key ssh-access env. */
  readonly renewed: readonly string[];
  /** Whether sshd listens (with the new key). */
  readonly sshdReady: boolean;
}

export class GuestControlError extends Error {
  override readonly name = "GuestControlError";
  /** timeout and closed may be tried again; refused is the guest's own answer. */
  readonly code: "timeout" | "closed" | "refused" | "malformed";
  constructor(code: GuestControlError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface GuestControlOptions {
  readonly clock: Clock;
  /** A fresh random session name; tests give their own. */
  readonly session?: string;
}

interface Waiting {
  readonly resolve: (record: DecodedRecord) => void;
  readonly reject: (error: GuestControlError) => void;
}

/** An answer longer than this is a hostile guest's. */
const MAX_LINE_BYTES = 64 * 1024;
const HELLO_EVERY_MS = 1_000;

export class GuestControl {
  readonly #stream: Duplex;
  readonly #clock: Clock;
  readonly #session: string;
  readonly #waiting = new Map<string, Waiting>();
  #held = "";
  #sequence = 0;
  #closed: GuestControlError | null = null;

  constructor(stream: Duplex, options: GuestControlOptions) {
    this.#stream = stream;
    this.#clock = options.clock;
    this.#session = options.session ?? randomBytes(8).toString("hex");
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("error", (error: Error) => this.#end(`control channel failed: ${error.message}`));
    stream.on("end", () => this.#end("control channel ended"));
    stream.on("close", () => this.#end("control channel closed"));
  }

  /**
   * Waits until the guest answers, however long its boot takes, and begins a session: what an
   * older session left on the wire is dropped by both ends.
   */
  async hello(timeoutMs: number, signal?: AbortSignal): Promise<GuestStatus> {
    const endMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      signal?.throwIfAborted();
      const leftMs = endMs - this.#clock.monotonicMs();
      try {
        return statusOf(await this.#ask("hello", [], Math.min(HELLO_EVERY_MS, leftMs), signal));
      } catch (error) {
        const again = error instanceof GuestControlError && error.code === "timeout";
        if (!again || endMs <= this.#clock.monotonicMs()) throw error;
      }
    }
  }

  async ping(timeoutMs = 5_000): Promise<GuestStatus> {
    return statusOf(await this.#ask("ping", [], timeoutMs));
  }

  /** Gives the guest its identity, thaws what `seal` froze, and waits until sshd has the new key. */
  async renew(renewal: Renewal, timeoutMs = 60_000): Promise<RenewalAck> {
    const record = await this.#ask("renew", renewalFields(renewal, this.#clock), timeoutMs);
    const ack: RenewalAck = {
      epoch: record.number("epoch"),
      bootId: record.text("bootId") ?? "",
      renewed: record.texts("renewed"),
      sshdReady: record.text("sshd") === "ready",
    };
    for (const must of ["entropy", "clock", "exec-token"])
      if (!ack.renewed.includes(must))
        throw new GuestControlError("refused", `guest did not renew its ${must}`);
    if (ack.epoch !== renewal.epoch)
      throw new GuestControlError(
        "refused",
        `guest acknowledged epoch ${ack.epoch}, not ${renewal.epoch}`,
      );
    return ack;
  }

  /**
   * Before a snapshot with memory: freezes everything of the tenant's and forgets the exec token, so that
   * whatever is restored from it runs nothing until `renew`. The box that goes on is renewed too.
   */
  async seal(timeoutMs = 10_000): Promise<void> {
    await this.#ask("seal", [], timeoutMs);
  }

  /** Before a snapshot: sync, drop caches, trim; so that fewer bytes are kept. Not needed for safety. */
  async settle(timeoutMs = 60_000): Promise<void> {
    await this.#ask("settle", [], timeoutMs);
  }

  /** Freezes the file systems; the guest thaws them itself after `holdMs`. */
  async freeze(holdMs: number, timeoutMs = 30_000): Promise<void> {
    await this.#ask("freeze", [["holdMs", String(holdMs)]], timeoutMs);
  }

  /** False when the guest had thawed already (its watchdog ended a freeze): do not trust the copy. */
  async thaw(timeoutMs = 10_000): Promise<boolean> {
    return (await this.#ask("thaw", [], timeoutMs)).text("held") === "yes";
  }

  async sync(timeoutMs = 60_000): Promise<void> {
    await this.#ask("sync", [], timeoutMs);
  }

  /** Grows the root and home file systems to their disks. `renew` of a fresh boot does it too. */
  async grow(timeoutMs = 60_000): Promise<void> {
    await this.#ask("grow", [], timeoutMs);
  }

  /** What listens in the box, by port. */
  async ports(timeoutMs = 15_000): Promise<ListeningPort[]> {
    const record = await this.#ask("ports", [], timeoutMs);
    return record.texts("port").flatMap(portOf);
  }

  /** Public key lines that enter as dev from now on, until the next renewal for another epoch. */
  async authorizeKeys(keys: readonly string[], timeoutMs = 15_000): Promise<void> {
    await this.#ask("keys", keyFields(keys), timeoutMs);
  }

  /** Asks for an orderly power-off; the VMM exits when the guest is done. */
  async shutdown(timeoutMs = 10_000): Promise<void> {
    await this.#ask("shutdown", [], timeoutMs);
  }

  close(): void {
    this.#end("control channel closed by the host");
    this.#stream.destroy();
  }

  async #ask(
    verb: string,
    fields: readonly Field[],
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<DecodedRecord> {
    if (this.#closed) throw this.#closed;
    this.#sequence += 1;
    const sequence = String(this.#sequence);
    const answer = new Promise<DecodedRecord>((resolve, reject) => {
      this.#waiting.set(sequence, { resolve, reject });
    });
    const hex = Buffer.from(encodeRecord(fields)).toString("hex") || "-";
    // The first newline ends whatever a former session left unfinished.
    this.#stream.write(`\n${this.#session} ${sequence} ${verb} ${hex}\n`);
    const timer = new AbortController();
    const late = this.#clock.sleep(Math.max(0, timeoutMs), timer.signal).then(
      () => {
        throw new GuestControlError("timeout", `guest did not answer ${verb} in ${timeoutMs} ms`);
      },
      () => new Promise<never>(() => {}), // The answer came first.
    );
    const aborted = abortOf(signal, timer.signal);
    try {
      return await Promise.race(aborted ? [answer, late, aborted] : [answer, late]);
    } finally {
      timer.abort();
      this.#waiting.delete(sequence);
    }
  }

  #receive(chunk: Buffer): void {
    this.#held += chunk.toString("latin1");
    for (;;) {
      const newline = this.#held.indexOf("\n");
      if (newline < 0) break;
      const line = this.#held.slice(0, newline);
      this.#held = this.#held.slice(newline + 1);
      if (line.length <= MAX_LINE_BYTES) this.#line(line);
    }
    // Without an end in sight the rest is not kept; its line will be dropped as malformed.
    if (this.#held.length > MAX_LINE_BYTES) this.#held = this.#held.slice(0, MAX_LINE_BYTES + 1);
  }

  #line(line: string): void {
    const [session, sequence = "", word, hex = ""] = line.split(" ");
    const waiting = this.#waiting.get(sequence);
    if (session !== this.#session || !waiting) return; // Of an older session, or too late.
    this.#waiting.delete(sequence);
    try {
      const record = decodeRecord(Buffer.from(hex === "-" ? "" : hex, "hex"));
      if (word === "ok") waiting.resolve(record);
      else
        waiting.reject(new GuestControlError("refused", record.text("message") ?? "guest refused"));
    } catch (error) {
      waiting.reject(new GuestControlError("malformed", (error as Error).message));
    }
  }

  #end(why: string): void {
    this.#closed ??= new GuestControlError("closed", why);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#closed);
    this.#waiting.clear();
  }
}

/** Opens the chardev's socket. QEMU lets one client in at a time; another waits in its backlog. */
export async function openGuestControl(
  socketPath: string,
  options: GuestControlOptions,
): Promise<GuestControl> {
  const socket = createConnection(socketPath);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (error) =>
      reject(new GuestControlError("closed", `cannot open ${socketPath}: ${error.message}`)),
    );
  });
  return new GuestControl(socket, options);
}

function abortOf(signal: AbortSignal | undefined, done: AbortSignal): Promise<never> | null {
  if (!signal) return null;
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    done.addEventListener("abort", () => signal.removeEventListener("abort", abort));
  });
}

/** `PORT any|loopback PROGRAM`, as a guest says it: what makes no sense is left out. */
function portOf(line: string): ListeningPort[] {
  const [, port, reach, program] =
    /^(\d{1,5}) (any|loopback) ([\x20-\x7e]{0,32})$/.exec(line) ?? [];
  if (!port || Number(port) < 1 || Number(port) > 65_535) return [];
  return [{ port: Number(port), isLoopback: reach === "loopback", program: program || null }];
}

function statusOf(record: DecodedRecord): GuestStatus {
  const state = record.text("state");
  return {
    bootId: record.text("bootId") ?? "",
    epoch: record.number("epoch"),
    state: state === "renewed" || state === "sealed" ? state : "unrenewed",
    trouble: record.text("trouble") ?? "",
  };
}

/** A line break in a key would be a key of its own. */
function keyFields(keys: readonly string[]): Field[] {
  return keys.map((key) => ["sshAuthorizedKey", key.replaceAll(/[\r\n]/g, " ")]);
}

function renewalFields(renewal: Renewal, clock: Clock): Field[] {
  const fields: Field[] = [
    ["epoch", String(renewal.epoch)],
    ["boxId", renewal.boxId],
    ["hostName", renewal.hostName],
    ["machineId", renewal.machineId],
    ["sshHostKey", renewal.sshHostKey],
    ["sshHostPublicKey", renewal.sshHostPublicKey],
    ["sshHostCertificate", renewal.sshHostCertificate],
    ["sshUserCa", renewal.sshUserCa],
    ["execToken", renewal.execToken],
    ["entropy", renewal.entropy ?? randomBytes(64)],
    ["timeMs", String(Math.round(clock.nowMs()))],
  ];
  for (const principal of renewal.sshPrincipals) fields.push(["sshPrincipal", principal]);
  fields.push(...keyFields(renewal.sshAuthorizedKeys ?? []));
  for (const [name, value] of Object.entries(renewal.env)) fields.push(["env", `${name}=${value}`]);
  return fields;
}
