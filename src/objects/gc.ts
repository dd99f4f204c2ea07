// Garbage collection of the object store: deletes what no live snapshot needs.
//
// Roots are the manifests that the control plane says are live, every manifest younger than the grace (an upload
// may have committed and not yet be known), and what uploads in progress have written down
// (`uploads/<snapshot id>`: manifests and objects they rely on).
//
// The danger is an upload that relies on an object (its parent's, or one that an earlier attempt left)
// just as it is deleted. Age alone does not help: such an object is old. So both sides announce first and
// look second, as two people at a narrow bridge:
//   upload:      writes the key into its intent, then reads the condemned lists; a key found there is not
//                relied on (the parent is given up; a pack gets another name by a few salt bytes)
//   collection:  writes the condemned list, then reads the intents and the young manifests; what they
//                need is spared
// Whichever comes second sees the other. The store must read its own writes, as S3 and a directory do.
//
// A crash leaves a condemned list, which only makes uploads careful; it is removed by a later run when
// older than the grace. Deletion goes from manifests to layers to packs, so what is left of an
// interrupted run is never a manifest that names what is gone. An intent older than the grace belongs to
// an upload that died: its upload would notice (UploadIntent.assertHeld). A run that has taken longer
// than half the grace stops, because its list may be removed soon.

import { randomBytes } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import type { Failpoints } from "#lib/failpoint.ts";
import {
  CONDEMNED_PREFIX,
  PACKS_PREFIX,
  SNAPSHOTS_PREFIX,
  TABLES_PREFIX,
  UPLOADS_PREFIX,
} from "#objects/keys.ts";
import { rangeOrMissing, readManifest } from "#objects/manifest.ts";
import { SnapshotError } from "#objects/snapshot-error.ts";
import type { ObjectInfo, ObjectStore } from "#objects/store.ts";
import { listAll } from "#objects/store.ts";
import { decodeLayerHeader, headerEnd } from "#objects/table-layer.ts";
import { readIntent } from "#objects/upload-intent.ts";

export interface CollectOptions {
  readonly store: ObjectStore;
  /** Manifests of all snapshots that may still be wanted. Read them from the database before the call. */
  readonly liveManifestKeys: readonly string[];
  /** Longer than any upload takes between two packs, and than an agent may be silent. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
}

export interface CollectResult {
  readonly deletedObjects: number;
  readonly deletedBytes: number;
  /** Why nothing was deleted: a live snapshot whose needs could not be read. */
  readonly problems: readonly string[];
}

const HEADER_READ_BYTES = 64 << 10;

export async function collectGarbage(options: CollectOptions): Promise<CollectResult> {
  const { store, clock, failpoints, graceMs } = options;
  const startedMs = clock.monotonicMs();
  const isOld = (info: ObjectInfo): boolean => info.modifiedMs < clock.nowMs() - graceMs;
  await removeExpired(store, isOld);

  // Candidates first, roots second: what is stored after this line is not a candidate.
  const old = await listOld(store, isOld);
  const reach = new Reach(store);
  for (const key of options.liveManifestKeys) await reach.addManifest(key, true);
  await addUploads(store, reach, isOld);
  if (reach.problems.length > 0)
    return { deletedObjects: 0, deletedBytes: 0, problems: reach.problems };

  const condemned = old.filter(({ key }) => !reach.keys.has(key));
  if (condemned.length === 0) return { deletedObjects: 0, deletedBytes: 0, problems: [] };
  const listKey = `${CONDEMNED_PREFIX}${randomBytes(8).toString("hex")}`;
  await store.put(listKey, Buffer.from(condemned.map(({ key }) => key).join("\n")));
  await failpoints.hit("objects.gc.condemned");
  await addUploads(store, reach, isOld);
  const doomed = reach.problems.length > 0 ? [] : condemned.filter((c) => !reach.keys.has(c.key));
  let deletedObjects = 0;
  let deletedBytes = 0;
  for (const { key, bytes } of doomed) {
    if (clock.monotonicMs() - startedMs > graceMs / 2) break;
    await store.delete(key);
    await failpoints.hit("objects.gc.deleted");
    deletedObjects += 1;
    deletedBytes += bytes;
  }
  await store.delete(listKey);
  return { deletedObjects, deletedBytes, problems: reach.problems };
}

/** Intents of dead uploads and lists of dead collections. */
async function removeExpired(
  store: ObjectStore,
  isOld: (info: ObjectInfo) => boolean,
): Promise<void> {
  for (const prefix of [UPLOADS_PREFIX, CONDEMNED_PREFIX])
    for await (const info of listAll(store, prefix)) if (isOld(info)) await store.delete(info.key);
}

/** In the order in which they may be deleted. */
async function listOld(
  store: ObjectStore,
  isOld: (info: ObjectInfo) => boolean,
): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for (const prefix of [SNAPSHOTS_PREFIX, TABLES_PREFIX, PACKS_PREFIX])
    for await (const info of listAll(store, prefix)) if (isOld(info)) found.push(info);
  return found;
}

/** Intents before manifests: an upload writes its manifest before it takes its intent away. */
async function addUploads(
  store: ObjectStore,
  reach: Reach,
  isOld: (info: ObjectInfo) => boolean,
): Promise<void> {
  for await (const { key } of listAll(store, UPLOADS_PREFIX)) {
    const intent = await readIntent(store, key);
    // What is not there (yet, or any more) is no problem: the upload finds out by itself.
    for (const object of intent?.objects ?? []) await reach.addObject(object);
    for (const manifest of intent?.manifests ?? []) await reach.addManifest(manifest, false);
  }
  for await (const info of listAll(store, SNAPSHOTS_PREFIX))
    if (!isOld(info)) await reach.addManifest(info.key, false);
}

/** Everything that the manifests given so far need. */
class Reach {
  readonly keys = new Set<string>();
  readonly problems: string[] = [];
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async addManifest(key: string, required: boolean): Promise<void> {
    await this.#noting(required, async () => {
      const { layers } = await readManifest(this.#store, key);
      for (const layer of layers) await this.#addLayer(layer.key);
      this.keys.add(key);
    });
  }

  async addObject(key: string): Promise<void> {
    if (key.startsWith(TABLES_PREFIX)) await this.#noting(false, () => this.#addLayer(key));
    else this.keys.add(key);
  }

  async #noting(required: boolean, add: () => Promise<void>): Promise<void> {
    try {
      await add();
    } catch (error) {
      if (!(error instanceof SnapshotError)) throw error;
      if (error.code === "missing" && !required) return;
      this.problems.push(error.message);
    }
  }

  async #addLayer(key: string): Promise<void> {
    if (this.keys.has(key)) return;
    let bytes = await rangeOrMissing(this.#store, key, 0, HEADER_READ_BYTES);
    const end = headerEnd(key, bytes);
    if (end > bytes.length) bytes = await rangeOrMissing(this.#store, key, 0, end);
    for (const pack of decodeLayerHeader(key, bytes).packs) this.keys.add(pack.key);
    this.keys.add(key);
  }
}
