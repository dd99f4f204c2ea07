// A record: a flat list of named byte strings, the only structure that the guest's C program parses.
// One field is: length of the name (1 byte), name, length of the value (4 bytes, big endian), value.
// A name may stand several times (argv, env).

import { Buffer } from "node:buffer";

export type Field = readonly [name: string, value: string | Uint8Array];

export class RecordError extends Error {
  override readonly name = "RecordError";
}

export function encodeRecord(fields: readonly Field[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    const nameBytes = Buffer.from(name);
    if (nameBytes.length === 0 || nameBytes.length > 255)
      throw new RecordError(`field name '${name}' must have 1 to 255 bytes`);
    const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.from(value);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    parts.push(Buffer.from([nameBytes.length]), nameBytes, length, bytes);
  }
  return Buffer.concat(parts);
}

export function decodeRecord(bytes: Uint8Array): DecodedRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: [string, Buffer][] = [];
  let at = 0;
  while (at < buffer.length) {
    const nameLength = buffer[at] ?? 0;
    const valueAt = at + 1 + nameLength + 4;
    if (nameLength === 0 || valueAt > buffer.length)
      throw new RecordError(`record is cut at byte ${at}`);
    const end = valueAt + buffer.readUInt32BE(valueAt - 4);
    if (end > buffer.length) throw new RecordError(`record is cut at byte ${valueAt}`);
    fields.push([buffer.toString("utf8", at + 1, valueAt - 4), buffer.subarray(valueAt, end)]);
    at = end;
  }
  return new DecodedRecord(fields);
}

export class DecodedRecord {
  readonly fields: readonly (readonly [string, Buffer])[];
  constructor(fields: readonly (readonly [string, Buffer])[]) {
    this.fields = fields;
  }
  /** The first field of that name as text. */
  text(name: string): string | undefined {
    return this.fields.find(([key]) => key === name)?.[1].toString("utf8");
  }
  texts(name: string): string[] {
    return this.fields.filter(([key]) => key === name).map(([, value]) => value.toString("utf8"));
  }
  /** The first field of that name as a whole number; 0 when it is absent or none. */
  number(name: string): number {
    const value = Number(this.text(name) ?? "0");
    return Number.isSafeInteger(value) ? value : 0;
  }
}
