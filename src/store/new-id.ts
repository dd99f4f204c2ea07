// New ids, from the system's random source.

import { randomBytes, randomFillSync } from "node:crypto";
import { ID_PREFIX, makeId } from "#domain/ids.ts";

export function newId<T extends string>(kind: keyof typeof ID_PREFIX): T {
  return makeId<T>(ID_PREFIX[kind], (bytes) => randomFillSync(bytes));
}

/** 32 lowercase hexadecimal characters, as in /etc/machine-id. */
export function newMachineId(): string {
  return randomBytes(16).toString("hex");
}

/** First part of a preview's host name: 100 random bits in base 32. */
export function newLabel(): string {
  return newId("preview").slice(ID_PREFIX.preview.length + 1);
}
