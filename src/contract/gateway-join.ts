// How a gateway gets its certificate, on the node API's listener.
//
//   POST /node/v1/join-gateway   one-time join token + CSR -> gateway certificate
//   POST /node/v1/renew-gateway  CSR of a new key -> the same certificate anew (mTLS, role gateway)

import { z } from "zod";

export const joinGatewaySchema = z.object({
  token: z.string().max(200),
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  csrPem: z.string().max(16_384),
  /** DNS names and addresses under which nodes dial it. */
  hosts: z.array(z.string().min(1).max(253)).min(1).max(16),
});
export type JoinGatewayRequest = z.infer<typeof joinGatewaySchema>;

export const joinedGatewaySchema = z.object({ certificatePem: z.string(), caPem: z.string() });
export type JoinedGateway = z.infer<typeof joinedGatewaySchema>;
