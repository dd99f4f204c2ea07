// What a node and the control plane say to each other, over mTLS, always dialled by the node.
//
//   POST /node/v1/join           one-time join token + CSR -> node certificate (TLS without client certificate)
//   POST /node/v1/report         what is on the host        -> { ackRevision }  or 409 resync_needed
//   GET  /node/v1/assignments    ?since=REV&waitMs=N        -> full set when newer than REV, else 204
//   POST /node/v1/renew          CSR of a new key           -> node certificate, by the one that is still good
//   POST /node/v1/host-certificate  an SSH host key         -> its certificate
//
// Both directions carry full state under a revision; a lost message costs time, never truth. A
// report may carry only what changed since the last acknowledged one (`full: false`); the control plane
// answers 409 resync_needed when it does not know that base, and the node then sends everything.

import { z } from "zod";
import { DESIRED_STATES, HOST_STATES, SNAPSHOT_KINDS } from "#domain/box.ts";

// Numbers in reports have ranges, so that a node with a fault is refused by name and nothing of it is stored.
const INTEGER_MAX = 2 ** 31 - 1;
/** Of a box: counts its placements. 0: an instance of which the host does not know. */
const epochSchema = z.number().int().min(0).max(INTEGER_MAX);
const countSchema = z.number().int().min(0).max(INTEGER_MAX);
/** Up to 2^53 - 1, which int() is about. */
const bytesSchema = z.number().int().min(0);
const fractionSchema = z.number().min(0).max(1);
/** What a Date can hold. */
const timeMsSchema = z.number().min(0).max(8.64e15);

const specSchema = z.object({
  cpus: z.number().int().positive(),
  memoryMib: z.number().int().positive(),
  rootDiskGib: z.number().int().positive(),
  homeDiskGib: z.number().int().positive(),
  gpus: z.number().int().min(0).optional(),
});

const noticeSchema = z.object({ code: z.string(), message: z.string(), atMs: z.number() });

const portSchema = z.object({
  port: z.number().int().min(1).max(65_535),
  isLoopback: z.boolean(),
  program: z.string().nullable(),
});

const identitySchema = z.object({
  boxId: z.string(),
  hostName: z.string(),
  machineId: z.string(),
  sshUserCa: z.string(),
  sshPrincipals: z.array(z.string()),
  env: z.record(z.string(), z.string()),
});

const sourceSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("image"), imageDigest: z.string() }),
  z.object({ kind: z.literal("snapshot"), snapshotId: z.string(), withMemory: z.boolean() }),
]);

/** A snapshot that the control plane wants of a box; `snapshotId` makes it idempotent. */
export const wantedSnapshotSchema = z.object({
  snapshotId: z.string(),
  kind: z.enum(SNAPSHOT_KINDS),
  withMemory: z.boolean(),
});

/** Steps that turn a started box into a prebuild; run once, in order, as root or dev. */
export const buildSchema = z.object({
  steps: z.array(
    z.object({
      name: z.string(),
      user: z.enum(["root", "dev"]),
      argv: z.array(z.string()),
      timeoutMs: z.number().int().positive(),
    }),
  ),
});

export const assignmentSchema = z.object({
  boxId: z.string(),
  epoch: z.number().int().positive(),
  /** Generation of the intent that this assignment carries; reported back as observedGeneration. */
  generation: z.number().int().nonnegative(),
  desired: z.enum(DESIRED_STATES),
  /** A box that runs with a lower one is shut down and booted again (restart). */
  bootSerial: z.number().int().nonnegative(),
  spec: specSchema,
  imageDigest: z.string(),
  templateVersionId: z.string(),
  source: sourceSchema,
  identity: identitySchema,
  /** It ran on this node in this epoch: when nothing is left of it, that is a loss to be told. */
  ranHere: z.boolean(),
  /** The snapshot to come to rest as, when desired is paused or stopped. */
  restSnapshot: wantedSnapshotSchema.nullable(),
  /** Snapshots wanted while the box runs (fork, checkpoint, prebuild), oldest first. */
  wantedSnapshots: z.array(wantedSnapshotSchema),
  build: buildSchema.nullable(),
  /** Commands run as dev after a resume or a fork was renewed; failures are notices. */
  hooks: z.object({ onResume: z.string().nullable(), onFork: z.string().nullable() }),
  /** Public key lines that enter as dev besides certificates; others stop working for new logins. */
  sshAuthorizedKeys: z.array(z.string()).optional(),
});
export type Assignment = z.infer<typeof assignmentSchema>;

/** A snapshot as this node must keep it. Local snapshots not listed are removed. */
export const keptSnapshotSchema = z.object({
  snapshotId: z.string(),
  /** Upload it to the object store until durable. */
  upload: z.boolean(),
  /** Fetch it from the object store when it is not here. */
  fetch: z.boolean(),
  /** Object key of its manifest once durable. */
  manifestKey: z.string().nullable(),
  /** Organization that it belongs to: equal pages are stored once inside it. */
  scope: z.string(),
});
export type KeptSnapshot = z.infer<typeof keptSnapshotSchema>;

export const assignmentsSchema = z.object({
  revision: z.number().int().nonnegative(),
  boxes: z.array(assignmentSchema),
  snapshots: z.array(keptSnapshotSchema),
  /** Gateways to keep a connection to. */
  gateways: z.array(z.object({ url: z.string() })),
  /** Base images that boxes, snapshots or template versions need, on whatever node. */
  images: z.array(z.string()).optional(),
});
export type Assignments = z.infer<typeof assignmentsSchema>;

export const boxReportSchema = z.object({
  boxId: z.string(),
  epoch: epochSchema,
  state: z.enum(HOST_STATES),
  /** What the agent is doing to it now, in words a user reads: "restoring memory". Null at rest. */
  activity: z.string().nullable(),
  /** Intent that the agent has made true; equal to the assignment's when there is nothing left to do. */
  observedGeneration: z.number().int().min(-1),
  bootSerial: countSchema,
  /** Set when the last attempt failed: what, since when, how often, when the next try is. */
  fault: z
    .object({
      code: z.string(),
      message: z.string(),
      retryable: z.boolean(),
      attempts: countSchema,
      sinceMs: timeMsSchema,
      nextAttemptMs: timeMsSchema.nullable(),
    })
    .nullable(),
  notices: z.array(noticeSchema),
  renewal: z
    .object({ renewed: z.array(z.string()), sshHostKey: z.string(), at: z.number() })
    .nullable(),
  /** How this epoch came up, with milliseconds per phase; null before. */
  started: z
    .object({
      how: z.enum(["adopted", "restored", "booted"]),
      phases: z.record(z.string(), z.number()),
    })
    .nullable(),
  build: z
    .object({
      done: z.boolean(),
      step: z.string().nullable(),
      log: z.string(),
      error: z.string().nullable(),
    })
    .nullable(),
  /** What listens in it now, by port; null: it is not ready, or has not been asked yet. */
  ports: z.array(portSchema).nullable().optional(),
  /** How much left it by the network that the counter names, since that was made; a counter of an epoch only grows. */
  egress: z
    .object({ counter: z.string().min(1).max(100), bytes: bytesSchema })
    .nullable()
    .optional(),
});
export type BoxReport = z.infer<typeof boxReportSchema>;

export const snapshotReportSchema = z.object({
  snapshotId: z.string(),
  boxId: z.string(),
  epoch: epochSchema,
  kind: z.enum(SNAPSHOT_KINDS),
  withMemory: z.boolean(),
  compatibility: z.string(),
  parentId: z.string().nullable(),
  createdAtMs: timeMsSchema,
  allocatedBytes: bytesSchema,
  /** Object key of the manifest once every byte is in the object store; null before. */
  manifestKey: z.string().nullable(),
  /** Bytes that the upload added to the object store. */
  storedBytes: bytesSchema.nullable(),
  /** Upload progress 0..1, for display. */
  progress: fractionSchema,
  /** Last failure of its upload or of taking it; retried unless `failed`. */
  error: z.string().nullable(),
  failed: z.boolean(),
});
export type SnapshotReport = z.infer<typeof snapshotReportSchema>;

export const reportSchema = z.object({
  /** Random per agent process: a new session always starts with a full report. */
  session: z.string(),
  revision: z.number().int().positive(),
  full: z.boolean(),
  fingerprint: z
    .object({
      driver: z.enum(["qemu", "fake"]),
      accelerator: z.enum(["kvm", "tcg", "none"]),
      acceleratorReason: z.string(),
      cpus: countSchema.min(1),
      memoryMib: countSchema.min(1),
      diskGib: countSchema,
      gpus: countSchema,
      freeDiskGib: countSchema.nullable().optional(),
      compatibility: z.string(),
    })
    .nullable(),
  images: z.array(z.string()).nullable(),
  boxes: z.array(boxReportSchema),
  snapshots: z.array(snapshotReportSchema),
  /** Ids that the node no longer has, in a report that is not full. */
  goneBoxes: z.array(z.string()),
  goneSnapshots: z.array(z.string()),
});
export type Report = z.infer<typeof reportSchema>;

export const joinSchema = z.object({
  token: z.string(),
  name: z.string(),
  csrPem: z.string(),
  region: z.string(),
  labels: z.record(z.string(), z.string()),
});
export type JoinRequest = z.infer<typeof joinSchema>;

export const joinedSchema = z.object({
  nodeId: z.string(),
  certificatePem: z.string(),
  caPem: z.string(),
  objectStore: z.object({ kind: z.literal("directory"), path: z.string() }),
});
export type Joined = z.infer<typeof joinedSchema>;

export const renewSchema = z.object({ csrPem: z.string().max(16_384) });
export const renewedSchema = z.object({ certificatePem: z.string(), caPem: z.string() });

export const hostCertificateRequestSchema = z.object({
  boxId: z.string(),
  epoch: epochSchema,
  publicKey: z.string(),
});
export const hostCertificateSchema = z.object({ certificate: z.string() });
