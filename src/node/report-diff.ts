// Reports by revision: what changed since the last acknowledged one, or everything. A report that
// was not acknowledged is followed by a full one, so a lost message costs time and never truth.

import type { BoxReport, Report, SnapshotReport } from "#contract/node-protocol.ts";

export interface Facts {
  readonly fingerprint: NonNullable<Report["fingerprint"]>;
  readonly images: readonly string[];
  readonly boxes: readonly BoxReport[];
  readonly snapshots: readonly SnapshotReport[];
}

interface Acked {
  readonly host: string;
  readonly boxes: ReadonlyMap<string, string>;
  readonly snapshots: ReadonlyMap<string, string>;
}

export class ReportLog {
  readonly #session: string;
  #revision = 0;
  #acked: Acked | null = null;
  #sent: Acked | null = null;

  constructor(session: string) {
    this.#session = session;
  }

  /** The next report; null when nothing changed and `isBeat` does not ask for one all the same. */
  next(facts: Facts, isBeat: boolean): Report | null {
    const { fingerprint, images } = facts;
    const now: Acked = {
      host: JSON.stringify([fingerprint, images]),
      boxes: new Map(facts.boxes.map((box) => [box.boxId, JSON.stringify(box)])),
      snapshots: new Map(facts.snapshots.map((one) => [one.snapshotId, JSON.stringify(one)])),
    };
    const acked = this.#acked;
    const boxes = facts.boxes.filter(
      ({ boxId }) => acked?.boxes.get(boxId) !== now.boxes.get(boxId),
    );
    const snapshots = facts.snapshots.filter(
      ({ snapshotId }) => acked?.snapshots.get(snapshotId) !== now.snapshots.get(snapshotId),
    );
    const goneBoxes = missing(acked?.boxes, now.boxes);
    const goneSnapshots = missing(acked?.snapshots, now.snapshots);
    const tellsHost = acked?.host !== now.host;
    const changes = boxes.length + snapshots.length + goneBoxes.length + goneSnapshots.length;
    if (acked && changes === 0 && !tellsHost && !isBeat) return null;
    this.#sent = now;
    this.#revision += 1;
    return {
      session: this.#session,
      revision: this.#revision,
      full: acked === null,
      fingerprint: tellsHost ? fingerprint : null,
      images: tellsHost ? [...images] : null,
      boxes,
      snapshots,
      goneBoxes,
      goneSnapshots,
    };
  }

  acknowledged(): void {
    this.#acked = this.#sent;
  }

  /** Whether it arrived is not known, or the control plane asks for it: the next one is full. */
  lost(): void {
    this.#acked = null;
  }
}

function missing(
  before: ReadonlyMap<string, string> | undefined,
  now: ReadonlyMap<string, string>,
): string[] {
  return before ? [...before.keys()].filter((id) => !now.has(id)) : [];
}
