// The operations of the audit trail. routes.ts lists them with all others.

import {
  auditEntrySchema,
  auditExportQuery,
  auditHeadSchema,
  auditLineSchema,
  auditPage,
  auditPolicySchema,
  auditQuery,
  auditScopeQuery,
  auditWatchQuery,
  updateAuditPolicySchema,
} from "./audit.ts";
import { read, route } from "./route.ts";

export const AUDIT_ROUTES = [
  read({
    name: "audit.list",
    path: "/audit",
    permission: "audit.read",
    summary: "List and search the audit trail",
    query: auditQuery,
    response: auditPage,
  }),
  read({
    name: "audit.watch",
    path: "/audit/watch",
    permission: "audit.read",
    summary: "Follow the audit trail",
    description: "Entries as they are sealed, in the order of the chain.",
    query: auditWatchQuery,
    response: auditEntrySchema,
    stream: true,
  }),
  read({
    name: "audit.export",
    path: "/audit/export",
    permission: "audit.read",
    summary: "Export the chain as JSON Lines",
    description:
      "The anchor (if retention removed anything), every entry with its seal, and the signed head of the moment at which the export began. `berth audit verify` checks it.",
    query: auditExportQuery,
    response: auditLineSchema,
    lines: true,
  }),
  read({
    name: "audit.head",
    path: "/audit/head",
    permission: "audit.read",
    summary: "Show the signed head of the chain",
    query: auditScopeQuery,
    response: auditHeadSchema,
  }),
  read({
    name: "audit.getPolicy",
    path: "/audit/policy",
    permission: "audit.read",
    summary: "Show for how long the trail is kept",
    response: auditPolicySchema,
  }),
  route({
    name: "audit.updatePolicy",
    method: "PATCH",
    path: "/audit/policy",
    permission: "audit.manage",
    summary: "Change for how long the trail is kept",
    body: updateAuditPolicySchema,
    status: 200,
    response: auditPolicySchema,
  }),
] as const;
