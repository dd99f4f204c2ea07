// The object store as the rest of Berth sees it, shaped for S3: whole objects under string keys,
// create-only puts, listing in key order. Drivers pass test/harness/object-store-suite.ts.

export type StoreErrorCode = "not_found" | "precondition_failed" | "unavailable" | "no_space";

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  readonly key: string;
  constructor(code: StoreErrorCode, key: string, message: string) {
    super(message);
    this.code = code;
    this.key = key;
  }
}

export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
  /** When it was last written, by the store's clock. */
  readonly modifiedMs: number;
}

export interface ObjectPage {
  readonly objects: readonly ObjectInfo[];
  /** Pass it to the next `list`; null at the end. */
  readonly cursor: string | null;
}

export interface ObjectStore {
  /**
   * Stores the whole object at once: a reader sees all of it or nothing, and when it returned the
   * bytes survive a power cut. With `ifNoneMatch`, an existing object is left alone and
   * `precondition_failed` is thrown. A full disk throws `no_space` and leaves nothing.
   */
  put(key: string, bytes: Uint8Array, options?: { readonly ifNoneMatch?: boolean }): Promise<void>;
  /** The bytes are the caller's to change or to give away. Throws `not_found`. */
  get(key: string): Promise<Buffer>;
  /** Bytes from `offset`, fewer than `length` when the object ends before. Throws `not_found`. */
  getRange(key: string, offset: number, length: number): Promise<Buffer>;
  /** Null when there is none. */
  head(key: string): Promise<ObjectInfo | null>;
  /** Objects whose key starts with `prefix`, in the order of their keys' bytes. */
  list(prefix: string, cursor?: string | null): Promise<ObjectPage>;
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>;
}

/** Every object under a prefix, page after page. */
export async function* listAll(store: ObjectStore, prefix: string): AsyncGenerator<ObjectInfo> {
  let cursor: string | null = null;
  do {
    const page: ObjectPage = await store.list(prefix, cursor);
    yield* page.objects;
    cursor = page.cursor;
  } while (cursor !== null);
}

export function isStoreError(error: unknown, code: StoreErrorCode): boolean {
  return error instanceof StoreError && error.code === code;
}
