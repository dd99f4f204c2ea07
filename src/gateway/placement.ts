// Whether a node may serve a placement of a box, by what the control plane said last. A node is believed about its own
// boxes only: one that was cut off and replaced, or that speaks for a box of another's, leads nobody astray.

import type { Known } from "./known.ts";
import type { Announced } from "./routes.ts";

/**
 * A newer placement than is known counts while the control plane is not heard here: others may hear it. While it is
 * heard, such a placement is about to be told, or is not true.
 */
export function mayServe(known: Known, { boxId, epoch }: Announced, nodeId: string): boolean {
  const box = known.box(boxId);
  if (!box) return true; // Made this moment, or no user's. Who asks for it must show a ticket that names it.
  if (epoch === box.epoch) return nodeId === box.nodeId;
  return epoch > box.epoch && !known.isHeard;
}
