// Why an app does not answer, as a page for whoever asked.

import type { Problem } from "#contract/errors.ts";
import type { Asks } from "./preview-box.ts";
import type { BadHead } from "./preview-head.ts";
import type { OwnAnswer } from "./preview-pages.ts";

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
  505: "HTTP Version Not Supported",
};

export function pageForBadRequest({ status, message }: BadHead): OwnAnswer {
  return {
    status,
    title: TITLES[status] ?? "Bad Request",
    detail:
      status === 505
        ? "Previews speak HTTP/1.1. A proxy in front of Berth must too (nginx: proxy_http_version 1.1)."
        : `The request is not taken, because ${message}.`,
  };
}

export function pageForBadAnswer({ message }: BadHead): OwnAnswer {
  return {
    status: 502,
    title: "The app's answer is not HTTP",
    detail: `It was not passed on, because ${message}.`,
  };
}

export function pageForCutAnswer(why: Problem, asks: Asks): OwnAnswer {
  if (why.code !== "port_closed") return pageForProblem(why, asks);
  return {
    status: 502,
    title: "The app closed the connection without an answer",
    detail: `The program at port ${asks.right.preview.port} took the request and answered nothing. Its log may say why.`,
  };
}

/** A stranger is not told about the box. */
export function pageForProblem({ code, message }: Problem, { right, mayWake }: Asks): OwnAnswer {
  const { port } = right.preview;
  const detail = right.pass ? `${message}.` : "";
  if (code === "port_closed")
    return {
      status: 502,
      title: `Nothing listens at port ${port}`,
      detail: `The box runs, but no program in it answers at port ${port}. Start it there; this page tries again by itself.\n${right.pass ? message : ""}`,
      isTemporary: true,
    };
  if (code === "revoked")
    return {
      status: 403,
      title: "You may not see this preview any more",
      detail: "Whoever owns it has changed who may. Open its address again to ask the dashboard.",
    };
  if (code === "too_many_streams")
    return {
      status: 503,
      title: "Too many connections to this preview",
      detail: "Close some of its tabs; this page tries again by itself.",
      isTemporary: true,
    };
  if (code === "box_not_here" && !mayWake)
    return {
      status: 503,
      title: "The box is at rest",
      detail:
        "A page that was open does not wake it, so that a pause holds.\nTo wake it, reload the page or open its address again.",
      isTemporary: true,
    };
  const isHopeless = code === "not_now" || code === "forbidden";
  return {
    status: 503,
    title: isHopeless ? "The box cannot be started" : "The box is not there yet",
    detail: detail || "Whoever owns it can see why.",
    isTemporary: !isHopeless,
  };
}
