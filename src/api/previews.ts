// Previews and their links.

import type { Preview, PreviewLink } from "#contract/previews.ts";
import { previewUrl } from "#domain/preview.ts";
import { getBox } from "#store/boxes.ts";
import { answerOnce } from "#store/idempotency.ts";
import { closePreview, openPreview, setVisibility } from "#store/preview-changes.ts";
import {
  createPreviewLink,
  deletePreviewLink,
  listPreviewLinks,
  type PreviewLinkView,
} from "#store/preview-links.ts";
import { listPreviews, type PreviewView } from "#store/previews.ts";
import type { ApiContext } from "./context.ts";
import { pageFrom, textPosition } from "./cursor.ts";
import type { Handlers } from "./route.ts";

function shapePreview(preview: PreviewView, context: ApiContext): Preview {
  return {
    id: preview.id,
    box: { id: preview.boxId, name: preview.boxName },
    port: preview.port,
    url: previewUrl(context, preview.port, preview.label),
    visibility: preview.visibility,
    createdAt: preview.createdAt.toISOString(),
    closedAt: preview.closedAt?.toISOString() ?? null,
  };
}

function shapeLink(link: PreviewLinkView): PreviewLink {
  return {
    id: link.id,
    createdAt: link.createdAt.toISOString(),
    expiresAt: link.expiresAt.toISOString(),
    owner: link.ownerId,
  };
}

export function previewHandlers(
  context: ApiContext,
): Pick<Handlers, Extract<keyof Handlers, `previews.${string}`>> {
  return {
    "previews.open": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) => {
        const wanted = { port: body.port, visibility: body.visibility ?? null };
        return shapePreview(await openPreview(tx, subject, params.box, wanted), context);
      }),
    "previews.list": async ({ db, subject, query }) => {
      const boxId = query.box === undefined ? null : (await getBox(db, subject, query.box)).id;
      const scope = ["previews", boxId];
      const after = textPosition(scope, query.cursor);
      const rows = await listPreviews(db, subject, { boxId, after, limit: query.limit + 1 });
      const shape = (one: PreviewView) => shapePreview(one, context);
      return pageFrom(rows, query.limit, scope, (one) => one.id, shape);
    },
    "previews.update": ({ db, subject, params, body, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapePreview(await setVisibility(tx, subject, params.preview, body.visibility), context),
      ),
    "previews.close": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapePreview(await closePreview(tx, subject, params.preview), context),
      ),
    "previews.createLink": async ({ db, subject, credential, params, body, mutation }) => {
      const made = await answerOnce(db, subject, mutation, async (tx) => {
        const { link, preview } = await createPreviewLink(
          tx,
          credential,
          params.preview,
          body.expiresInMs,
        );
        const { id, serial, port, label } = preview;
        return { link: shapeLink(link), preview: { id, serial, port, label } };
      });
      return { ...made.link, url: await signLink(made, context) };
    },
    "previews.listLinks": async ({ db, subject, params, query }) => {
      const scope = ["links", params.preview];
      const after = textPosition(scope, query.cursor);
      const page = { after, limit: query.limit + 1 };
      const rows = await listPreviewLinks(db, subject, params.preview, page);
      return pageFrom(rows, query.limit, scope, (one) => one.id, shapeLink);
    },
    "previews.deleteLink": ({ db, subject, params, mutation }) =>
      answerOnce(db, subject, mutation, async (tx) =>
        shapeLink(await deletePreviewLink(tx, subject, params.preview, params.link)),
      ),
  };
}

/** From what is remembered of it: the signature itself is kept nowhere, and the same each time. */
async function signLink(
  made: {
    readonly link: PreviewLink;
    readonly preview: Pick<PreviewView, "id" | "serial" | "port" | "label">;
  },
  context: ApiContext,
): Promise<string> {
  const { link, preview } = made;
  const createdMs = Date.parse(link.createdAt);
  const text = await context.signPreview.link(
    {
      previewId: preview.id,
      serial: preview.serial,
      credentialId: link.id,
      userId: null,
    },
    createdMs,
    Date.parse(link.expiresAt) - createdMs,
  );
  return `${previewUrl(context, preview.port, preview.label)}?berth_link=${text}`;
}
