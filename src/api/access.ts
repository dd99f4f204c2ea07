// Ways into a box: tickets for the gateway, SSH certificates, and the authorities behind them.

import { Problem } from "#contract/errors.ts";
import { getBox } from "#store/boxes.ts";
import { listGateways } from "#store/gateways.ts";
import { knownHostsLine, SshKeyError, signUserCertificate } from "#trust/ssh-certificates.ts";
import type { ApiContext } from "./context.ts";
import type { Handlers } from "./route.ts";

/** Long enough to log in; a session that has begun goes on after it. */
const SSH_LIFETIME_MS = 5 * 60_000;
/** For clocks in a box that are behind. */
const SSH_BACKDATE_MS = 60_000;
const BOX_USER = "dev";
/** From the page's request to its socket; then the ticket is used up. */
const BROWSER_TICKET_MS = 30_000;
/** What the host certificates of boxes are issued for: NAME.berth and ID.berth. */
const HOST_PATTERN = "*.berth";

export function accessHandlers(
  context: ApiContext,
): Pick<Handlers, "access.ticket" | "access.sshCertificate" | "access.sshAuthority"> {
  const { clock } = context;
  const knownHosts = knownHostsLine(context.sshHostAuthority.publicKeyLine, HOST_PATTERN);
  return {
    "access.ticket": async ({ db, subject, credential, params, body }) => {
      const box = await getBox(db, subject, params.box, "box.enter");
      refuseDeleted(box);
      const gatewayUrls = await gatewayUrlsOf(context);
      const gatewayUrl = chosen(gatewayUrls, body) ?? context.gatewayUrl;
      const { ticket, expiresAtMs } = await context.signTicket(
        {
          userId: subject.userId,
          orgId: subject.orgId,
          boxId: box.id,
          // Whichever placement is current: a resume on another node does not end a login.
          epoch: null,
          ports: body.session ? [] : body.ports,
          kinds: body.session ? ["session"] : ["port", "console"],
          session: body.session ?? null,
          credentialId: credential.credentialId,
          origin: body.forBrowser ? context.dashboardOrigin : null,
          gatewayUrl: body.forBrowser ? gatewayUrl : null,
        },
        clock.nowMs(),
        body.forBrowser ? BROWSER_TICKET_MS : undefined,
      );
      return {
        ticket,
        gatewayUrl,
        gatewayUrls,
        boxId: box.id,
        epoch: box.epoch,
        expiresAt: new Date(expiresAtMs).toISOString(),
      };
    },
    "access.sshCertificate": async ({ db, subject, credential, params, body }) => {
      const box = await getBox(db, subject, params.box, "box.enter");
      refuseDeleted(box);
      const nowMs = clock.nowMs();
      const notAfterMs = nowMs + SSH_LIFETIME_MS;
      try {
        return {
          certificate: signUserCertificate(context.sshUserAuthority, {
            publicKeyLine: body.publicKey,
            // Read by the gateway's SSH door: who it is, and what ends the session when it is revoked.
            keyId: `${subject.userId}@${box.id}#${credential.credentialId}`,
            principals: [box.id],
            notBeforeMs: nowMs - SSH_BACKDATE_MS,
            notAfterMs,
          }),
          user: BOX_USER,
          hostName: `${box.id}.berth`,
          knownHosts,
          expiresAt: new Date(notAfterMs).toISOString(),
        };
      } catch (error) {
        if (!(error instanceof SshKeyError)) throw error;
        throw new Problem("invalid_request", `body.publicKey: ${error.message}`, {
          cause: error,
          fields: [{ path: "body.publicKey", message: error.message }],
        });
      }
    },
    "access.sshAuthority": async () => ({
      knownHosts: knownHostsLine(
        context.sshHostAuthority.publicKeyLine,
        [HOST_PATTERN, ...(await sshDoorPatterns(context))].join(","),
      ),
      userCa: context.sshUserAuthority.publicKeyLine,
    }),
  };
}

/** A page that moves on from a gateway says to which; one that is not there any more is not chosen. */
function chosen(
  gatewayUrls: readonly string[],
  {
    forBrowser,
    gatewayUrl,
  }: { readonly forBrowser: boolean; readonly gatewayUrl?: string | undefined },
): string | undefined {
  const isThere = forBrowser && gatewayUrl !== undefined && gatewayUrls.includes(gatewayUrl);
  return isThere ? gatewayUrl : gatewayUrls[0];
}

/** The gateways' SSH doors, as known_hosts names them. */
async function sshDoorPatterns({ db }: ApiContext): Promise<string[]> {
  const addresses = (await listGateways(db)).flatMap(({ sshAddress }) => sshAddress ?? []);
  return [...new Set(addresses)].map((address) => {
    const at = address.lastIndexOf(":");
    const host = address.slice(0, at).replace(/^\[|\]$/g, "");
    return address.slice(at) === ":22" ? host : `[${host}]${address.slice(at)}`;
  });
}

/** Those that answer. When none does, clients try all that were known: we may be what does not hear them. */
export async function gatewayUrlsOf({ db, gatewayUrl }: ApiContext): Promise<string[]> {
  const known = await listGateways(db);
  const live = known.filter((one) => one.isLive);
  const urls = (live.length > 0 ? live : known).map((one) => one.clientUrl);
  return urls.length > 0 ? [...new Set(urls)] : [gatewayUrl];
}

/** For a page that may stay open while gateways come and go. */
export async function allGatewayUrls({ db, gatewayUrl, log }: ApiContext): Promise<string[]> {
  const known = await listGateways(db).catch((err: unknown) => {
    log.warn({ err }, "a page is served without knowing the gateways");
    return [];
  });
  return [gatewayUrl, ...known.map((one) => one.clientUrl)];
}

function refuseDeleted(box: { readonly name: string; readonly desired: string }): void {
  if (box.desired === "deleted") throw new Problem("not_now", `${box.name} is being deleted.`);
}
