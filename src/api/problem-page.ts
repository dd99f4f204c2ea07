// A problem, shown to a person whose browser was sent somewhere.

import type { FastifyReply } from "fastify";
import { ERRORS, Problem } from "#contract/errors.ts";
import type { StoreRefusal } from "#domain/refusal.ts";
import { sendText } from "./web-files.ts";

export function sendProblemPage(reply: FastifyReply, error: Problem | StoreRefusal): FastifyReply {
  const { status, title, next } = ERRORS[error.code];
  const detail = error instanceof Problem ? error.message : error.detail;
  return sendText(reply, status, `${title}.\n\n${detail}\n${next}`);
}
