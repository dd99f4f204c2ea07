// What the size of an installation costs: the same requests of the same organization of 100 boxes, where it is alone and
// where 2,999 others with 200,000 boxes are beside it. Interleaved, in this process, against the same Postgres.

import { createHash } from "node:crypto";
import { Client } from "undici";
import { createBoxOnce, getBox, listBoxes } from "#store/boxes.ts";
import type { Db } from "#store/db.ts";
import type { RequestFacts } from "#store/request.ts";
import { forRequest } from "#store/tenant.ts";
import { identifyToken } from "#store/tokens.ts";
import { type ControlPlane, controlPlane } from "#test/harness/control-plane.ts";
import { type Crowd, fillWithOrgs, type ManyOrgs } from "#test/harness/many-orgs.ts";
import { type Pair, type Row, rowOf } from "./row.ts";
import { timedMs } from "./vm-rig.ts";

const ALONE: Crowd = { orgs: 1, users: 10, boxes: 100 };
const AMONG: Crowd = { orgs: 3000, users: 30_000, boxes: 200_000 };
const PAIRS = 200;
const WARM_UP = 20;

export async function run(): Promise<Row[]> {
  const closing: (() => Promise<unknown>)[] = [];
  try {
    const scope = { after: (work: () => Promise<void>) => void closing.unshift(work) };
    const [ours, theirs] = [await open(scope, AMONG), await open(scope, ALONE)];
    const rows: Row[] = [];
    const note = `theirs: 1 organization with 100 boxes; ours: the same beside ${AMONG.orgs - 1} with ${AMONG.boxes}`;
    for (const [name, act] of Object.entries(ACTS)) {
      const pairs: Pair[] = [];
      for (let n = -WARM_UP; n < PAIRS; n += 1) {
        const pair = {
          ours: await timedMs(() => act(ours)),
          theirs: await timedMs(() => act(theirs)),
        };
        if (n >= 0) pairs.push(pair);
      }
      rows.push(
        rowOf(`${name}, at 100 boxes ÷ at ${AMONG.boxes} (aim 0.5 or more)`, "ms", pairs, note),
      );
    }
    return [...rows, ...(await wallRows(ours))];
  } finally {
    for (const close of closing) await close();
  }
}

interface Side {
  readonly plane: ControlPlane;
  readonly many: ManyOrgs;
  readonly http: Client;
  readonly ownerToken: string;
  readonly memberToken: string;
}

async function open(scope: Parameters<typeof controlPlane>[0], crowd: Crowd): Promise<Side> {
  const plane = await controlPlane(scope);
  const many = await fillWithOrgs(plane.db, crowd);
  const http = new Client(plane.url);
  scope.after(() => http.close());
  const ownerToken = (await plane.callerFor(many.owner)).token;
  const memberToken = (await plane.callerFor(many.member)).token;
  return { plane, many, http, ownerToken, memberToken };
}

async function ask(side: Side, token: string, method: "GET" | "POST", path: string, body?: object) {
  const answer = await side.http.request({
    ...{ method, path },
    headers: {
      authorization: `Bearer ${token}`,
      ...(body ? { "content-type": "application/json" } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await answer.body.text();
  if (answer.statusCode > 299) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
}

/** The hash of the member's own token among those written in bulk. */
const MEMBER_HASH = createHash("md5").update("token1").digest("hex");

const ACTS: Readonly<Record<string, (side: Side) => Promise<void>>> = {
  "list of an owner": (side) => ask(side, side.ownerToken, "GET", "/v1/boxes?limit=50"),
  "list of a member (own, a team's, shared)": (side) =>
    ask(side, side.memberToken, "GET", "/v1/boxes?limit=50"),
  "create accepted": (side) =>
    ask(side, side.memberToken, "POST", "/v1/boxes", { template: "base" }),
  "who a token is, and whether they may enter a shared box": async ({ plane, many }) => {
    const who = await identifyToken(plane.db, MEMBER_HASH);
    if (!who) throw new Error("the token is nobody's");
    const facts = { ...NO_FACTS, subject: who.subject };
    await getBox(forRequest(plane.db, facts), who.subject, many.shared, "box.enter");
  },
  "events of a member": (side) => ask(side, side.memberToken, "GET", "/v1/events?limit=50"),
};

const NO_FACTS: Omit<RequestFacts, "subject"> = {
  ...{ requestId: "req_bench", route: "boxes.get", isMutation: false, credentialId: "tok_bench" },
  ...{ address: "192.0.2.1", userAgent: null, resource: {} },
};

/** The same work on a connection that row security holds to one organization, and on one of the owner of all tables. */
async function wallRows({ plane: { db }, many: { member } }: Side): Promise<Row[]> {
  const facts = { ...NO_FACTS, subject: member };
  const [inside, outside] = [forRequest(db, facts), { ...db, request: facts }];
  const page = { after: null, limit: 50 };
  const input = { name: null, template: "base", version: null, env: {} };
  const works: Readonly<Record<string, (on: Db) => Promise<unknown>>> = {
    "list of a member": (on) => listBoxes(on, member, page),
    "create of a box": (on) => createBoxOnce(on, member, null, input, () => null),
  };
  const rows: Row[] = [];
  for (const [name, work] of Object.entries(works)) {
    const pairs: Pair[] = [];
    for (let n = -WARM_UP; n < PAIRS; n += 1) {
      const pair = {
        ours: await timedMs(() => work(inside)),
        theirs: await timedMs(() => work(outside)),
      };
      if (n >= 0) pairs.push(pair);
    }
    const note =
      "the function of the store alone, among 200,000 boxes; theirs: without the second wall";
    rows.push(rowOf(`${name}: without row security ÷ with`, "ms", pairs, note));
  }
  return rows;
}
