// What one operation of the API is made of. routes.ts lists them all.

import type { z } from "zod";
import type { Permission } from "#domain/permission.ts";

export interface Route {
  /** Resource and verb: the SDK's `client.boxes.create`. */
  readonly name: `${string}.${string}`;
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below /v1, with {parameters}. */
  readonly path: `/${string}`;
  readonly permission: Permission;
  readonly summary: string;
  readonly description?: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly status: 200 | 201 | 202;
  readonly response: z.ZodType;
  /** Takes an Idempotency-Key: every mutation that is not idempotent by itself. */
  readonly idempotencyKey?: boolean;
  /** Takes If-Match with a generation, and refuses when the resource has moved on. */
  readonly ifMatch?: boolean;
  /** Answers with server-sent events; `response` is the data of one. */
  readonly stream?: boolean;
  /** Answers with lines of JSON to its end, as they come; `response` is one. */
  readonly lines?: boolean;
  /** Its body brings the token, instead of a header: this is how browsers log in. */
  readonly login?: boolean;
  /** Comes without any credential: what its body brings is all that counts. */
  readonly anonymous?: boolean;
}

/** Keeps the exact type of each part. */
export function route<const R extends Route>(definition: R): R {
  return definition;
}

/** A GET that answers 200. */
export function read<const R extends Omit<Route, "method" | "status">>(definition: R) {
  return { ...definition, method: "GET", status: 200 } as const;
}

type Output<T> = T extends z.ZodType ? z.output<T> : undefined;
export type ParamsOf<R extends Route> = Output<R["params"]>;
export type QueryOf<R extends Route> = Output<R["query"]>;
export type BodyOf<R extends Route> = Output<R["body"]>;
/** What a handler gives back. */
export type ResponseOf<R extends Route> = z.input<R["response"]>;
