// How a box runs on a host: the whole interface between the agent and a VMM. The fake and QEMU pass
// the same conformance suite (conformance.ts). Every method is idempotent and may be called again
// after a crash at any point; nothing here is remembered that the host cannot tell again.

import type { Duplex } from "node:stream";
import type {
  BoxIdentity,
  BoxRun,
  BoxSpec,
  HostState,
  ListeningPort,
  Notice,
  SnapshotKind,
} from "#domain/box.ts";
import type { BoxId, SnapshotId } from "#domain/ids.ts";
import type { SessionMode } from "#wire/exec-frames.ts";

/** One box as the host shows it. */
export interface HostBox {
  readonly boxId: BoxId;
  readonly epoch: number;
  readonly state: HostState;
  /** Of the last `start`: a `down` box that is started with a higher one gets no notice. */
  readonly bootSerial: number;
  /** Process id of the VMM when there is one. */
  readonly pid: number | null;
  readonly notices: readonly Notice[];
}

/** A committed snapshot on this host's disk: a directory of immutable files. */
export interface LocalSnapshot {
  readonly snapshotId: SnapshotId;
  readonly boxId: BoxId;
  readonly epoch: number;
  readonly kind: SnapshotKind;
  readonly withMemory: boolean;
  readonly spec: BoxSpec;
  readonly imageDigest: string;
  /** Hosts and VMMs that can restore its memory: QEMU version, machine, CPU, TSC rate. */
  readonly compatibility: string;
  /** Snapshot that this one's disks and memory came from, for incremental upload; null for none. */
  readonly parentId: SnapshotId | null;
  readonly identity: BoxIdentity;
  readonly createdAtMs: number;
  /** Absolute directory, and the names of the files in it that make up the snapshot. */
  readonly directory: string;
  readonly files: readonly string[];
  /** Bytes allocated on disk. */
  readonly allocatedBytes: number;
}

/** How much left a box by one network; a network that is made anew counts from 0 under another name. */
export interface Egress {
  readonly counter: string;
  readonly bytes: number;
}

/** What the guest renewed when it came up; shown to the user per fork. */
export interface RenewalReport {
  readonly renewed: readonly string[];
  readonly sshHostKey: string;
  readonly at: number;
}

export interface StartOptions {
  /** Asks the control plane's SSH CA for a host certificate of the given public key line. */
  readonly signHostKey: (publicKey: string) => Promise<string>;
  /** As for `authorizeKeys`, from the first moment on; none when left out. */
  readonly sshAuthorizedKeys?: readonly string[];
  readonly signal?: AbortSignal;
}

export interface StartResult {
  readonly how: "adopted" | "restored" | "booted";
  readonly renewal: RenewalReport;
  /** Milliseconds per phase (prepare, launch, restore, boot, renew). */
  readonly phases: Readonly<Record<string, number>>;
}

export interface ExecRequest {
  /** Program and arguments, not a shell string. */
  readonly argv: readonly string[];
  /** Linux user: dev or root. */
  readonly user: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly timeoutMs?: number;
}

export interface ExecResult {
  /** Exit code, or 128 + signal. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why a driver call failed, for the agent to report. Any other error is unexpected and retryable. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  readonly code:
    | "box_missing" // no such box here
    | "box_wrong_state" // not possible in the state it is in
    | "epoch_stale" // the host has a newer epoch of the box
    | "snapshot_missing" // not on this host
    | "snapshot_corrupt" // its bytes are not those that were frozen; refused before any vCPU ran
    | "snapshot_incompatible" // this host's VMM, machine or shape cannot restore its memory
    | "image_missing" // the base image is not on this host
    | "renewal_failed" // the guest did not acknowledge its identity
    | "guest_unreachable" // no answer from the guest in time
    | "disk_full"
    | "vmm_failed"; // the VMM refused or died
  readonly retryable: boolean;
  constructor(code: DriverError["code"], message: string, retryable: boolean) {
    super(message);
    this.code = code;
    this.retryable = retryable;
  }
}

/** Capacity and kind of this host, for the scheduler. */
export interface Fingerprint {
  readonly driver: "qemu" | "fake";
  readonly accelerator: "kvm" | "tcg" | "none";
  /** Why the accelerator was chosen; shown by doctor and status. */
  readonly acceleratorReason: string;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly diskGib: number;
  readonly gpus: number;
  readonly compatibility: string;
}

export interface Driver {
  fingerprint(): Promise<Fingerprint>;

  /** What survived: every box with anything on this host, by what the kernel and the disk say. */
  list(): Promise<HostBox[]>;

  inspect(boxId: BoxId): Promise<HostBox | null>;

  /**
   * Makes the box ready: prepares its files from `run.source` when it has none, starts the VMM when
   * there is none, renews the guest's identity for this epoch when it has not acknowledged it.
   * A box whose files are there but whose VMM is gone boots from its disks, with a notice.
   * Files of an older epoch are replaced when `run.source` can give newer ones, else adopted.
   * Fails closed: an unacknowledged renewal leaves the box `up`, never `ready`.
   */
  start(run: BoxRun, options: StartOptions): Promise<StartResult>;

  /**
   * Freezes RAM (when `withMemory`), devices and disks at one instant under the given id. Committed by one
   * rename; done already: returns the committed one. Kinds that release the compute end the VMM and
   * remove the box's files after the commit; the others let the box go on.
   * Without memory the box must be `down` (kind stop) or is flushed and frozen by the guest.
   */
  snapshot(
    boxId: BoxId,
    epoch: number,
    request: { snapshotId: SnapshotId; kind: SnapshotKind; withMemory: boolean },
  ): Promise<LocalSnapshot>;

  /** Lets a `frozen` box go on (its snapshot was given up). */
  thaw(boxId: BoxId, epoch: number): Promise<void>;

  /** Shuts the guest down, flushing its disks; ends the VMM when it takes over `timeoutMs`. */
  shutdown(boxId: BoxId, epoch: number, timeoutMs: number): Promise<void>;

  /** Ends the VMM and removes everything of the box from the host (not its snapshots). */
  destroy(boxId: BoxId): Promise<void>;

  listSnapshots(): Promise<LocalSnapshot[]>;
  /** Where to write a snapshot that comes from elsewhere; `commitSnapshot` makes it appear. */
  stageSnapshot(snapshotId: SnapshotId): Promise<string>;
  commitSnapshot(
    snapshot: Omit<LocalSnapshot, "directory" | "allocatedBytes">,
  ): Promise<LocalSnapshot>;
  removeSnapshot(snapshotId: SnapshotId): Promise<void>;

  /** Runs a program to its end in a `ready` box. Output over 1 MiB each is cut, with a mark. */
  exec(boxId: BoxId, request: ExecRequest): Promise<ExecResult>;

  /** A raw byte stream to a TCP port inside the box: 22 is its sshd, 1 its exec server. */
  connect(boxId: BoxId, epoch: number, port: number): Promise<Duplex>;

  /**
   * The exec server, opened for that one session and in at most that mode; whether there is such a session is
   * answered to the first frame (`attach`).
   */
  openSession(boxId: BoxId, epoch: number, sessionId: string, mode: SessionMode): Promise<Duplex>;

  /** What listens in a `ready` box, by port; Berth's own exec server is left out. */
  listeningPorts(boxId: BoxId, epoch: number): Promise<ListeningPort[]>;

  /** What left the box by the network that it has; null: it has none, or is here with another epoch. */
  egress(boxId: BoxId, epoch: number): Promise<Egress | null>;

  /** The SSH public key lines that enter as dev besides certificates; all others stop working for new logins. */
  authorizeKeys(boxId: BoxId, epoch: number, keys: readonly string[]): Promise<void>;

  /** Gives a `ready` box another certificate of its host key when its own is older; what is connected stays so. */
  certifyHostKey(
    boxId: BoxId,
    epoch: number,
    options: Pick<StartOptions, "signHostKey"> & { readonly olderThanMs: number },
  ): Promise<void>;

  /** The last bytes of the box's console (serial port), at most `maxBytes`. */
  console(boxId: BoxId, maxBytes: number): Promise<string>;

  /** Removes remains on the host that belong to no box (namespaces, cgroups, half-made directories). */
  sweep(): Promise<void>;

  close(): Promise<void>;
}
