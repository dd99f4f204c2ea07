// Long answers go out compressed: a list of boxes is a tenth as long then. Only what is read (GET) and is whole:
// streams go out event by event, and what is made (a token, a link) is said once, in the answer to a POST, so that
// nobody can guess at a secret by how well it compresses. What another site asks with a cookie is refused before.

import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyInstance } from "fastify";

const MIN_BYTES = 2048;
/** Text with so many names in it hardly gets shorter by working longer. */
const LEVEL = 3;
const compress = promisify(gzip);

export function compressAnswers(app: FastifyInstance): void {
  app.addHook("onSend", async (request, reply, payload) => {
    const isLong = typeof payload === "string" && payload.length >= MIN_BYTES;
    if (!isLong || request.method !== "GET" || reply.hasHeader("etag")) return payload;
    reply.header("vary", "accept-encoding");
    if (!takesGzip(request.headers["accept-encoding"])) return payload;
    const shorter = await compress(payload, { level: LEVEL });
    reply.header("content-encoding", "gzip").header("content-length", shorter.length);
    return shorter;
  });
}

/** Named, and not with `q=0`. */
export function takesGzip(accepted: string | string[] | undefined): boolean {
  return String(accepted ?? "")
    .toLowerCase()
    .split(",")
    .some((one) => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/.test(one));
}
