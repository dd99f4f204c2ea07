// What the control plane tells a gateway, over mTLS, dialled by the gateway. A gateway holds all of it in
// memory and the last of it on disk, and goes on serving from what it knows when nobody answers.
//
//   POST /node/v1/gateway/feed               feedRequest -> lines of JSON, `feedLineSchema`, for as long as it lasts
//   POST /node/v1/gateway/wake               a request or a login waits for a box at rest
//   POST /node/v1/gateway/preview-pass      a preview pass that is half over -> a fresh one
//   POST /node/v1/gateway/ports              what listens in a box, when what a preview asks for does not
//   POST /node/v1/gateway/ended-credentials  which of those that somebody is let in by here hold no more, after a `full`
//   POST /node/v1/gateway/entries            who came into boxes, for the audit trail (gateway-entries.ts)
//   POST /node/v1/gateway/host-certificate   the SSH door's host key -> its certificate
//
// The first line of a feed is `full`; then come changes, and a `beat` when nothing else was said for 3 s. A gateway
// that heard nothing for 10 s dials again (any replica) and gets a `full` again.

import { z } from "zod";
import { PHASES, VISIBILITIES } from "#domain/box.ts";
import { BOX_ROLES, ORG_ROLES, TEAM_ROLES } from "#domain/permission.ts";

/** A box of the installation, as much of it as a door must know. */
export const feedBoxSchema = z.object({
  boxId: z.string(),
  name: z.string(),
  orgId: z.string(),
  ownerId: z.string(),
  teamId: z.string().nullable(),
  /** Users and teams that it is shared with. */
  shares: z.array(z.object({ holder: z.string(), role: z.enum(BOX_ROLES) })),
  phase: z.enum(PHASES),
  /** Why it is in this phase, in words that a waiting user reads; null: nothing to say. */
  reason: z.string().nullable(),
  /** Its placement, and the node of that (or, at rest, of its last): no other may serve it. 0 and null: it had none. */
  epoch: z.number().int().nonnegative(),
  nodeId: z.string().nullable(),
});
export type FeedBox = z.infer<typeof feedBoxSchema>;

/** A port of a box that has an address of its own. */
export const feedPreviewSchema = z.object({
  previewId: z.string(),
  /** First part of its host name after the port: `3000-LABEL.preview.domain`. Never used again for another. */
  label: z.string(),
  boxId: z.string(),
  port: z.number().int(),
  /** What holds now, with the organization's cap already applied. */
  visibility: z.enum(VISIBILITIES),
  /** Grows when its visibility narrows or its box changes hands: passes and links of a lower one are over. */
  serial: z.number().int(),
});
export type FeedPreview = z.infer<typeof feedPreviewSchema>;

/** A registered SSH key. */
export const feedKeySchema = z.object({
  keyId: z.string(),
  /** As `ssh-keygen -lf` prints it: SHA256:… */
  fingerprint: z.string(),
  userId: z.string(),
  orgId: z.string(),
  /** It opens no door after it, also while nobody says so; null: it is good until it is gone. */
  untilMs: z.number().nullable().optional(),
});
export type FeedKey = z.infer<typeof feedKeySchema>;

/** A user in an organization, and what they are there. */
export const feedMemberSchema = z.object({
  orgId: z.string(),
  userId: z.string(),
  roles: z.array(z.enum(ORG_ROLES)),
  teams: z.array(z.object({ teamId: z.string(), role: z.enum(TEAM_ROLES) })),
});
export type FeedMember = z.infer<typeof feedMemberSchema>;
/** Names a member. */
export const feedMemberKeySchema = feedMemberSchema.pick({ orgId: true, userId: true });
export type FeedMemberKey = z.infer<typeof feedMemberKeySchema>;

/** What opened a stream and no longer holds: a token, web session, key, certificate, link. */
export const feedRevocationSchema = z.object({
  credentialId: z.string(),
  /** Nothing signed before can still be valid after this, so it may be forgotten. */
  untilMs: z.number(),
});
export type FeedRevocation = z.infer<typeof feedRevocationSchema>;

export const feedSettingsSchema = z.object({
  /** Public keys (PEM) that sign tickets, passes, codes and links; any of them. */
  ticketKeysPem: z.array(z.string()),
  /** Public key lines of the SSH authorities. */
  sshUserCa: z.string(),
  sshHostCa: z.string(),
  /** Where browsers reach the dashboard and API: an origin. The only page that opens streams. */
  dashboardOrigin: z.string(),
  /** Origin pattern of previews, with `*` for PORT-LABEL: `http://*.localhost:7302`. Null: reduced mode. */
  previewOrigin: z.string().nullable(),
});
export type FeedSettings = z.infer<typeof feedSettingsSchema>;

export const feedLineSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("full"),
    settings: feedSettingsSchema,
    boxes: z.array(feedBoxSchema),
    previews: z.array(feedPreviewSchema),
    /** Labels that were in use and are not any more: answered with 410. The newest 10,000. */
    goneLabels: z.array(z.string()),
    keys: z.array(feedKeySchema),
    members: z.array(feedMemberSchema),
    revocations: z.array(feedRevocationSchema),
  }),
  z.object({
    kind: z.literal("change"),
    settings: feedSettingsSchema.optional(),
    /** Each replaces what was known under its id. */
    boxes: z.array(feedBoxSchema),
    goneBoxes: z.array(z.string()),
    previews: z.array(feedPreviewSchema),
    gonePreviews: z.array(z.string()),
    keys: z.array(feedKeySchema),
    goneKeys: z.array(z.string()),
    members: z.array(feedMemberSchema),
    goneMembers: z.array(feedMemberKeySchema),
    revocations: z.array(feedRevocationSchema),
  }),
  z.object({ kind: z.literal("beat") }),
]);
export type FeedLine = z.infer<typeof feedLineSchema>;
export type FeedFull = Extract<FeedLine, { kind: "full" }>;
export type FeedChange = Extract<FeedLine, { kind: "change" }>;

/** Opening a feed makes the gateway known to clients and nodes; it is, for as long as the feed lasts. */
export const feedRequestSchema = z.object({
  /** Where clients reach it: http://… */
  clientUrl: z.string().max(300),
  /** Where nodes dial it: https://… */
  nodeUrl: z.string().max(300),
  /** HOST:PORT of its SSH door; null: it has none. */
  sshAddress: z.string().max(300).nullable(),
});
export type FeedRequest = z.infer<typeof feedRequestSchema>;

export const wakeRequestSchema = z.object({
  boxId: z.string(),
  /** Who waits; null for a visitor of a public preview or a link. */
  userId: z.string().nullable(),
  credentialId: z.string().nullable(),
  /** "ssh", "preview": for the event. */
  door: z.enum(["ssh", "preview"]),
});
export type WakeRequest = z.infer<typeof wakeRequestSchema>;

export const wakeAnswerSchema = z.object({ phase: z.enum(PHASES) });

/** Asked in turns of at most so many. */
export const ENDED_CREDENTIALS_MAX = 1000;
export const endedCredentialsRequestSchema = z.object({
  credentialIds: z.array(z.string().max(200)).max(ENDED_CREDENTIALS_MAX),
});
/** Those of the asked that hold no more, or that nobody knows. */
export const endedCredentialsAnswerSchema = z.object({ credentialIds: z.array(z.string()) });

export const boxPortsRequestSchema = z.object({ boxId: z.string() });
export const boxPortsAnswerSchema = z.object({ ports: z.array(z.number().int()) });

export const previewPassRequestSchema = z.object({ pass: z.string().max(4096) });
export const previewPassAnswerSchema = z.object({ pass: z.string() });

export const gatewayHostCertificateRequestSchema = z.object({
  publicKey: z.string().max(4096),
  /** Host names that clients reach the SSH door under. */
  hosts: z.array(z.string().min(1).max(253)).min(1).max(16),
});
export const gatewayHostCertificateAnswerSchema = z.object({ certificate: z.string() });
