// Lines of JSON off a byte stream, however it was cut; one may be the whole installation.

import type { Readable } from "node:stream";
import { type FeedLine, feedLineSchema } from "#contract/gateway-feed.ts";

const MAX_LINE_BYTES = 256 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Ends when the stream does; throws when it breaks or says something that is no line of a feed. */
export async function* feedLines(stream: Readable, onBytes: () => void): AsyncGenerator<FeedLine> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    onBytes();
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      held.push(chunk.subarray(from, at));
      yield feedLineSchema.parse(JSON.parse(Buffer.concat(held).toString()));
      held = [];
      heldBytes = 0;
      from = at + 1;
    }
    if (from === chunk.length) continue;
    held.push(chunk.subarray(from));
    heldBytes += chunk.length - from;
    if (heldBytes > MAX_LINE_BYTES) throw new Error("a line of the feed is too long");
  }
}
