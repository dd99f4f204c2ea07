// The node API's listener: HTTPS with a client certificate of our own authority for everything but joining.
// Who speaks is read from the certificate and from nothing else, so a node can only speak for itself.

import type { PeerCertificate, TLSSocket } from "node:tls";
import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { ERRORS, Problem } from "#contract/errors.ts";
import type { Log } from "#lib/log.ts";
import { isUnavailable } from "#store/db.ts";
import { identityOf, type TlsRole } from "#trust/x509.ts";
import type { RequestSchemas } from "./fields.ts";
import { problemBody, problemHeaders, toProblem } from "./problem.ts";
import { makeRequestId } from "./request-id.ts";

/** A full report of a node with many boxes, each with its build log. */
const BODY_LIMIT_BYTES = 32 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 60_000;

export interface ServerTls {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** The authority that node and gateway certificates must come from. */
  readonly caPem: string;
}

export function buildNodeServer(tls: ServerTls, log: Log): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    genReqId: makeRequestId,
    https: {
      key: tls.privateKeyPem,
      cert: tls.certificatePem,
      ca: tls.caPem,
      minVersion: "TLSv1.3",
      requestCert: true,
      // Joining comes before the certificate; every other route asks `peerOf`.
      rejectUnauthorized: false,
    },
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setNotFoundHandler((request) => {
    throw new Problem("route_not_found", `The node API has no ${request.method} ${request.url}.`);
  });
  app.setErrorHandler((error, request, reply) => {
    const schemas = request.routeOptions.schema as RequestSchemas | undefined;
    const problem = toProblem(error, isUnavailable, schemas);
    const { status } = ERRORS[problem.code];
    if (status >= 500)
      log.warn({ requestId: request.id, err: problem.cause ?? problem }, "the node API failed");
    return reply
      .status(status)
      .headers(problemHeaders(problem))
      .serializer((payload: unknown) => JSON.stringify(payload))
      .send(problemBody(problem, request.id));
  });
  return app;
}

/** The name in the peer's certificate, when the authority vouches for it and for its role. */
export function peerOf(request: FastifyRequest, role: TlsRole): string {
  const certificate = certificateOf(request);
  const identity = certificate && identityOf(certificate);
  if (identity?.role !== role)
    throw new Problem("node_unknown", `This needs the certificate of a ${role} of this authority.`);
  return identity.name;
}

/** The peer's certificate, when the authority vouches for it. */
export function certificateOf(request: FastifyRequest): PeerCertificate | null {
  const socket = request.raw.socket as TLSSocket;
  return socket.authorized ? socket.getPeerCertificate() : null;
}
