// Ways into a box: tickets for the gateway, SSH certificates, and the authorities behind them.

import { Problem } from "#contract/errors.ts";
import { getBox } from "#store/boxes.ts";
import { knownHostsLine, SshKeyError, signUserCertificate } from "#trust/ssh-certificates.ts";
import type { ApiContext } from "./context.ts";
import type { Handlers } from "./route.ts";

/** Long enough to log in; a session that has begun goes on after it. */
const SSH_LIFETIME_MS = 5 * 60_000;
/** For clocks in a box that are behind. */
const SSH_BACKDATE_MS = 60_000;
const BOX_USER = "dev";
/** What the host certificates of boxes are issued for: NAME.berth and ID.berth. */
const HOST_PATTERN = "*.berth";

export function accessHandlers(
  context: ApiContext,
): Pick<Handlers, "access.ticket" | "access.sshCertificate" | "access.sshAuthority"> {
  const { db, clock } = context;
  const knownHosts = knownHostsLine(context.sshHostAuthority.publicKeyLine, HOST_PATTERN);
  return {
    "access.ticket": async ({ subject, params, body }) => {
      const box = await getBox(db, subject, params.box);
      refuseDeleted(box);
      const { ticket, expiresAtMs } = await context.signTicket(
        {
          userId: subject.userId,
          orgId: subject.orgId,
          boxId: box.id,
          // Whichever placement is current: a resume on another node does not end a login.
          epoch: null,
          ports: body.ports,
          kinds: ["port", "console"],
          session: null,
          credentialId: subject.userId,
          origin: null,
        },
        clock.nowMs(),
      );
      return {
        ticket,
        gatewayUrl: context.gatewayUrl,
        boxId: box.id,
        epoch: box.epoch,
        expiresAt: new Date(expiresAtMs).toISOString(),
      };
    },
    "access.sshCertificate": async ({ subject, params, body }) => {
      const box = await getBox(db, subject, params.box);
      refuseDeleted(box);
      const nowMs = clock.nowMs();
      const notAfterMs = nowMs + SSH_LIFETIME_MS;
      try {
        return {
          certificate: signUserCertificate(context.sshUserAuthority, {
            publicKeyLine: body.publicKey,
            keyId: `${subject.userId}@${box.id}`,
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
      knownHosts,
      userCa: context.sshUserAuthority.publicKeyLine,
    }),
  };
}

function refuseDeleted(box: { readonly name: string; readonly desired: string }): void {
  if (box.desired === "deleted") throw new Problem("not_now", `${box.name} is being deleted.`);
}
