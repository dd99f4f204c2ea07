// Where each kind of object lies in the store.
//
//   snapshots/<snapshot id>/manifest   names everything else; written last
//   tables/<scope>/<sha256>            layers of page tables
//   packs/<scope>/<sha256>             blocks of pages
//   uploads/<snapshot id>              what an upload in progress relies on (see gc.ts)
//   audit/<chain>/<seq>                a signed head of an audit chain; never written again
//   audit/<chain>/newest               the newest of these
//   condemned/<run>                    what a collection in progress is about to delete (see gc.ts)
//
// A scope is an organization or "all": equal pages are shared inside a scope and never across, so that
// nobody can learn from the store whether another tenant has the same page.

export const SNAPSHOTS_PREFIX = "snapshots/";
export const TABLES_PREFIX = "tables/";
export const PACKS_PREFIX = "packs/";
export const UPLOADS_PREFIX = "uploads/";
const AUDIT_PREFIX = "audit/";
export const CONDEMNED_PREFIX = "condemned/";

export function manifestKeyOf(snapshotId: string): string {
  return `${SNAPSHOTS_PREFIX}${snapshotId}/manifest`;
}

export function tableKeyOf(scope: string, sha256: string): string {
  return `${TABLES_PREFIX}${scope}/${sha256}`;
}

export function packKeyOf(scope: string, sha256: string): string {
  return `${PACKS_PREFIX}${scope}/${sha256}`;
}

export function uploadKeyOf(snapshotId: string): string {
  return `${UPLOADS_PREFIX}${snapshotId}`;
}

/** Written once, and in the order of the chain when listed. */
export function auditHeadKeyOf(chain: string, seq: number): string {
  return `${AUDIT_PREFIX}${chain}/${String(seq).padStart(16, "0")}`;
}

export function auditNewestKeyOf(chain: string): string {
  return `${AUDIT_PREFIX}${chain}/newest`;
}

/** The digest that a content-addressed key ends in. */
export function sha256Of(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}
