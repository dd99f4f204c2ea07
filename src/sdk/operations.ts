// The methods of the client, one for each operation of the contract, named and typed by what is generated from it:
// `client.RESOURCE.VERB(...path, bodyOrQuery, options)`.

import type createFetchClient from "openapi-fetch";
import type { operations, paths } from "#gen/api-types.ts";
import { ROUTES } from "#gen/routes.ts";
import type { TransportOptions } from "./transport.ts";
import { watchEvents } from "./watch.ts";

type Route = (typeof ROUTES)[number];
export type OperationName = Route["name"];
type RouteOf<Name> = Extract<Route, { name: Name }>;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface MutationOptions extends CallOptions {
  /** Repeat it to be sure that something is done once; made up without. */
  readonly idempotencyKey?: string | undefined;
  /** Refuse unless the box still has this generation. */
  readonly ifGeneration?: number | undefined;
}

export type QueryOf<Name extends OperationName> = NonNullable<
  operations[Name]["parameters"]["query"]
>;
export type BodyOf<Name extends OperationName> = Json<NonNullable<operations[Name]["requestBody"]>>;
type Json<T> = T extends { content: { "application/json": infer Data } } ? Data : never;
type Success<T> = T[Extract<keyof T, 200 | 201 | 202>];
export type AnswerOf<Name extends OperationName> = Json<Success<operations[Name]["responses"]>>;
type StreamedOf<Name extends OperationName> =
  Success<operations[Name]["responses"]> extends { content: { "text/event-stream": infer Data } }
    ? Data
    : never;

/** In the order of the path. */
type PathArguments<Params extends readonly string[]> = {
  -readonly [Index in keyof Params]: Params[Index] extends "version" ? number : string;
};
type OptionalWhenEmpty<T> = Record<never, never> extends T ? [input?: T] : [input: T];
type Input<Name extends OperationName> =
  RouteOf<Name> extends { body: true }
    ? OptionalWhenEmpty<BodyOf<Name>>
    : RouteOf<Name> extends { query: true }
      ? OptionalWhenEmpty<QueryOf<Name>>
      : [];
type Options<Name extends OperationName> =
  RouteOf<Name> extends { method: "GET" } ? CallOptions : MutationOptions;

type Method<Name extends OperationName> =
  RouteOf<Name> extends { stream: true }
    ? (
        query?: QueryOf<Name>,
        signal?: AbortSignal,
        onOpen?: (cursor: string) => void,
      ) => AsyncGenerator<StreamedOf<Name>, void, undefined>
    : RouteOf<Name> extends { lines: true }
      ? (query?: QueryOf<Name>, signal?: AbortSignal) => AsyncGenerator<string, void, undefined>
      : (
          ...args: [
            ...PathArguments<RouteOf<Name>["params"]>,
            ...Input<Name>,
            options?: Options<Name>,
          ]
        ) => Promise<AnswerOf<Name>>;

type ResourceOf<Name> = Name extends `${infer Resource}.${string}` ? Resource : never;
type VerbOf<Name, Resource extends string> = Name extends `${Resource}.${infer Verb}`
  ? Verb
  : never;
export type Operations = {
  readonly [Resource in ResourceOf<OperationName>]: {
    readonly [Verb in VerbOf<OperationName, Resource>]: Method<
      Extract<`${Resource}.${Verb}`, OperationName>
    >;
  };
};

export type Api = ReturnType<typeof createFetchClient<paths>>;
/** What openapi-fetch's `request` is when the path is not known before it runs. */
type AnyRequest = (
  method: string,
  path: string,
  init: object,
) => Promise<{ data?: unknown; response: Response }>;

export function operationsOf(api: Api, transport: TransportOptions): Operations {
  const request = api.request as unknown as AnyRequest;
  const made: Record<string, Record<string, unknown>> = {};
  for (const route of ROUTES) {
    const [resource = "", verb = ""] = route.name.split(".");
    const method = route.stream
      ? streamOf(route, request, transport)
      : route.lines
        ? linesOf(route, request)
        : methodOf(route, request);
    made[resource] = { ...made[resource], [verb]: method };
  }
  return made as unknown as Operations;
}

function methodOf(route: Route, request: AnyRequest) {
  return async (...args: unknown[]): Promise<unknown> => {
    const path = Object.fromEntries(route.params.map((name, index) => [name, args[index]]));
    const rest = args.slice(route.params.length);
    const input = route.body || route.query ? (rest.shift() ?? {}) : undefined;
    const options = (rest[0] ?? {}) as MutationOptions;
    // The transport throws every failure, so what is left is data.
    const { data } = await request(route.method, route.path, {
      ...(options.signal ? { signal: options.signal } : {}),
      ...(route.body ? { body: input } : {}),
      params: {
        path,
        header: headersOf(route, options),
        ...(route.query && !route.body ? { query: input } : {}),
      },
    });
    return data;
  };
}

function headersOf(route: Route, options: MutationOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  if (route.idempotencyKey)
    headers["idempotency-key"] = options.idempotencyKey ?? crypto.randomUUID();
  if (options.ifGeneration !== undefined) headers["if-match"] = `"${options.ifGeneration}"`;
  return headers;
}

/** Follows from a cursor, or from now, across lost connections, until the signal aborts. */
function streamOf(route: Route, request: AnyRequest, transport: TransportOptions) {
  return (
    query: { readonly cursor?: string } = {},
    signal: AbortSignal = new AbortController().signal,
    onOpen?: (cursor: string) => void,
  ) =>
    watchEvents({
      cursor: query.cursor ?? null,
      signal,
      onOpen,
      sleep: transport.sleep,
      open: async (cursor, openSignal) => {
        const { response } = await request(route.method, route.path, {
          parseAs: "stream",
          signal: openSignal,
          params: { query: { ...query, ...(cursor ? { cursor } : {}) } },
        });
        return response;
      },
    });
}

/** Lines of text, each as it comes; an answer that breaks off throws. */
function linesOf(route: Route, request: AnyRequest) {
  return async function* (query: object = {}, signal?: AbortSignal) {
    const { response } = await request(route.method, route.path, {
      parseAs: "stream",
      ...(signal ? { signal } : {}),
      params: { query },
    });
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let pending = "";
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      const lines = (pending + decoder.decode(part.value, { stream: true })).split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield line;
    }
    if (pending !== "") yield pending;
  };
}
