// Where a preview sends a browser that it does not know: the dashboard's origin knows the person by the session's cookie,
// and sends the browser back to the preview's own origin with a code. The code is of use only to a browser that has the
// nonce it names, in a cookie that the preview's origin has set before.

import { randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { Problem } from "#contract/errors.ts";
import { previewUrl } from "#domain/preview.ts";
import { StoreRefusal } from "#domain/refusal.ts";
import { insertAuditEntries, type NewAuditEntry, rolesOf } from "#store/audit.ts";
import { findPreview, refuseVisit } from "#store/preview-visits.ts";
import type { PreviewView } from "#store/previews.ts";
import { forOrg } from "#store/tenant.ts";
import type { Identified } from "#store/tokens.ts";
import type { ApiContext } from "./context.ts";
import { type Authenticate, readCookie, sessionCookie } from "./credentials.ts";
import { sendProblemPage } from "./problem-page.ts";
import type { Trail } from "./trail.ts";
import { PAGE_HEADERS } from "./web-files.ts";

const PATH = "/v1/preview-authorize";

interface Wanted {
  readonly label: string;
  readonly port: number;
  readonly nonce: string;
}

export function registerPreviewAuthorize(
  app: FastifyInstance,
  context: ApiContext,
  authenticate: Authenticate,
  trail: Pick<Trail, "keep">,
): void {
  app.get(PATH, { schema: { hide: true } }, async (request, reply) => {
    reply.headers({ ...PAGE_HEADERS, "cache-control": "no-store" });
    try {
      return reply.redirect(await nextOf(request, context, authenticate, trail), 302);
    } catch (error) {
      if (!(error instanceof Problem || error instanceof StoreRefusal)) throw error;
      return sendProblemPage(reply, error);
    }
  });
}

/** The address to go on to: built here from checked parts, never one that was sent. */
async function nextOf(
  request: FastifyRequest,
  context: ApiContext,
  authenticate: Authenticate,
  trail: Pick<Trail, "keep">,
): Promise<string> {
  refuseScripts(request);
  const wanted = parse(request.query as Record<string, unknown>);
  const secret = readCookie(request.headers.cookie, sessionCookie(context.dashboardOrigin));
  const session = secret ? await authenticate({ kind: "session", secret }) : null;
  if (!session) return `/login?next=${encodeURIComponent(`${PATH}?${print(wanted)}`)}`;
  const { clock, signPreview } = context;
  const db = forOrg(context.db, session.subject.orgId);
  const preview = await findPreview(db, wanted.port, wanted.label);
  try {
    await refuseVisit(db, session.subject, preview);
  } catch (error) {
    if (error instanceof StoreRefusal)
      trail.keep(session.subject.userId, {
        ...entryOf(request, session, preview),
        ...{ outcome: "refused", code: error.code },
      });
    throw error;
  }
  const nowMs = clock.nowMs();
  const pass = await signPreview.pass(
    {
      previewId: preview.id,
      serial: preview.serial,
      credentialId: session.credentialId,
      userId: session.subject.userId,
    },
    nowMs,
  );
  const code = await signPreview.code(
    { codeId: randomUUID(), previewId: preview.id, nonceHash: wanted.nonce, pass },
    nowMs,
  );
  // Who is let in is written down before they are; else they are not.
  await insertAuditEntries(db, [entryOf(request, session, preview)]);
  return `${previewUrl(context, preview.port, preview.label)}.berth/enter?code=${code}`;
}

function entryOf(
  request: FastifyRequest,
  { subject, credentialId }: Identified,
  { id, boxId, orgId }: PreviewView,
): NewAuditEntry {
  return {
    ...{ orgId, verb: "previews.authorize", outcome: "ok" },
    ...{ actorId: subject.userId, actorRoles: rolesOf(subject), credentialId },
    ...{ address: request.ip, userAgent: request.headers["user-agent"] ?? null },
    ...{ touched: [id, boxId], requestId: request.id },
  };
}

/** Only a window may go this way, not a script's request, and not a frame in somebody's page. */
function refuseScripts({ headers }: FastifyRequest): void {
  const mode = headers["sec-fetch-mode"] ?? "navigate";
  const destination = headers["sec-fetch-dest"] ?? "document";
  if (mode !== "navigate" || destination !== "document")
    throw new Problem("cross_site", "A preview is opened in a window of its own.");
}

function parse(query: Record<string, unknown>): Wanted {
  const text = (name: string) => (typeof query[name] === "string" ? (query[name] as string) : "");
  const [label, port, nonce] = [text("label"), text("port"), text("nonce")];
  if (
    !/^[0-9a-z]{16,32}$/.test(label) ||
    !/^[1-9]\d{0,4}$/.test(port) ||
    Number(port) > 65_535 ||
    !/^[\w-]{43}$/.test(nonce)
  )
    throw new Problem("invalid_request", "This is not an address that a preview sends here.");
  return { label, port: Number(port), nonce };
}

function print({ label, port, nonce }: Wanted): string {
  return `label=${label}&port=${port}&nonce=${nonce}`;
}
