// Snapshots to and from the object store, in worker threads: the agent's own thread only moves bytes.

import type { Failpoints } from "#lib/failpoint.ts";
import type { Transfers } from "#node/snapshot-keeper.ts";
import { fetchSnapshot, uploadSnapshot } from "#objects/snapshots.ts";
import type { ObjectStore } from "#objects/store.ts";

export function workerTransfers(store: ObjectStore, failpoints: Failpoints): Transfers {
  return {
    upload: (input, options) => uploadSnapshot(input, { store, failpoints, ...options }),
    fetch: (input, options) => fetchSnapshot(input, { store, failpoints, ...options }),
  };
}
