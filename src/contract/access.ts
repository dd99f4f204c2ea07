// Ways into a box: tickets for the gateway, and SSH certificates.

import { z } from "zod";
import { idSchema, line, timeSchema } from "./fields.ts";
import { SESSION_ID, SESSION_MODES } from "./gateway-protocol.ts";

export const publicKeyField = line(16_384)
  .regex(
    /^(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+(?: .*)?$/,
    "must be an OpenSSH public key line",
  )
  .describe("The user's public key, as in id_ed25519.pub.");

export const createTicketSchema = z
  .strictObject({
    ports: z
      .union([z.literal("any"), z.array(z.number().int().min(1).max(65_535)).max(64)])
      .default("any")
      .describe("TCP ports in the box that it opens; 22 is SSH, 1 runs programs."),
    session: z
      .strictObject({
        id: z.string().regex(SESSION_ID, "must be the id of an exec session"),
        mode: z.enum(SESSION_MODES).default("write"),
      })
      .optional()
      .describe("Opens this exec session and nothing else: no port, no console."),
    forBrowser: z
      .boolean()
      .default(false)
      .describe(
        "For a page of the dashboard: lasts 30 s, works once, only from there, and only at `gatewayUrl` of the answer.",
      ),
    gatewayUrl: line(300)
      .optional()
      .describe(
        "With `forBrowser`: the gateway that it is for, one of `gatewayUrls`; else the best.",
      ),
  })
  .meta({ id: "CreateTicket" });

export const ticketSchema = z
  .object({
    ticket: z.string().describe("Bearer token for the gateway; lasts minutes."),
    gatewayUrl: z
      .string()
      .describe(
        "Where the gateway is: the first of `gatewayUrls`, or for a page the one that its ticket is for.",
      ),
    gatewayUrls: z
      .array(z.string())
      .describe("Every gateway that answers, best first: when one does not, take the next."),
    boxId: idSchema("box"),
    epoch: z.number().int(),
    expiresAt: timeSchema,
  })
  .meta({ id: "Ticket" });

export const createSshCertificateSchema = z
  .strictObject({
    publicKey: publicKeyField,
  })
  .meta({ id: "CreateSshCertificate" });

export const sshCertificateSchema = z
  .object({
    certificate: z.string().describe("Content of id-cert.pub."),
    user: z.string().describe("Unix user to enter as."),
    hostName: z.string().describe("Name that the box's host certificate carries."),
    knownHosts: z.string().describe("A known_hosts line that trusts Berth's host CA."),
    expiresAt: timeSchema,
  })
  .meta({ id: "SshCertificate" });

export const sshAuthoritySchema = z
  .object({
    knownHosts: z
      .string()
      .describe("A known_hosts line for boxes and gateways: @cert-authority *.berth,… …"),
    userCa: z.string().describe("Public key that boxes trust for user certificates."),
  })
  .meta({ id: "SshAuthority" });
