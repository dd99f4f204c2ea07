// Target T17: the port proxy beside nginx and Caddy (requests a second, MB/s) and beside no proxy at all. Ours carries
// an HTTP/2 link over TLS to the box's node, and checks a grant; the peers pass on to the app at once. "alone" is our
// gateway without the node: the work that the peers do too.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  downloadMbPerSecond,
  fetchPeers,
  type Proxies,
  requestsPerSecond,
  startProxies,
  type Target,
} from "#test/bench/proxies.ts";
import { median, type Row } from "#test/bench/row.ts";

const CONNECTIONS = 32;
const SECONDS = 4;
const ROUNDS = 5;
const BIG_MIB = 256;

type Peer = "direct" | "nginx" | "caddy";
const PEERS: Record<Peer, string> = {
  direct: "no proxy: wrk or curl to the app (nginx) itself",
  nginx: "nginx 1.22, 1 worker, keepalive to the app",
  caddy: "Caddy 2.6, GOMAXPROCS=1",
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
  const { direct, berth, berthAlone, nginx, caddy } = proxies;
  const measured: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // The order turns, so that nobody always has the machine's best moment.
    const turn: [keyof Round, Target][] = [
      ["berth", berth],
      ["nginx", nginx],
      ["berthAlone", berthAlone],
      ["caddy", caddy],
      ["direct", direct],
    ];
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
  const row = (ours: "berth" | "berthAlone", peer: Peer): Row => {
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
      note: `${PEERS[peer]}; private preview, grant checked; ratio is ours ÷ theirs`,
    };
  };
  const peers = Object.keys(PEERS) as Peer[];
  return [
    ...peers.map((peer) => row("berthAlone", peer)),
    ...peers.map((peer) => row("berth", peer)),
  ];
}
