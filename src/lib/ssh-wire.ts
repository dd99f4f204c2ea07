// The few data types of the SSH protocol (RFC 4251): strings with a length, and numbers. Reading is
// strict: it never goes past the end, and `end` refuses what is left over.

/** A 32-bit number. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** A length, then the bytes. */
export function sshString(value: string | Uint8Array): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([uint32(bytes.length), bytes]);
}

export class SshReader {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new Error("ends in the middle of a field");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.take(8).readBigUInt64BE();
  }

  string(): Buffer {
    return this.take(this.uint32());
  }

  /** What was not read yet. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Error("has bytes after its last field");
  }
}
