// The client library: every operation of the API as a typed method.
//
//   const berth = createClient({ url: "http://127.0.0.1:7300", token });
//   const { box } = await berth.boxes.create({ template: "default" });
//   await berth.boxes.until(box.id, "running");

import createFetchClient from "openapi-fetch";
import type { components, operations, paths } from "#gen/api-types.ts";
import { ApiError } from "./api-error.ts";
import { send, type TransportOptions } from "./transport.ts";
import { watchEvents } from "./watch.ts";

type Schemas = components["schemas"];
export type Box = Schemas["Box"];
export type Phase = Box["phase"];
export type CreateBox = Schemas["CreateBox"];
export type ForkBox = Schemas["ForkBox"];
export type Event = Schemas["Event"];
export type Node = Schemas["Node"];
export type Operation = Schemas["Operation"];
export type Snapshot = Schemas["Snapshot"];
export type Template = Schemas["Template"];
export type TemplateVersion = Schemas["TemplateVersion"];
export type TemplateVersionDetail = Schemas["TemplateVersionDetail"];
export type TemplateDefinition = Schemas["TemplateDefinition"];
export type Ticket = Schemas["Ticket"];
export type SshCertificate = Schemas["SshCertificate"];
export type System = Schemas["System"];
export type Volume = Schemas["Volume"];
export type WaitResult = Schemas["WaitResult"];
export type WaitGoal = QueryOf<"boxes.wait">["for"];

type Operations = operations;
type QueryOf<Name extends keyof Operations> = NonNullable<Operations[Name]["parameters"]["query"]>;

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

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface MutationOptions extends CallOptions {
  /** Repeat it to be sure that something is done once; made up without. */
  readonly idempotencyKey?: string;
  /** Refuse unless the box still has this generation. */
  readonly ifGeneration?: number;
}

export type BerthClient = ReturnType<typeof createClient>;

const DEFAULT_RETRIES = 4;
/** One long poll; the server's limit is longer. */
const POLL_MS = 60_000;

export function createClient(options: ClientOptions) {
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
  return {
    boxes: boxesOf(api),
    checkpoints: checkpointsOf(api),
    snapshots: snapshotsOf(api),
    templates: templatesOf(api),
    volumes: volumesOf(api),
    nodes: nodesOf(api),
    events: eventsOf(api, transport),
    operations: {
      get: (operation: string, call: CallOptions = {}) =>
        answer(api.GET("/v1/operations/{operation}", { ...call, params: { path: { operation } } })),
    },
    access: accessOf(api),
    keys: keysOf(api),
    tokens: tokensOf(api),
    webSessions: webSessionsOf(api),
    previews: previewsOf(api),
    org: orgOf(api),
    system: {
      get: (call: CallOptions = {}) => answer(api.GET("/v1/system", { ...call })),
    },
    /** Follows events from a cursor, or from now, across lost connections, until the signal aborts. */
    watch: (
      query: QueryOf<"events.watch"> = {},
      signal?: AbortSignal,
      onOpen?: (cursor: string) => void,
    ) => watch(api, transport, query, signal, onOpen),
  };
}

type Api = ReturnType<typeof createFetchClient<paths>>;

function boxesOf(api: Api) {
  const intent =
    (path: `/v1/boxes/{box}/${"start" | "stop" | "pause" | "resume" | "restart"}`) =>
    (box: string, call: MutationOptions = {}) =>
      answer(
        api.POST(path, { signal: call.signal, params: { path: { box }, header: guarded(call) } }),
      );
  const wait = (box: string, query: QueryOf<"boxes.wait">, signal?: AbortSignal) =>
    answer(api.GET("/v1/boxes/{box}/wait", { signal, params: { path: { box }, query } }));
  return {
    create: (body: CreateBox, call: MutationOptions = {}) =>
      answer(api.POST("/v1/boxes", { body, signal: call.signal, params: { header: keyed(call) } })),
    list: (query: QueryOf<"boxes.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/boxes", { ...call, params: { query } })),
    get: (box: string, call: CallOptions = {}) =>
      answer(api.GET("/v1/boxes/{box}", { ...call, params: { path: { box } } })),
    start: intent("/v1/boxes/{box}/start"),
    stop: intent("/v1/boxes/{box}/stop"),
    pause: intent("/v1/boxes/{box}/pause"),
    resume: intent("/v1/boxes/{box}/resume"),
    restart: intent("/v1/boxes/{box}/restart"),
    fork: (box: string, body: ForkBox = {}, call: MutationOptions = {}) =>
      answer(
        api.POST("/v1/boxes/{box}/fork", {
          body,
          signal: call.signal,
          params: { path: { box }, header: keyed(call) },
        }),
      ),
    delete: (box: string, call: MutationOptions = {}) =>
      answer(
        api.DELETE("/v1/boxes/{box}", {
          signal: call.signal,
          params: { path: { box }, header: guarded(call) },
        }),
      ),
    /** One long poll. */
    wait,
    /** Waits as long as it takes; throws when the goal cannot be reached any more. */
    until: async (box: string, goal: WaitGoal, signal?: AbortSignal): Promise<Box> => {
      for (;;) {
        const result = await wait(box, { for: goal, timeoutMs: POLL_MS }, signal);
        if (result.reached) return result.box;
        if (result.hopeless) throw hopeless(result.box, goal);
      }
    },
  };
}

function checkpointsOf(api: Api) {
  return {
    create: (box: string, body: Schemas["CreateCheckpoint"] = {}, call: MutationOptions = {}) =>
      answer(
        api.POST("/v1/boxes/{box}/checkpoints", {
          body,
          signal: call.signal,
          params: { path: { box }, header: keyed(call) },
        }),
      ),
    restore: (box: string, body: Schemas["RestoreCheckpoint"], call: MutationOptions = {}) =>
      answer(
        api.POST("/v1/boxes/{box}/restore", {
          body,
          signal: call.signal,
          params: { path: { box }, header: guarded(call) },
        }),
      ),
  };
}

function snapshotsOf(api: Api) {
  return {
    list: (query: QueryOf<"snapshots.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/snapshots", { ...call, params: { query } })),
    get: (snapshot: string, call: CallOptions = {}) =>
      answer(api.GET("/v1/snapshots/{snapshot}", { ...call, params: { path: { snapshot } } })),
    delete: (snapshot: string, call: MutationOptions = {}) =>
      answer(
        api.DELETE("/v1/snapshots/{snapshot}", {
          signal: call.signal,
          params: { path: { snapshot }, header: keyed(call) },
        }),
      ),
  };
}

function templatesOf(api: Api) {
  return {
    create: (body: TemplateDefinition, call: MutationOptions = {}) =>
      answer(
        api.POST("/v1/templates", { body, signal: call.signal, params: { header: keyed(call) } }),
      ),
    list: (query: QueryOf<"templates.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/templates", { ...call, params: { query } })),
    get: (template: string, call: CallOptions = {}) =>
      answer(api.GET("/v1/templates/{template}", { ...call, params: { path: { template } } })),
    versions: (
      template: string,
      query: QueryOf<"templates.versions"> = {},
      call: CallOptions = {},
    ) =>
      answer(
        api.GET("/v1/templates/{template}/versions", {
          ...call,
          params: { path: { template }, query },
        }),
      ),
    version: (template: string, version: number, call: CallOptions = {}) =>
      answer(
        api.GET("/v1/templates/{template}/versions/{version}", {
          ...call,
          params: { path: { template, version } },
        }),
      ),
    build: (template: string, version: number, call: MutationOptions = {}) =>
      answer(
        api.POST("/v1/templates/{template}/versions/{version}/build", {
          signal: call.signal,
          params: { path: { template, version }, header: keyed(call) },
        }),
      ),
    delete: (template: string, call: MutationOptions = {}) =>
      answer(
        api.DELETE("/v1/templates/{template}", {
          signal: call.signal,
          params: { path: { template }, header: keyed(call) },
        }),
      ),
  };
}

function volumesOf(api: Api) {
  return {
    list: (query: QueryOf<"volumes.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/volumes", { ...call, params: { query } })),
    get: (volume: string, call: CallOptions = {}) =>
      answer(api.GET("/v1/volumes/{volume}", { ...call, params: { path: { volume } } })),
  };
}

function nodesOf(api: Api) {
  return {
    list: (query: QueryOf<"nodes.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/nodes", { ...call, params: { query } })),
    get: (node: string, call: CallOptions = {}) =>
      answer(api.GET("/v1/nodes/{node}", { ...call, params: { path: { node } } })),
    update: (node: string, body: Schemas["UpdateNode"], call: CallOptions = {}) =>
      answer(api.PATCH("/v1/nodes/{node}", { ...call, body, params: { path: { node } } })),
    delete: (node: string, call: CallOptions = {}) =>
      answer(api.DELETE("/v1/nodes/{node}", { ...call, params: { path: { node } } })),
    createJoinToken: (body: Schemas["CreateJoinToken"] = {}, call: CallOptions = {}) =>
      answer(api.POST("/v1/nodes/join-tokens", { ...call, body })),
  };
}

function eventsOf(api: Api, transport: TransportOptions) {
  return {
    list: (query: QueryOf<"events.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/events", { ...call, params: { query } })),
    watch: (query: QueryOf<"events.watch"> = {}, signal?: AbortSignal) =>
      watch(api, transport, query, signal),
  };
}

function accessOf(api: Api) {
  return {
    ticket: (box: string, body: Schemas["CreateTicket"] = {}, call: CallOptions = {}) =>
      answer(api.POST("/v1/boxes/{box}/tickets", { ...call, body, params: { path: { box } } })),
    sshCertificate: (box: string, body: Schemas["CreateSshCertificate"], call: CallOptions = {}) =>
      answer(
        api.POST("/v1/boxes/{box}/ssh-certificates", { ...call, body, params: { path: { box } } }),
      ),
    sshAuthority: (call: CallOptions = {}) => answer(api.GET("/v1/ssh/authority", { ...call })),
  };
}

function keysOf(api: Api) {
  return {
    create: (body: Schemas["CreateSshKey"], call: MutationOptions = {}) =>
      answer(
        api.POST("/v1/ssh-keys", { body, signal: call.signal, params: { header: keyed(call) } }),
      ),
    list: (query: QueryOf<"keys.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/ssh-keys", { ...call, params: { query } })),
    delete: (key: string, call: MutationOptions = {}) =>
      answer(
        api.DELETE("/v1/ssh-keys/{key}", {
          signal: call.signal,
          params: { path: { key }, header: keyed(call) },
        }),
      ),
  };
}

function tokensOf(api: Api) {
  return {
    /** Not safe to repeat: the token is in this answer and nowhere else. */
    create: (body: Schemas["CreateToken"], call: CallOptions = {}) =>
      answer(api.POST("/v1/tokens", { ...call, body })),
    list: (query: QueryOf<"tokens.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/tokens", { ...call, params: { query } })),
    delete: (token: string, call: MutationOptions = {}) =>
      answer(
        api.DELETE("/v1/tokens/{token}", {
          signal: call.signal,
          params: { path: { token }, header: keyed(call) },
        }),
      ),
  };
}

/** For browsers: a cookie that no script reads takes the token's place. */
function webSessionsOf(api: Api) {
  return {
    create: (body: Schemas["CreateWebSession"], call: CallOptions = {}) =>
      answer(api.POST("/v1/web-session", { ...call, body })),
    delete: (call: CallOptions = {}) => answer(api.DELETE("/v1/web-session", { ...call })),
  };
}

function previewsOf(api: Api) {
  return {
    open: (box: string, body: Schemas["OpenPreview"], call: MutationOptions = {}) =>
      answer(
        api.POST("/v1/boxes/{box}/previews", {
          body,
          signal: call.signal,
          params: { path: { box }, header: keyed(call) },
        }),
      ),
    list: (query: QueryOf<"previews.list"> = {}, call: CallOptions = {}) =>
      answer(api.GET("/v1/previews", { ...call, params: { query } })),
    update: (preview: string, body: Schemas["UpdatePreview"], call: MutationOptions = {}) =>
      answer(
        api.PATCH("/v1/previews/{preview}", {
          body,
          signal: call.signal,
          params: { path: { preview }, header: keyed(call) },
        }),
      ),
    close: (preview: string, call: MutationOptions = {}) =>
      answer(
        api.DELETE("/v1/previews/{preview}", {
          signal: call.signal,
          params: { path: { preview }, header: keyed(call) },
        }),
      ),
    createLink: (
      preview: string,
      body: Schemas["CreatePreviewLink"] = {},
      call: MutationOptions = {},
    ) =>
      answer(
        api.POST("/v1/previews/{preview}/links", {
          body,
          signal: call.signal,
          params: { path: { preview }, header: keyed(call) },
        }),
      ),
    listLinks: (
      preview: string,
      query: QueryOf<"previews.listLinks"> = {},
      call: CallOptions = {},
    ) =>
      answer(
        api.GET("/v1/previews/{preview}/links", { ...call, params: { path: { preview }, query } }),
      ),
    deleteLink: (preview: string, link: string, call: MutationOptions = {}) =>
      answer(
        api.DELETE("/v1/previews/{preview}/links/{link}", {
          signal: call.signal,
          params: { path: { preview, link }, header: keyed(call) },
        }),
      ),
  };
}

function orgOf(api: Api) {
  return {
    get: (call: CallOptions = {}) => answer(api.GET("/v1/org", { ...call })),
    update: (body: Schemas["UpdateOrg"], call: MutationOptions = {}) =>
      answer(api.PATCH("/v1/org", { body, signal: call.signal, params: { header: keyed(call) } })),
  };
}

function watch(
  api: Api,
  transport: TransportOptions,
  query: QueryOf<"events.watch">,
  signal: AbortSignal = new AbortController().signal,
  onOpen?: (cursor: string) => void,
) {
  return watchEvents({
    cursor: query.cursor ?? null,
    signal,
    onOpen,
    sleep: transport.sleep,
    open: async (cursor, openSignal) => {
      const { response } = await api.GET("/v1/watch", {
        parseAs: "stream",
        signal: openSignal,
        params: { query: { ...query, ...(cursor ? { cursor } : {}) } },
      });
      return response;
    },
  });
}

/** The transport throws every failure, so what is left is data. */
async function answer<Data>(
  result: Promise<{ data?: Data; error?: unknown; response: Response }>,
): Promise<Data> {
  const { data } = await result;
  return data as Data;
}

function keyed(call: MutationOptions) {
  return { "idempotency-key": call.idempotencyKey ?? crypto.randomUUID() };
}

function guarded(call: MutationOptions) {
  return {
    ...keyed(call),
    ...(call.ifGeneration === undefined ? {} : { "if-match": `"${call.ifGeneration}"` }),
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
