// A record: a flat list of named byte strings, the only structure that the guest's C program parses.
// One field is: length of the name (1 byte), name, length of the value (4 bytes, big endian), value.
// A name may stand several times (argv, env). Runs in browsers too.

export type Field = readonly [name: string, value: string | Uint8Array];

export class RecordError extends Error {
  override readonly name = "RecordError";
}

const toBytes = new TextEncoder();
const toText = new TextDecoder();

export function encodeRecord(fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const parts = fields.map(([name, value]) => {
    const nameBytes = toBytes.encode(name);
    if (nameBytes.length === 0 || nameBytes.length > 255)
      throw new RecordError(`field name '${name}' must have 1 to 255 bytes`);
    return { nameBytes, bytes: typeof value === "string" ? toBytes.encode(value) : value };
  });
  const total = parts.reduce(
    (sum, { nameBytes, bytes }) => sum + 5 + nameBytes.length + bytes.length,
    0,
  );
  const record = new Uint8Array(total);
  const view = new DataView(record.buffer);
  let at = 0;
  for (const { nameBytes, bytes } of parts) {
    record[at] = nameBytes.length;
    record.set(nameBytes, at + 1);
    at += 1 + nameBytes.length;
    view.setUint32(at, bytes.length);
    record.set(bytes, at + 4);
    at += 4 + bytes.length;
  }
  return record;
}

export function decodeRecord(bytes: Uint8Array): DecodedRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: [string, Uint8Array][] = [];
  let at = 0;
  while (at < bytes.length) {
    const nameLength = bytes[at] ?? 0;
    const valueAt = at + 1 + nameLength + 4;
    if (nameLength === 0 || valueAt > bytes.length)
      throw new RecordError(`record is cut at byte ${at}`);
    const end = valueAt + view.getUint32(valueAt - 4);
    if (end > bytes.length) throw new RecordError(`record is cut at byte ${valueAt}`);
    const name = toText.decode(bytes.subarray(at + 1, valueAt - 4));
    fields.push([name, bytes.subarray(valueAt, end)]);
    at = end;
  }
  return new DecodedRecord(fields);
}

export class DecodedRecord {
  readonly fields: readonly (readonly [string, Uint8Array])[];
  constructor(fields: readonly (readonly [string, Uint8Array])[]) {
    this.fields = fields;
  }
  /** The first field of that name. */
  bytes(name: string): Uint8Array | undefined {
    return this.fields.find(([key]) => key === name)?.[1];
  }
  /** The first field of that name as text. */
  text(name: string): string | undefined {
    const value = this.bytes(name);
    return value && toText.decode(value);
  }
  texts(name: string): string[] {
    return this.fields.filter(([key]) => key === name).map(([, value]) => toText.decode(value));
  }
  /** The first field of that name as a whole number; 0 when it is absent or none. */
  number(name: string): number {
    const value = Number(this.text(name) ?? "0");
    return Number.isSafeInteger(value) ? value : 0;
  }
}
