// Target T17: the port proxy beside nginx and Caddy (requests a second, MB/s) and beside no proxy at all. Ours carries
// an HTTP/2 link over TLS to the box's node, and checks a pass; the peers pass on to the app at once. "alone" is our
// gateway without the node: the work that the peers do too.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#lib/clock.ts";
import {
  downloadMbPerSecond,
  fetchPeers,
  type Proxies,
  requestsPerSecond,
  startProxies,
  type Target,
} from "#test/bench/proxies.ts";
import { median, type Pair, type Row, rowOf } from "#test/bench/row.ts";
import { BOX, until } from "#test/harness/doors.ts";
import { get, openPreviews } from "#test/harness/previews.ts";

const CONNECTIONS = 32;
const SECONDS = 4;
const ROUNDS = 5;
const BIG_MIB = 256;
const WAKES = 20;
const RESUME_MS = 120;
const PARKED = 200;

type Ours = "berth" | "berthAlone";
type Peer = "direct" | "nginx" | "caddy" | "nginxTwice" | "caddyTwice";
const PEERS: Record<Peer, string> = {
  direct: "no proxy: to the app (nginx) itself",
  nginx: "nginx 1.22, 1 worker, keepalive to the app",
  caddy: "Caddy 2.6, GOMAXPROCS=1",
  nginxTwice: "two nginx with TLS between",
  caddyTwice: "two Caddy with TLS (HTTP/2) between",
};
/** Who does the same work. */
const COMPARED: Record<Ours, readonly Peer[]> = {
  berthAlone: ["direct", "nginx", "caddy"],
  berth: ["direct", "nginx", "caddy", "nginxTwice", "caddyTwice"],
};

type Round = Record<keyof Omit<Proxies, "close">, number>;

export async function run(): Promise<Row[]> {
  await fetchPeers();
  const directory = await mkdtemp(join(tmpdir(), "berth-bench-previews-"));
  const proxies = await startProxies(directory, BIG_MIB).catch(async (error: unknown) => {
    await rm(directory, { recursive: true, force: true });
    throw error;
  });
  try {
    const rates = await rounds("requests/s", proxies, (target) =>
      requestsPerSecond(target, CONNECTIONS, SECONDS),
    );
    const speeds = await rounds("MB/s", proxies, downloadMbPerSecond);
    return [
      ...rows(`tiny answers over ${CONNECTIONS} connections`, "requests/s", rates),
      ...rows(`one download of ${BIG_MIB} MiB`, "MB/s", speeds),
      ...(await wakes()),
    ];
  } finally {
    await proxies.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function rounds(
  what: string,
  proxies: Proxies,
  measure: (target: Target) => Promise<number>,
): Promise<Round[]> {
  const { close: _, ...targets } = proxies;
  const measured: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // The order turns, so that nobody always has the machine's best moment.
    const turn = Object.entries(targets) as [keyof Round, Target][];
    const one: Partial<Round> = {};
    for (let at = 0; at < turn.length; at++) {
      const [name, target] = turn[(at + round) % turn.length] as [keyof Round, Target];
      one[name] = await measure(target);
    }
    measured.push(one as Round);
    console.log(`previews: ${what} round ${round + 1}: ${JSON.stringify(one)}`);
  }
  return measured;
}

/** More is better here, so that the ratio is ours ÷ theirs. */
function rows(what: string, unit: string, measured: readonly Round[]): Row[] {
  const row = (ours: Ours, peer: Peer): Row => {
    const ratios = measured.map((round) => round[ours] / round[peer]);
    const how = ours === "berth" ? "through the gateway and the node" : "the gateway alone";
    return {
      name: `${what}, ${how}: ${peer}`,
      unit,
      ours: median(measured.map((round) => round[ours])),
      theirs: median(measured.map((round) => round[peer])),
      ratio: median(ratios),
      n: measured.length,
      spread: [Math.min(...ratios), Math.max(...ratios)],
      note: `${PEERS[peer]}; private preview, pass checked; more is better, ratio is ours ÷ theirs`,
    };
  };
  return (Object.keys(COMPARED) as Ours[]).flatMap((ours) =>
    COMPARED[ours].map((peer) => row(ours, peer)),
  );
}

/** A request that finds its box at rest, beside a resume that is waited for and then a request. */
async function wakes(): Promise<Row[]> {
  const rig = await openPreviews({ askWake: async () => resume() });
  const { driver, links, gateway } = rig.doors;
  let epoch = 1;
  let resumedMs = 0;
  const resume = (): "resuming" => {
    if (driver.boxes.size > 0) return "resuming";
    epoch += 1;
    const startedMs = performance.now();
    systemClock.sleep(RESUME_MS).then(() => {
      driver.boxes.set(BOX, { epoch, state: "ready" });
      links.refresh();
      resumedMs = performance.now() - startedMs;
    });
    return "resuming";
  };
  try {
    await rig.http((_, response) => response.end("served"));
    const cookie = `Cookie: ${await rig.cookie()}`;
    const timed = async () => {
      const startedMs = performance.now();
      if (!(await get(rig, "/", [cookie])).endsWith("served")) throw new Error("not served");
      return performance.now() - startedMs;
    };
    const rest = async () => {
      driver.boxes.clear();
      links.refresh();
      await until(() => gateway.status().boxes === 0, "the box rests");
    };
    const pairs: Pair[] = [];
    for (let round = 0; round < WAKES; round++) {
      await rest();
      const ours = await timed();
      pairs.push({ ours, theirs: resumedMs + (await timed()) });
    }
    await rest();
    const parked = await Promise.all(Array.from({ length: PARKED }, timed));
    return [
      rowOf(
        "first byte from a box at rest: its resume and a warm request",
        "ms",
        pairs,
        `a resume of ${RESUME_MS} ms is played; ${parked.length} of ${PARKED} requests that waited together were served, the last after ${Math.max(...parked).toFixed(0)} ms`,
      ),
    ];
  } finally {
    await rig.end();
  }
}
