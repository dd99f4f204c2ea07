// Boxes that are shared with members and teams.

import type { Share } from "#contract/members.ts";
import { listShares, type ShareView, shareBox, unshareBox } from "#store/box-shares.ts";
import { answerOnce } from "#store/idempotency.ts";
import type { Handlers } from "./route.ts";

function shapeShare(share: ShareView): Share {
  return { ...share, createdAt: share.createdAt.toISOString() };
}

export function shareHandlers(): Pick<Handlers, Extract<keyof Handlers, `shares.${string}`>> {
  return {
    "shares.list": async ({ db, subject, params }) => ({
      items: (await listShares(db, subject, params.box)).map(shapeShare),
    }),
    "shares.create": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeShare(await shareBox(tx, subject, params.box, body)),
      ),
    "shares.delete": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeShare(await unshareBox(tx, subject, params.box, params.share)),
      ),
  };
}
