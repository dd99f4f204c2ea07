// Refusals as HTTP answers, in the shape of the API's errors.

import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { ERRORS, Problem } from "#contract/errors.ts";
import type { Clock } from "#lib/clock.ts";
import type { Log } from "#lib/log.ts";
import { TicketError } from "#trust/tickets.ts";

/** Time to read a refusal. */
const LINGER_MS = 2000;

/** What a door throws, as what it answers with. */
export function toProblem(error: unknown, log: Log): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TicketError)
    return new Problem(
      error.reason === "expired" ? "ticket_expired" : "ticket_invalid",
      error.message,
    );
  if ((error as Error).name !== "AbortError") log.error({ err: error }, "stream not opened");
  return new Problem("internal", "the stream could not be opened");
}

function refusal({ code, message }: Problem): { status: number; headers: object; body: string } {
  const { status, title, retryable, next } = ERRORS[code];
  const body = JSON.stringify({
    type: `urn:berth:error:${code}`,
    title,
    status,
    code,
    detail: `${message}. ${next}`,
    retryable,
    requestId: randomUUID(),
  });
  const headers = {
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    connection: "close",
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  };
  return { status, headers, body };
}

export function answerProblem(response: ServerResponse, problem: Problem): void {
  const { status, headers, body } = refusal(problem);
  response.writeHead(status, { ...headers }).end(body);
}

/** An answer in place of an upgrade. */
export function refuseUpgrade(socket: Duplex, problem: Problem, clock: Clock): void {
  if (socket.destroyed) return;
  const { status, headers, body } = refusal(problem);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.resume(); // What it still sends is not read by anyone.
  socket.end(`HTTP/1.1 ${status} ${ERRORS[problem.code].title}\r\n${lines.join("")}\r\n${body}`);
  const closed = new AbortController();
  socket.once("close", () => closed.abort());
  clock.sleep(LINGER_MS, closed.signal).then(
    () => socket.destroy(),
    () => {}, // It closed by itself.
  );
}
