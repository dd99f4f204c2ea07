// The client library: every operation of the API as a typed method.
//
//   const berth = createClient({ url: "http://127.0.0.1:7300", token });
//   const { box } = await berth.boxes.create({ template: "default" });
//   await berth.boxes.until(box.id, "running");

import createFetchClient from "openapi-fetch";
import type { components, paths } from "#gen/api-types.ts";
import { ApiError } from "./api-error.ts";
import { type Operations, operationsOf, type QueryOf } from "./operations.ts";
import { send, type TransportOptions } from "./transport.ts";

export type { CallOptions, MutationOptions } from "./operations.ts";

type Schemas = components["schemas"];
export type Box = Schemas["Box"];
export type Phase = Box["phase"];
export type CreateBox = Schemas["CreateBox"];
export type ForkBox = Schemas["ForkBox"];
export type AuditEntry = Schemas["AuditEntry"];
export type Event = Schemas["Event"];
export type Node = Schemas["Node"];
export type Drain = Schemas["Drain"];
export type Operation = Schemas["Operation"];
export type Snapshot = Schemas["Snapshot"];
export type Template = Schemas["Template"];
export type Usage = Schemas["Usage"];
export type PriceBook = Schemas["PriceBook"];
export type Estimate = Schemas["Estimate"];
export type Budget = Schemas["Budget"];
export type TemplateVersion = Schemas["TemplateVersion"];
export type TemplateVersionDetail = Schemas["TemplateVersionDetail"];
export type TemplateDefinition = Schemas["TemplateDefinition"];
export type Ticket = Schemas["Ticket"];
export type SshCertificate = Schemas["SshCertificate"];
export type System = Schemas["System"];
export type Volume = Schemas["Volume"];
export type WaitResult = Schemas["WaitResult"];
export type WaitGoal = QueryOf<"boxes.wait">["for"];

export interface ClientOptions {
  /** Where the API is: http://127.0.0.1:7300. */
  readonly url: string;
  /** None in the dashboard's own pages: the browser sends its cookie. */
  readonly token?: string;
  readonly fetch?: (request: Request) => Promise<Response>;
  /** Tries after the first; 4 by default. Only what is safe to repeat is repeated. */
  readonly retries?: number;
  readonly sleep?: TransportOptions["sleep"];
}

export interface BerthClient extends Operations {
  readonly boxes: Operations["boxes"] & {
    /** Waits as long as it takes; throws when the goal cannot be reached any more. */
    readonly until: (box: string, goal: WaitGoal, signal?: AbortSignal) => Promise<Box>;
  };
  /** Follows events from a cursor, or from now, across lost connections, until the signal aborts. */
  readonly watch: Operations["events"]["watch"];
}

const DEFAULT_RETRIES = 4;
/** One long poll; the server's limit is longer. */
const POLL_MS = 60_000;

export function createClient(options: ClientOptions): BerthClient {
  const transport: TransportOptions = {
    fetch: options.fetch ?? ((request) => fetch(request)),
    sleep: options.sleep ?? sleep,
    retries: options.retries ?? DEFAULT_RETRIES,
  };
  const api = createFetchClient<paths>({
    baseUrl: options.url.replace(/\/+$/, ""),
    headers: options.token === undefined ? {} : { authorization: `Bearer ${options.token}` },
    fetch: (request) => send(request, transport),
  });
  const operations = operationsOf(api, transport);
  const until: BerthClient["boxes"]["until"] = async (box, goal, signal) => {
    for (;;) {
      const query = { for: goal, timeoutMs: POLL_MS };
      const result = await operations.boxes.wait(box, query, { signal });
      if (result.reached) return result.box;
      if (result.hopeless) throw hopeless(result.box, goal);
    }
  };
  return {
    ...operations,
    boxes: { ...operations.boxes, until },
    watch: operations.events.watch,
  };
}

function hopeless(box: Box, goal: WaitGoal): ApiError {
  return new ApiError({
    code: "not_now",
    status: 409,
    detail: `${box.name} cannot become ${goal}: it is ${box.phase}${box.reason ? ` (${box.reason})` : ""}.`,
    retryable: false,
    requestId: null,
  });
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
