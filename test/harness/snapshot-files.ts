// Snapshots made of plain buffers, for tests of the object room: written to a scratch directory and read back.

import { mkdir, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Failpoints } from "#lib/failpoint.ts";
import { DIGESTS_FILE } from "#lib/page-digests.ts";
import { type FetchResult, fetchFiles } from "#objects/fetch.ts";
import type { ObjectStore } from "#objects/store.ts";
import { type UploadInput, type UploadResult, upload } from "#objects/upload.ts";

export type Files = Readonly<Record<string, Buffer>>;

export class SnapshotFiles {
  readonly root: string;
  readonly store: ObjectStore;
  readonly failpoints = new Failpoints();
  #fetches = 0;

  constructor(root: string, store: ObjectStore) {
    this.root = root;
    this.store = store;
  }

  static async make(t: TestContext | null, store: ObjectStore): Promise<SnapshotFiles> {
    const root = await mkdtemp(join(tmpdir(), "berth-snapshot-"));
    t?.after(() => rm(root, { recursive: true, force: true }));
    return new SnapshotFiles(root, store);
  }

  get ports() {
    return { store: this.store, failpoints: this.failpoints, onProgress: () => {} };
  }

  /** Writes the files, as the driver would have frozen them: runs of zero pages stay holes. */
  async write(snapshotId: string, files: Files): Promise<UploadInput> {
    const directory = join(this.root, snapshotId);
    await mkdir(directory, { recursive: true });
    for (const [name, bytes] of Object.entries(files)) {
      const handle = await open(join(directory, name), "w");
      await handle.truncate(bytes.length);
      for (let at = 0; at < bytes.length; at += 4096) {
        const page = bytes.subarray(at, at + 4096);
        if (page.some((byte) => byte !== 0)) await handle.write(page, 0, page.length, at);
      }
      await handle.close();
    }
    return {
      snapshotId,
      directory,
      files: Object.keys(files),
      scope: "org_test",
      parentManifestKey: null,
      meta: { snapshotId, note: "ünï" },
    };
  }

  async upload(
    snapshotId: string,
    files: Files,
    more: Partial<UploadInput> = {},
  ): Promise<UploadResult> {
    const input = await this.write(snapshotId, files);
    return upload({ ...input, ...more }, this.ports);
  }

  async fetch(manifestKey: string): Promise<{ files: Files; result: FetchResult }> {
    this.#fetches += 1;
    const directory = join(this.root, `fetched-${this.#fetches}`);
    try {
      const result = await fetchFiles({ manifestKey, directory }, this.ports);
      return { files: await readFiles(directory), result };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** Every file in a directory but the digests. */
export async function readFiles(directory: string): Promise<Files> {
  const names = (await readdir(directory)).filter((name) => name !== DIGESTS_FILE).sort();
  const entries = names.map(async (name) => [name, await readFile(join(directory, name))] as const);
  return Object.fromEntries(await Promise.all(entries));
}
