// What an upload in progress relies on, written down in the store so that garbage collection leaves it alone.
// The protocol between the two, and why it is safe, stands in gc.ts.

import { CONDEMNED_PREFIX, uploadKeyOf } from "#objects/keys.ts";
import { SnapshotError } from "#objects/snapshot-error.ts";
import type { ObjectStore } from "#objects/store.ts";
import { isStoreError, listAll } from "#objects/store.ts";

export interface IntentBody {
  /** Manifests that are needed, with their trees as long as they are there. */
  readonly manifests: readonly string[];
  /** Packs that are needed, and layers, whose packs are needed too. */
  readonly objects: readonly string[];
}

export class UploadIntent {
  readonly #store: ObjectStore;
  readonly #key: string;
  readonly #manifests: string[] = [];
  readonly #objects = new Set<string>();
  /** Writes go one after another: an older body must not replace a newer one. */
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(store: ObjectStore, snapshotId: string) {
    this.#store = store;
    this.#key = uploadKeyOf(snapshotId);
  }

  /** False when a collection is about to delete it: then it must not be relied on. */
  async relyOnManifest(key: string): Promise<boolean> {
    this.#manifests.push(key);
    return this.#announced([key]);
  }

  /** As relyOnManifest, for a pack or a layer. Call it before the object is looked for or stored. */
  async relyOnObject(key: string): Promise<boolean> {
    this.#objects.add(key);
    return this.#announced([key]);
  }

  /**
   * The parent's layers and the packs that they name. The manifest alone would not do: its snapshot may be deleted
   * while we upload.
   */
  async relyOnLayers(layers: readonly string[], packs: readonly string[]): Promise<boolean> {
    for (const key of layers) this.#objects.add(key);
    return this.#announced([...layers, ...packs]);
  }

  /** First write, then look: whichever of us and a collection comes second sees the other. */
  async #announced(keys: readonly string[]): Promise<boolean> {
    const body: IntentBody = { manifests: this.#manifests, objects: [...this.#objects] };
    const bytes = Buffer.from(JSON.stringify(body));
    const write = this.#lastWrite.then(() => this.#store.put(this.#key, bytes));
    this.#lastWrite = write.catch(() => {});
    await write;
    const condemned = await readCondemned(this.#store);
    return !keys.some((key) => condemned.has(key));
  }

  /** Just before the manifest: an intent that was collected no longer protects what we stored. */
  async assertHeld(): Promise<void> {
    if (!(await this.#store.head(this.#key)))
      throw new SnapshotError("upload_expired", this.#key, "was collected; start the upload again");
  }

  async release(): Promise<void> {
    await this.#store.delete(this.#key);
  }
}

export async function readIntent(store: ObjectStore, key: string): Promise<IntentBody | null> {
  try {
    return JSON.parse((await store.get(key)).toString()) as IntentBody;
  } catch (error) {
    if (isStoreError(error, "not_found")) return null;
    throw error;
  }
}

async function readCondemned(store: ObjectStore): Promise<Set<string>> {
  const keys = new Set<string>();
  for await (const { key } of listAll(store, CONDEMNED_PREFIX)) {
    try {
      for (const doomed of (await store.get(key)).toString().split("\n")) keys.add(doomed);
    } catch (error) {
      if (!isStoreError(error, "not_found")) throw error;
    }
  }
  return keys;
}
