// What can be wrong with a snapshot in the object store or on the disk, in a form that survives a worker.

export type SnapshotErrorCode =
  | "corrupt" // bytes in the store are not those that were stored
  | "missing" // an object that the snapshot needs is gone
  | "conflict" // the manifest's key holds another snapshot
  | "local_changed" // the files on this host are not those that were frozen
  | "upload_expired"; // garbage collection gave the upload up; start it again

export class SnapshotError extends Error {
  override readonly name = "SnapshotError";
  readonly code: SnapshotErrorCode;
  /** The object or file that is at fault. */
  readonly subject: string;
  constructor(code: SnapshotErrorCode, subject: string, message: string) {
    super(`${subject}: ${message}`);
    this.code = code;
    this.subject = subject;
  }
}
