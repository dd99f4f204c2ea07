// Checks an exported audit chain as an auditor does: with the public key, and with heads from elsewhere.

import { createHash, verify } from "node:crypto";
import type { SignedAuditMark } from "#domain/audit.ts";
import {
  type AuditStep,
  type AuditTools,
  checkLine,
  endCheck,
  isFault,
  startCheck,
} from "#domain/audit-check.ts";
import type { BerthClient } from "#sdk/client.ts";

export function auditTools(publicKeyPem: string): AuditTools {
  return {
    sha256: (text) => createHash("sha256").update(text).digest("hex"),
    verifies: (text, signature) =>
      verify(null, Buffer.from(text), publicKeyPem, Buffer.from(signature, "base64")),
  };
}

export async function checkExport(client: BerthClient): Promise<AuditStep> {
  const { head, exported, publicKeyPem } = await client.audit.head();
  const tools = auditTools(publicKeyPem);
  const heads = [head, ...(exported ? [exported] : [])] as SignedAuditMark[];
  let at = startCheck(head.chain, heads, tools);
  for await (const line of client.audit.export()) if (!isFault(at)) at = checkLine(at, line, tools);
  return isFault(at) ? at : endCheck(at);
}
