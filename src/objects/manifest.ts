// The manifest: one small object per snapshot that names its files, the layers of its page table and its metadata.
// Text, so that an operator can read it: a line `berth-snapshot 1 <sha256 of the rest>`, then JSON.
// It is written last; a snapshot without one does not exist.

import { hash } from "node:crypto";
import { DIGESTS_FILE } from "#lib/page-digests.ts";
import { SnapshotError } from "#objects/snapshot-error.ts";
import type { ObjectStore } from "#objects/store.ts";
import { isStoreError } from "#objects/store.ts";

const VERSION = 1;

export interface ManifestFile {
  readonly name: string;
  readonly size: number;
  /** SHA-256 over the digests of all its pages in order. */
  readonly pagesSha256: string;
}

export interface LayerRef {
  readonly key: string;
  readonly bytes: number;
  readonly entries: number;
}

export interface Manifest {
  readonly snapshotId: string;
  /** The snapshot as its host described it. */
  readonly meta: unknown;
  readonly files: readonly ManifestFile[];
  /** Oldest first. */
  readonly layers: readonly LayerRef[];
  readonly parentManifestKey: string | null;
  /** What this snapshot added to the store: bytes of packs and layers, and pages in those packs. */
  readonly addedBytes: number;
  readonly newPages: number;
}

export function encodeManifest(manifest: Manifest): Buffer {
  const body = `${JSON.stringify(manifest, null, 1)}\n`;
  return Buffer.from(`berth-snapshot ${VERSION} ${hash("sha256", body)}\n${body}`);
}

export function decodeManifest(key: string, bytes: Buffer): Manifest {
  const end = bytes.indexOf("\n");
  const [word, version, sha256] = bytes.subarray(0, Math.max(end, 0)).toString().split(" ");
  if (word !== "berth-snapshot") throw new SnapshotError("corrupt", key, "is not a manifest");
  if (version !== String(VERSION))
    throw new SnapshotError(
      "corrupt",
      key,
      `has version ${version}; this Berth reads ${VERSION}. Update Berth, or check the object`,
    );
  const body = bytes.subarray(end + 1);
  if (hash("sha256", body) !== sha256)
    throw new SnapshotError("corrupt", key, "does not have its digest: bytes changed or are lost");
  return JSON.parse(body.toString()) as Manifest;
}

/** Throws `missing` or `corrupt`. */
export async function readManifest(store: ObjectStore, key: string): Promise<Manifest> {
  return decodeManifest(key, await getOrMissing(store, key));
}

/** An object that a snapshot needs: its absence is the snapshot's fault and not the store's. */
export async function getOrMissing(store: ObjectStore, key: string): Promise<Buffer> {
  return store.get(key).catch((error: unknown) => throwMissing(error, key));
}

export async function rangeOrMissing(
  store: ObjectStore,
  key: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  return store.getRange(key, offset, length).catch((error: unknown) => throwMissing(error, key));
}

function throwMissing(error: unknown, key: string): never {
  if (isStoreError(error, "not_found"))
    throw new SnapshotError("missing", key, "is not in the object store");
  throw error;
}

/** Names in a manifest become names on a host. */
export function assertFileName(subject: string, name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) || name.startsWith(DIGESTS_FILE))
    throw new SnapshotError("corrupt", subject, `names a file '${name}', which is not allowed`);
}
