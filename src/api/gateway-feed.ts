// What gateways are told and may ask (contract/gateway-feed.ts). A feed follows the events, which come in one order
// without gaps, and reads what each names: a gateway never knows less than the events that were told before.
//
// Reads: boxes, previews, ssh_keys, revocations. Writes: gateways. Wakes on: a new event. Every: BEAT_MS. Safe twice
// because every line is the truth of its moment.

import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { Problem } from "#contract/errors.ts";
import {
  type GatewayEntriesRequest,
  gatewayEntriesRequestSchema,
} from "#contract/gateway-entries.ts";
import {
  boxPortsRequestSchema,
  endedCredentialsRequestSchema,
  type FeedBox,
  type FeedChange,
  type FeedMember,
  type FeedMemberKey,
  type FeedRequest,
  type FeedSettings,
  feedRequestSchema,
  gatewayHostCertificateRequestSchema,
  previewPassRequestSchema,
  type WakeRequest,
  wakeRequestSchema,
} from "#contract/gateway-feed.ts";
import type { EventView } from "#store/events.ts";
import { writeGatewayEntries } from "#store/gateway-entries.ts";
import {
  readEndedCredentials,
  readFeedBoxes,
  readFeedBoxPage,
  readFeedKeys,
  readFeedMemberPage,
  readFeedMembers,
  readFeedPreviews,
  readFeedRevocations,
  readGoneLabels,
  readListeningPorts,
} from "#store/gateway-feed.ts";
import { closeFeed, keepFeed, openFeed } from "#store/gateways.ts";
import { refuseRenewal } from "#store/preview-visits.ts";
import { wakeBox } from "#store/wake-box.ts";
import { type PreviewCheck, type PreviewSigner, previewCheck } from "#trust/preview-tokens.ts";
import { TicketError } from "#trust/signed-claims.ts";
import { signHostCertificate } from "#trust/ssh-certificates.ts";
import { EventHub, type Listening } from "./event-hub.ts";
import { type NodeApiContext, refuseBadKey } from "./node-protocol.ts";
import { peerOf } from "./node-server.ts";
import { sendTexts } from "./sse.ts";

export interface GatewayFeedOptions {
  readonly dashboardOrigin: string;
  readonly previewOrigin: string | null;
  readonly signPreview: PreviewSigner;
  /** How long a feed is silent at most; for tests. */
  readonly beatMs?: number;
}

const BEAT_MS = 3000;
/** A gateway that takes nothing for so long is dropped, and comes back. */
const STALL_MS = 30_000;
const BEAT = `${JSON.stringify({ kind: "beat" })}\n`;
/** As many as a gateway remembers. */
const GONE_LABELS = 10_000;
/** Read in one query, and written in one piece. */
const PAGE = 2000;
/** Renewed by the gateway long before. */
const HOST_CERTIFICATE_MS = 90 * 86_400_000;
const BACKDATE_MS = 5 * 60_000;
/** Boxes' names end so: no gateway may prove to be one. */
const BOX_DOMAIN = ".berth";

/** What to stop when the server closes. */
export function registerGatewayRoutes(
  app: FastifyInstance,
  context: NodeApiContext & GatewayFeedOptions,
): { close(): Promise<void> } {
  const { db, clock, log, closing } = context;
  const hub = new EventHub(context);
  const checkPreview = previewCheck(context.ticketPublicKeysPem);
  const stream = { clock, log, heartbeatMs: context.beatMs ?? BEAT_MS, stallMs: STALL_MS };

  app.post(
    "/node/v1/gateway/feed",
    { schema: { body: feedRequestSchema } },
    async (request, reply) => {
      const name = peerOf(request, "gateway");
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      const signal = AbortSignal.any([gone.signal, closing]);
      const gateway = { ...(request.body as FeedRequest), name };
      const place = { isInLine: false };
      const lines = feedLines(context, hub, gateway, place, signal);
      // In the middle of a line JSON allows a space.
      const heartbeat = () => (place.isInLine ? " " : BEAT);
      return sendTexts(reply, lines, { contentType: "application/x-ndjson", heartbeat }, stream);
    },
  );

  app.post("/node/v1/gateway/wake", { schema: { body: wakeRequestSchema } }, async (request) => {
    peerOf(request, "gateway");
    return { phase: await wakeBox(db, request.body as WakeRequest) };
  });

  app.post(
    "/node/v1/gateway/ports",
    { schema: { body: boxPortsRequestSchema } },
    async (request) => {
      peerOf(request, "gateway");
      return { ports: await readListeningPorts(db, (request.body as { boxId: string }).boxId) };
    },
  );

  app.post(
    "/node/v1/gateway/ended-credentials",
    { schema: { body: endedCredentialsRequestSchema } },
    async (request) => {
      peerOf(request, "gateway");
      const { credentialIds } = request.body as { credentialIds: string[] };
      return { credentialIds: await readEndedCredentials(db, credentialIds) };
    },
  );

  app.post(
    "/node/v1/gateway/entries",
    { schema: { body: gatewayEntriesRequestSchema } },
    async (request) => {
      const name = peerOf(request, "gateway");
      await writeGatewayEntries(db, name, request.body as GatewayEntriesRequest);
      return {};
    },
  );

  app.post(
    "/node/v1/gateway/preview-pass",
    { schema: { body: previewPassRequestSchema } },
    async (request) => {
      peerOf(request, "gateway");
      const { pass } = request.body as { pass: string };
      return { pass: await renewPass(context, checkPreview, pass) };
    },
  );

  app.post(
    "/node/v1/gateway/host-certificate",
    { schema: { body: gatewayHostCertificateRequestSchema } },
    async (request) => {
      const name = peerOf(request, "gateway");
      const { publicKey, hosts } = request.body as { publicKey: string; hosts: string[] };
      refuseBoxNames(hosts);
      const nowMs = clock.nowMs();
      return refuseBadKey("publicKey", () => ({
        certificate: signHostCertificate(context.sshHostAuthority, {
          publicKeyLine: publicKey,
          keyId: `gateway ${name}`,
          principals: hosts,
          notBeforeMs: nowMs - BACKDATE_MS,
          notAfterMs: nowMs + HOST_CERTIFICATE_MS,
        }),
      }));
    },
  );
  return hub;
}

function refuseBoxNames(hosts: readonly string[]): void {
  for (const host of hosts) {
    const isHost = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(host);
    if (isHost && !host.toLowerCase().endsWith(BOX_DOMAIN)) continue;
    const message = `'${host}' is no host name of a gateway`;
    throw new Problem("invalid_request", `body.hosts: ${message}`, {
      fields: [{ path: "body.hosts", message }],
    });
  }
}

/** A link is not renewed: it says itself how long it holds. */
async function renewPass(
  { db, clock, signPreview }: NodeApiContext & GatewayFeedOptions,
  check: PreviewCheck,
  text: string,
): Promise<string> {
  const checked = await check.pass(text, clock.nowMs()).catch((error: unknown) => {
    if (!(error instanceof TicketError)) throw error;
    throw new Problem(
      error.reason === "expired" ? "ticket_expired" : "ticket_invalid",
      `The pass: ${error.message}.`,
      { cause: error },
    );
  });
  const { previewId, serial, credentialId, userId, kind } = checked;
  if (kind === "link") throw new Problem("ticket_invalid", "A link is not renewed.");
  await refuseRenewal(db, checked);
  return signPreview.pass({ previewId, serial, credentialId, userId }, clock.nowMs());
}

type Following = NodeApiContext & GatewayFeedOptions;

async function* feedLines(
  context: Following,
  hub: EventHub,
  gateway: FeedRequest & { readonly name: string },
  place: { isInLine: boolean },
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  const { db, log } = context;
  const feed = randomUUID();
  // Listens before it reads what is: nothing falls between.
  const listening = await hub.listen(tells, { early: true });
  const news = new News();
  signal.addEventListener("abort", () => news.end(), { once: true });
  const following = follow(context, listening, news, { name: gateway.name, feed }, signal);
  try {
    await openFeed(db, { ...gateway, feed });
    place.isInLine = true;
    yield* fullLine(context);
    place.isInLine = false;
    while (await news.some()) yield `${JSON.stringify(await changeOf(context, news))}\n`;
  } finally {
    listening.close();
    news.end();
    await following;
    // A replica that stops says nothing of the gateway, which goes on to another one.
    if (!context.closing.aborted)
      await closeFeed(db, gateway.name, feed).catch((err: unknown) =>
        log.warn({ err }, "a gateway that left is still listed for some seconds"),
      );
  }
}

/** Folds events into what they name, however slowly the gateway reads; keeps the gateway listed. */
async function follow(
  { db, clock, log, beatMs = BEAT_MS }: Following,
  listening: Listening,
  news: News,
  { name, feed }: { readonly name: string; readonly feed: string },
  signal: AbortSignal,
): Promise<void> {
  let keptMs = clock.monotonicMs();
  while (!signal.aborted && !news.isOver) {
    const events = await listening.take(beatMs, signal);
    if (events === null) break;
    for (const event of events) news.add(event);
    if (clock.monotonicMs() - keptMs < beatMs) continue;
    keptMs = clock.monotonicMs();
    // Its truth is the stream; the list only tells clients where to go.
    await keepFeed(db, name, feed).catch((err: unknown) =>
      log.warn({ err }, "a gateway cannot be kept in the list"),
    );
  }
  news.end();
}

/** Events after which a gateway knows less than is true. */
function tells({ subjectKind, kind }: EventView): boolean {
  if (subjectKind === "box") return kind !== "box.ports";
  if (subjectKind === "preview" || subjectKind === "ssh_key") return true;
  // Who may enter what: by a role, a team, a share.
  if (subjectKind === "member" || subjectKind === "grant") return true;
  return CREDENTIALS.has(subjectKind) && kind.endsWith(".deleted");
}

const CREDENTIALS: ReadonlySet<string> = new Set(["token", "web_session", "preview_link"]);

/** Ids of what has changed since it was told last. As many as there are things, and no more. */
class News {
  readonly #boxes = new Set<string>();
  readonly #previews = new Set<string>();
  readonly #keys = new Set<string>();
  readonly #credentials = new Set<string>();
  readonly #members = new Map<string, FeedMemberKey>();
  #wake = () => {};
  isOver = false;

  add({ subjectKind, subjectId, kind, orgId, boxId }: EventView): void {
    if (subjectKind === "grant" && boxId) this.#boxes.add(boxId);
    if (subjectKind === "member" && orgId)
      this.#members.set(`${orgId}/${subjectId}`, { orgId, userId: subjectId });
    if (subjectKind === "box") this.#boxes.add(subjectId);
    else if (subjectKind === "preview") this.#previews.add(subjectId);
    else if (subjectKind === "ssh_key") this.#keys.add(subjectId);
    if (kind.endsWith(".deleted")) this.#credentials.add(subjectId);
    this.#wake();
  }

  end(): void {
    this.isOver = true;
    this.#wake();
  }

  /** Waits until there is some; false: there will be no more. */
  async some(): Promise<boolean> {
    while (!this.isOver) {
      const size = this.#boxes.size + this.#previews.size + this.#keys.size;
      if (size + this.#credentials.size + this.#members.size > 0) return true;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return false;
  }

  /** Rights first and whole: they are few, and somebody's session must end. */
  take() {
    const boxes = [...this.#boxes].slice(0, PAGE);
    for (const id of boxes) this.#boxes.delete(id);
    const [previews, keys, credentials] = [this.#previews, this.#keys, this.#credentials].map(
      (set) => {
        const all = [...set];
        set.clear();
        return all;
      },
    ) as [string[], string[], string[]];
    const members = [...this.#members.values()];
    this.#members.clear();
    return { boxes, previews, keys, credentials, members };
  }
}

async function changeOf({ db }: Following, news: News): Promise<FeedChange> {
  const ids = news.take();
  const some = async <T>(those: readonly string[], read: () => Promise<T[]>) =>
    those.length === 0 ? [] : await read();
  const [boxes, previews, keys, members, revocations] = await Promise.all([
    some(ids.boxes, () => readFeedBoxes(db, ids.boxes)),
    some(ids.previews, () => readFeedPreviews(db, ids.previews)),
    some(ids.keys, () => readFeedKeys(db, ids.keys)),
    ids.members.length === 0 ? [] : readFeedMembers(db, ids.members),
    some(ids.credentials, () => readFeedRevocations(db, ids.credentials)),
  ]);
  return {
    kind: "change",
    boxes,
    goneBoxes: missing(ids.boxes, boxes, (one) => one.boxId),
    previews,
    gonePreviews: missing(ids.previews, previews, (one) => one.previewId),
    keys,
    goneKeys: missing(ids.keys, keys, (one) => one.keyId),
    members,
    goneMembers: ids.members.filter(
      ({ orgId, userId }) => !members.some((one) => one.orgId === orgId && one.userId === userId),
    ),
    revocations,
  };
}

function missing<T>(asked: readonly string[], found: readonly T[], idOf: (one: T) => string) {
  const known = new Set(found.map(idOf));
  return asked.filter((id) => !known.has(id));
}

/** One line in pieces: with many boxes it would hold everybody up to make it at once. */
async function* fullLine(context: Following): AsyncGenerator<string, void> {
  const { db } = context;
  const rest = {
    settings: settingsOf(context),
    previews: await readFeedPreviews(db, null),
    goneLabels: await readGoneLabels(db, GONE_LABELS),
    keys: await readFeedKeys(db, null),
    revocations: await readFeedRevocations(db, null),
  };
  yield `{"kind":"full",${JSON.stringify(rest).slice(1, -1)},"boxes":[`;
  yield* pagesOf((last: FeedBox | null) => readFeedBoxPage(db, last?.boxId ?? "", PAGE));
  yield '],"members":[';
  yield* pagesOf((last: FeedMember | null) => readFeedMemberPage(db, last, PAGE));
  yield "]}\n";
}

/** The items of a JSON array, page by page. */
async function* pagesOf<T>(read: (last: T | null) => Promise<T[]>): AsyncGenerator<string, void> {
  let last: T | null = null;
  for (;;) {
    const page: T[] = await read(last);
    const text = JSON.stringify(page).slice(1, -1);
    if (page.length > 0) yield last === null ? text : `,${text}`;
    last = page.at(-1) ?? last;
    if (page.length < PAGE) return;
  }
}

function settingsOf(context: Following): FeedSettings {
  return {
    ticketKeysPem: [...context.ticketPublicKeysPem],
    sshUserCa: context.sshUserAuthority.publicKeyLine,
    sshHostCa: context.sshHostAuthority.publicKeyLine,
    dashboardOrigin: context.dashboardOrigin,
    previewOrigin: context.previewOrigin,
  };
}
