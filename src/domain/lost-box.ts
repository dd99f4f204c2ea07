// What becomes of a box whose node is taken for lost: it runs again elsewhere from what is in the object store, or
// it waits for its node. Pure and total.

export interface KeptState {
  readonly snapshotId: string;
  readonly withMemory: boolean;
  readonly isDurable: boolean;
}

export interface LostBoxFacts {
  /** Its node said that it was there in this epoch. */
  readonly cameUp: boolean;
  /** A snapshot that releases it was asked of its node. */
  readonly isComingToRest: boolean;
  /** What this epoch began from; null: its image. */
  readonly source: KeptState | null;
  /** The newest snapshot of the box itself that is durable. */
  readonly lastDurable: KeptState | null;
}

export type LostBoxVerdict =
  | { readonly do: "wait"; readonly why: string }
  | {
      readonly do: "restart";
      /** Null: from its image. */
      readonly from: KeptState | null;
      /** What ran on the lost node is not in it: to be told, and kept when the node comes back. */
      readonly loses: boolean;
    };

export function judgeLostBox(box: LostBoxFacts): LostBoxVerdict {
  if (box.isComingToRest)
    return wait("it was coming to rest: its snapshot may be complete on its node");
  if (!box.cameUp) {
    if (box.source && !box.source.isDurable)
      return wait("what it starts from is not in the object store");
    return { do: "restart", from: box.source, loses: false };
  }
  // Its template's prebuild is durable too, but has nothing of what its owner did: worse than to wait.
  if (!box.lastDurable?.isDurable) return wait("no snapshot of it is in the object store");
  return { do: "restart", from: box.lastDurable, loses: true };
}

function wait(why: string): LostBoxVerdict {
  return { do: "wait", why };
}
