// The operations about ways in: tickets, certificates, keys, tokens, sessions of the web app, previews. routes.ts lists
// them with all others.

import {
  createSshCertificateSchema,
  createTicketSchema,
  sshAuthoritySchema,
  sshCertificateSchema,
  ticketSchema,
} from "./access.ts";
import { boxParams } from "./boxes.ts";
import { createSshKeySchema, sshKeyPage, sshKeyParams, sshKeyQuery, sshKeySchema } from "./keys.ts";
import {
  createdPreviewLinkSchema,
  createPreviewLinkSchema,
  openPreviewSchema,
  previewLinkPage,
  previewLinkParams,
  previewLinkQuery,
  previewLinkSchema,
  previewPage,
  previewParams,
  previewQuery,
  previewSchema,
  updatePreviewSchema,
} from "./previews.ts";
import { read, route } from "./route.ts";
import {
  createdTokenSchema,
  createTokenSchema,
  deletedTokenSchema,
  deleteTokenQuery,
  tokenPage,
  tokenParams,
  tokenQuery,
} from "./tokens.ts";
import { createWebSessionSchema, endedWebSessionSchema, webSessionSchema } from "./web-session.ts";

const tickets = [
  route({
    name: "access.ticket",
    method: "POST",
    path: "/boxes/{box}/tickets",
    permission: "box.enter",
    summary: "Get a ticket for streams into a box",
    params: boxParams,
    body: createTicketSchema,
    status: 201,
    response: ticketSchema,
  }),
  route({
    name: "access.sshCertificate",
    method: "POST",
    path: "/boxes/{box}/ssh-certificates",
    permission: "box.enter",
    summary: "Sign an SSH key for a box",
    description: "The certificate lasts minutes: long enough to log in, and a session outlives it.",
    params: boxParams,
    body: createSshCertificateSchema,
    status: 201,
    response: sshCertificateSchema,
  }),
  read({
    name: "access.sshAuthority",
    path: "/ssh/authority",
    permission: "system.read",
    summary: "Show the SSH certificate authorities",
    response: sshAuthoritySchema,
  }),
] as const;

const keys = [
  route({
    name: "keys.create",
    method: "POST",
    path: "/ssh-keys",
    permission: "key.manage",
    summary: "Register an SSH key",
    description: "Registering the same key again changes nothing.",
    body: createSshKeySchema,
    status: 201,
    response: sshKeySchema,
    idempotencyKey: true,
  }),
  read({
    name: "keys.list",
    path: "/ssh-keys",
    permission: "key.manage",
    summary: "List my SSH keys",
    query: sshKeyQuery,
    response: sshKeyPage,
  }),
  route({
    name: "keys.delete",
    method: "DELETE",
    path: "/ssh-keys/{key}",
    permission: "key.manage",
    summary: "Forget an SSH key",
    description: "What it has open at a gateway ends within seconds.",
    params: sshKeyParams,
    status: 200,
    response: sshKeySchema,
    idempotencyKey: true,
  }),
] as const;

const tokens = [
  route({
    name: "tokens.create",
    method: "POST",
    path: "/tokens",
    permission: "token.manage",
    summary: "Make an API token",
    body: createTokenSchema,
    status: 201,
    response: createdTokenSchema,
  }),
  read({
    name: "tokens.list",
    path: "/tokens",
    permission: "token.manage",
    summary: "List my API tokens",
    query: tokenQuery,
    response: tokenPage,
  }),
  route({
    name: "tokens.delete",
    method: "DELETE",
    path: "/tokens/{token}",
    permission: "token.manage",
    summary: "Revoke an API token",
    description:
      "Ends the tokens and SSH keys that were made with it, the web sessions that were got by it, and all their streams.",
    params: tokenParams,
    query: deleteTokenQuery,
    status: 200,
    response: deletedTokenSchema,
    idempotencyKey: true,
  }),
] as const;

const webSessions = [
  route({
    name: "webSessions.create",
    method: "POST",
    path: "/web-session",
    permission: "system.read",
    summary: "Log a browser in",
    description: "Sets a cookie for 12 hours that stands for the token in the body.",
    body: createWebSessionSchema,
    status: 201,
    response: webSessionSchema,
    login: true,
  }),
  route({
    name: "webSessions.delete",
    method: "DELETE",
    path: "/web-session",
    permission: "system.read",
    summary: "Log a browser out",
    status: 200,
    response: endedWebSessionSchema,
  }),
] as const;

const previews = [
  route({
    name: "previews.open",
    method: "POST",
    path: "/boxes/{box}/previews",
    permission: "preview.share",
    summary: "Open a preview of a port",
    description: "The one that is open already, when there is one. Only for the box's owner.",
    params: boxParams,
    body: openPreviewSchema,
    status: 201,
    response: previewSchema,
    idempotencyKey: true,
  }),
  read({
    name: "previews.list",
    path: "/previews",
    permission: "preview.read",
    summary: "List open previews",
    query: previewQuery,
    response: previewPage,
  }),
  route({
    name: "previews.update",
    method: "PATCH",
    path: "/previews/{preview}",
    permission: "preview.share",
    summary: "Change who may see a preview",
    description: "Narrowing it also ends its links and moves it to a new address.",
    params: previewParams,
    body: updatePreviewSchema,
    status: 200,
    response: previewSchema,
    idempotencyKey: true,
  }),
  route({
    name: "previews.close",
    method: "DELETE",
    path: "/previews/{preview}",
    permission: "preview.share",
    summary: "Close a preview",
    description: "Its address is never used again.",
    params: previewParams,
    status: 200,
    response: previewSchema,
    idempotencyKey: true,
  }),
  route({
    name: "previews.createLink",
    method: "POST",
    path: "/previews/{preview}/links",
    permission: "preview.share",
    summary: "Make a link that opens a preview for a while",
    params: previewParams,
    body: createPreviewLinkSchema,
    status: 201,
    response: createdPreviewLinkSchema,
    idempotencyKey: true,
  }),
  read({
    name: "previews.listLinks",
    path: "/previews/{preview}/links",
    permission: "preview.read",
    summary: "List the links of a preview",
    params: previewParams,
    query: previewLinkQuery,
    response: previewLinkPage,
  }),
  route({
    name: "previews.deleteLink",
    method: "DELETE",
    path: "/previews/{preview}/links/{link}",
    permission: "preview.share",
    summary: "Take a link back",
    description: "Whoever came in by it is out within seconds.",
    params: previewLinkParams,
    status: 200,
    response: previewLinkSchema,
    idempotencyKey: true,
  }),
] as const;

export const ACCESS_ROUTES = [...tickets, ...keys, ...tokens, ...webSessions, ...previews] as const;
