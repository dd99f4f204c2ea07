// What users and guests of the simulation know for certain, and what must therefore hold whatever dies.
// A tenant writes one number after the other to memory and to disk; no number is used twice.

import type { FakeBox } from "#drivers/fake/host.ts";
import type { BoxView } from "#store/box-view.ts";

export const TENANT_MEMORY = "/dev/shm/tenant";
export const TENANT_DISK = "/home/dev/tenant";

/** What a snapshot may hold: any number of `boxId` from the moment that it was asked to the one it was taken. */
export interface Origin {
  readonly boxId: string;
  readonly from: number;
  to: number;
}

export class BoxModel {
  readonly boxId: string;
  /** The last number that the guest was told is on disk; null before the first. */
  written: number | null = null;
  /** Every number that was ever on its disk. */
  readonly history = new Set<number>();
  /** Its memory holds the number too, as far as we know. */
  hasMemory = false;
  /** A stop or a restart was asked in this epoch: memory may go, until a later epoch was seen. */
  losingEpoch = -1;
  /** Where its next epoch may come from besides itself: a fork's parent, a checkpoint. */
  origins: Origin[];
  /** Newest epoch in which it was seen executing. */
  seenEpoch = 0;
  generation = 0;
  epoch = 0;
  observedGeneration = -1;
  isDeleted = false;

  constructor(boxId: string, origins: Origin[]) {
    this.boxId = boxId;
    this.origins = origins;
  }

  /** What a snapshot that is asked for now may come to hold. */
  originNow(): Origin[] {
    const own = { boxId: this.boxId, from: this.written ?? 0, to: Number.POSITIVE_INFINITY };
    return [own, ...this.origins.map((origin) => ({ ...origin }))];
  }

  wrote(value: number): void {
    this.written = value;
    this.history.add(value);
    this.hasMemory = true;
  }

  /** Looks at a guest that executes; returns what is wrong with what it remembers. */
  seen(box: FakeBox, models: ReadonlyMap<string, BoxModel>): string | null {
    const { epoch } = box.run;
    if (epoch < this.seenEpoch) return `epoch ${epoch} runs after ${this.seenEpoch}`;
    const disk = numberOf(box.disk[TENANT_DISK]);
    const memory = numberOf(box.memory[TENANT_MEMORY]);
    const isNew = epoch > this.seenEpoch;
    const isOwn = disk === this.written && (this.seenEpoch > 0 || this.origins.length === 0);
    const isOthers = isNew && this.origins.some((origin) => holds(origin, disk, models));
    let problem: string | null = null;
    if (memory !== null && memory !== disk)
      problem = `memory has ${memory} and disk has ${disk}: not of one instant`;
    else if (!isOwn && !isOthers) problem = `disk has ${disk}, ${this.written} was acknowledged`;
    else if (isOwn && memory === null && this.hasMemory && this.losingEpoch < 0 && !isOthers)
      problem = `its memory is gone, ${disk} was in it`;
    if (epoch > this.losingEpoch) this.losingEpoch = -1;
    if (isNew || memory === null) this.hasMemory = memory !== null;
    if (isNew) {
      this.seenEpoch = epoch;
      this.origins = [];
      this.written = disk;
      if (disk !== null) this.history.add(disk);
    }
    return problem;
  }

  /** Compares what the API says with what it said before. */
  heard(view: BoxView): string | null {
    const isBack =
      view.generation < this.generation ||
      view.epoch < this.epoch ||
      (view.epoch === this.epoch && view.observedGeneration < this.observedGeneration) ||
      (this.isDeleted && view.phase !== "deleted");
    const problem = isBack
      ? `went back: generation ${this.generation} to ${view.generation}, epoch ${this.epoch} to ${view.epoch}, observed ${this.observedGeneration} to ${view.observedGeneration}, ${view.phase}`
      : null;
    this.generation = view.generation;
    this.epoch = view.epoch;
    this.observedGeneration = view.observedGeneration;
    this.isDeleted ||= view.phase === "deleted";
    return problem;
  }
}

function holds(
  { boxId, from, to }: Origin,
  disk: number | null,
  models: ReadonlyMap<string, BoxModel>,
): boolean {
  if (disk === null) return from === 0;
  return disk >= from && disk <= to && models.get(boxId)?.history.has(disk) === true;
}

function numberOf(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}
