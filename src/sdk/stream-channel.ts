// A Node stream as the channel that a lasting session is held over.

import type { Duplex } from "node:stream";
import type { ByteChannel } from "./exec-session.ts";

export function streamChannel(stream: Duplex): ByteChannel {
  stream.on("error", () => {}); // `read` rejects with it.
  const chunks = stream[Symbol.asyncIterator]();
  return {
    read: async () => {
      const { value, done } = await chunks.next();
      return done ? null : (value as Uint8Array);
    },
    write: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    close: () => void stream.destroy(),
  };
}
