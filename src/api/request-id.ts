// Names of requests: in the answer's header, in problems, and in the log.

import { randomFillSync } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

export function makeRequestId(): string {
  let text = "req_";
  for (const byte of randomFillSync(new Uint8Array(12))) text += ALPHABET[byte & 31];
  return text;
}
