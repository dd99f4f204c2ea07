// The words of a box's life, as the control plane, the agents and the drivers share them.

import type { BoxId, SnapshotId, TemplateVersionId } from "./ids.ts";

/** What the user wants of a box. `deleted` is final. */
export const DESIRED_STATES = ["running", "paused", "stopped", "deleted"] as const;
export type DesiredState = (typeof DESIRED_STATES)[number];

/** Size and shape of a box; fixed when the box is created. */
export interface BoxSpec {
  readonly cpus: number;
  readonly memoryMib: number;
  readonly rootDiskGib: number;
  readonly homeDiskGib: number;
  /** None when left out. */
  readonly gpus?: number | undefined;
}

/**
 * What a host has of a box, read from the host and never from memory.
 * - `absent`: nothing, or only remains of an unfinished preparation
 * - `down`: files are complete, no VMM process (it crashed, was killed, or shut down)
 * - `up`: the VMM runs; the guest has not yet acknowledged the renewal of its identity for this epoch
 * - `ready`: the guest acknowledged; the box can be used
 * - `frozen`: the VMM is stopped in the middle of a snapshot that was not committed
 */
export const HOST_STATES = ["absent", "down", "up", "ready", "frozen"] as const;
export type HostState = (typeof HOST_STATES)[number];

/**
 * Where a box's first bytes on a host come from.
 * - `image`: boot a fresh root overlay on the template's base image
 * - `snapshot` with memory: restore RAM and devices; a box with another identity than the
 *   snapshot's is a fork and gets a new identity
 * - `snapshot` without memory: boot from the snapshot's disks
 */
export type BoxSource =
  | { readonly kind: "image"; readonly imageDigest: string }
  | { readonly kind: "snapshot"; readonly snapshotId: SnapshotId; readonly withMemory: boolean };

/** What the guest is told to be. Delivered and acknowledged before any tenant code runs. */
export interface BoxIdentity {
  readonly boxId: BoxId;
  readonly hostName: string;
  /** 32 lowercase hexadecimal characters, as in /etc/machine-id. */
  readonly machineId: string;
  /** OpenSSH public key line of the user CA that the box's sshd trusts. */
  readonly sshUserCa: string;
  /** Principals an SSH user certificate must carry to enter as user dev. */
  readonly sshPrincipals: readonly string[];
  /** Environment of the template and the box, for login shells and exec. */
  readonly env: Readonly<Record<string, string>>;
}

/** Everything a node needs to run one box: the assignment's unchanging part for one epoch. */
export interface BoxRun {
  readonly boxId: BoxId;
  /** Incarnation; every placement increments it. Effects on a node are keyed by (box, epoch). */
  readonly epoch: number;
  /** A box that was started with a lower one is to boot again (restart). The host records it. */
  readonly bootSerial: number;
  readonly spec: BoxSpec;
  readonly imageDigest: string;
  readonly source: BoxSource;
  readonly identity: BoxIdentity;
  readonly templateVersionId: TemplateVersionId;
}

/** Why a snapshot is taken. `pause` and `stop` release the compute; the others leave it running. */
export const SNAPSHOT_KINDS = ["pause", "stop", "fork", "checkpoint", "prebuild"] as const;
export type SnapshotKind = (typeof SNAPSHOT_KINDS)[number];

export function releasesCompute(kind: SnapshotKind): boolean {
  return kind === "pause" || kind === "stop";
}

/** A condition the user should see on a box although it is not a state. */
export interface Notice {
  readonly code:
    | "emulated" // no hardware virtualization: slow, and not a security boundary
    | "vmm_died" // the VMM was killed or crashed; the box booted again from its disks
    | "memory_lost" // a restore fell back from memory to disk
    | "restored_from" // its node was lost: it runs again from an older snapshot
    | "guest_shut_down" // the guest powered itself off
    | "renewal_failed" // the guest did not acknowledge its identity
    | "snapshot_failed"
    | "state_lost" // nothing was left of a box that ran here: it began again from its source
    | "hook_failed"
    | "budget_spent"; // paused, because the budget that pays for it is spent
  readonly message: string;
  readonly atMs: number;
}

/** The one word a user sees for a box; computed by domain/phase.ts, never stored. */
export const PHASES = [
  "creating",
  "starting",
  "running",
  "pausing",
  "paused",
  "resuming",
  "stopping",
  "stopped",
  "deleting",
  "deleted",
  "failed",
] as const;
export type Phase = (typeof PHASES)[number];

/** Who may reach a preview, from few to all. */
export const VISIBILITIES = ["private", "org", "public"] as const;
export type Visibility = (typeof VISIBILITIES)[number];

/** A TCP port that something in the box listens on. */
export interface ListeningPort {
  readonly port: number;
  /** Only on the box's loopback: a door reaches it all the same. */
  readonly isLoopback: boolean;
  /** Name of the program, as far as the guest can tell. */
  readonly program: string | null;
}
