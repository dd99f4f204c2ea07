// Where a box goes: filter the nodes that cannot take it, score the rest, and be able to say why. Pure.

export interface PlacementNode {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly schedulable: boolean;
  /** Its lease is fresh. */
  readonly isReady: boolean;
  readonly capacity: Resources;
  readonly overcommit: { readonly cpu: number; readonly memory: number; readonly disk: number };
  readonly used: Resources;
  /** What its disk really has left; null: not known. */
  readonly freeDiskGib: number | null;
  readonly boxes: number;
  readonly compatibility: string | null;
  readonly images: ReadonlySet<string>;
}

export interface Resources {
  readonly cpus: number;
  readonly memoryMib: number;
  readonly diskGib: number;
  readonly gpus: number;
}

export interface PlacementRequest {
  readonly needs: Resources;
  readonly region: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly imageDigest: string;
  /** Where it last was. */
  readonly lastNodeId: string | null;
  /** Nodes that still have an older epoch of it, which is being kept. */
  readonly strayNodeIds: ReadonlySet<string>;
  readonly source: {
    readonly withMemory: boolean;
    readonly compatibility: string | null;
    readonly isDurable: boolean;
    readonly copies: ReadonlySet<string>;
  } | null;
}

export interface PlacementCandidate {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly fits: boolean;
  readonly score: number | null;
  readonly reasons: readonly string[];
}

export interface PlacementExplanation {
  readonly summary: string;
  readonly atMs: number;
  readonly candidates: readonly PlacementCandidate[];
}

export interface PlacementChoice {
  readonly nodeId: string | null;
  readonly summary: string;
  readonly candidates: readonly PlacementCandidate[];
  /** The memory of its source cannot be restored by any node there is, busy or not. */
  readonly isMemoryLost: boolean;
}

/** Points of a score; a local snapshot outweighs everything, because bytes are what takes time. */
const POINTS = { localSnapshot: 1000, lastNode: 200, localImage: 100, free: 100 } as const;

const RESERVE_SHARE = 0.05;
const RESERVE_GIB_MIN = 2;
const RESERVE_GIB_MAX = 50;

/** How the summary of a box that waits begins; what follows changes with every box that comes and goes. */
export const NO_NODE_FITS = "no node fits";

export function choosePlacement(
  request: PlacementRequest,
  nodes: readonly PlacementNode[],
): PlacementChoice {
  const candidates = nodes
    .map((node) => judge(request, node))
    .sort((a, b) => (b.score ?? -1) - (a.score ?? -1) || (a.nodeId < b.nodeId ? -1 : 1));
  const best = candidates[0];
  const isMemoryLost =
    request.source?.withMemory === true &&
    nodes.some((node) => node.compatibility !== null) &&
    nodes.every((node) => node.compatibility !== null && !isCompatible(request, node));
  if (best?.fits)
    return {
      nodeId: best.nodeId,
      summary: `${best.nodeName}: ${best.reasons.join(", ")}`,
      candidates,
      isMemoryLost: false,
    };
  const summary =
    nodes.length === 0
      ? "there is no node yet: join one with `berth node token` and `berth node`"
      : `${NO_NODE_FITS}: ${whyNot(candidates)}`;
  return { nodeId: null, summary, candidates, isMemoryLost };
}

const NODES_IN_SUMMARY = 3;

function whyNot(candidates: readonly PlacementCandidate[]): string {
  const shown = candidates
    .slice(0, NODES_IN_SUMMARY)
    .map((candidate) => `${candidate.nodeName} ${candidate.reasons.join(", ")}`);
  const more = candidates.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}

function judge(request: PlacementRequest, node: PlacementNode): PlacementCandidate {
  const obstacles = obstaclesOf(request, node);
  if (obstacles.length > 0)
    return {
      nodeId: node.id,
      nodeName: node.name,
      fits: false,
      score: null,
      reasons: obstacles,
    };
  const { score, reasons } = scoreOf(request, node);
  return { nodeId: node.id, nodeName: node.name, fits: true, score, reasons };
}

function obstaclesOf(request: PlacementRequest, node: PlacementNode): string[] {
  const obstacles: string[] = [];
  if (!node.isReady) obstacles.push("does not answer");
  if (!node.schedulable) obstacles.push("takes no new boxes (cordoned)");
  if (request.region !== null && request.region !== node.region)
    obstacles.push(`is in region ${node.region}, not ${request.region}`);
  for (const [name, value] of Object.entries(request.labels))
    if (node.labels[name] !== value) obstacles.push(`lacks the label ${name}=${value}`);
  const free = freeOf(node);
  const shortage = (what: string, unit: string, need: number, left: number) => {
    if (need > left)
      obstacles.push(
        `has ${Math.max(0, Math.floor(left))}${unit} ${what} left of ${need}${unit} needed`,
      );
  };
  shortage("CPUs", "", request.needs.cpus, free.cpus);
  shortage("memory", " MiB", request.needs.memoryMib, free.memoryMib);
  shortage("disk", " GiB", request.needs.diskGib, free.diskGib);
  shortage("GPUs", "", request.needs.gpus, free.gpus);
  const reserveGib = diskReserveGib(node.capacity.diskGib);
  if (node.freeDiskGib !== null && node.freeDiskGib < reserveGib)
    obstacles.push(`has ${node.freeDiskGib} GiB of disk free, and keeps ${reserveGib} GiB of it`);
  if (request.source && !request.source.isDurable && !request.source.copies.has(node.id))
    obstacles.push("does not have the snapshot, which is not in the object store yet");
  if (request.strayNodeIds.has(node.id))
    obstacles.push("still has what it ran there before, which is kept first");
  if (!isCompatible(request, node))
    obstacles.push(
      `cannot restore memory of ${request.source?.compatibility} (it is ${node.compatibility})`,
    );
  return obstacles;
}

function isCompatible(request: PlacementRequest, node: PlacementNode): boolean {
  const { source } = request;
  if (!source?.withMemory || source.compatibility === null) return true;
  return source.compatibility === node.compatibility;
}

/** Left to the boxes that a node has: their memory and disks are files that grow, and a full disk kills them. */
export function diskReserveGib(diskGib: number): number {
  return Math.min(RESERVE_GIB_MAX, Math.max(RESERVE_GIB_MIN, Math.ceil(diskGib * RESERVE_SHARE)));
}

/** What may still be promised. GPUs are never promised twice. */
function freeOf(node: PlacementNode): Resources {
  return {
    cpus: node.capacity.cpus * node.overcommit.cpu - node.used.cpus,
    memoryMib: node.capacity.memoryMib * node.overcommit.memory - node.used.memoryMib,
    diskGib: node.capacity.diskGib * node.overcommit.disk - node.used.diskGib,
    gpus: node.capacity.gpus - node.used.gpus,
  };
}

function scoreOf(request: PlacementRequest, node: PlacementNode) {
  const reasons: string[] = [];
  const free = freeOf(node);
  const share = (left: number, all: number) => (all > 0 ? Math.max(0, Math.min(1, left / all)) : 0);
  const memoryShare = share(free.memoryMib, node.capacity.memoryMib * node.overcommit.memory);
  const cpuShare = share(free.cpus, node.capacity.cpus * node.overcommit.cpu);
  let score = POINTS.free * Math.min(memoryShare, cpuShare);
  reasons.push(`${Math.round(100 * memoryShare)} % of memory free`);
  if (request.source?.copies.has(node.id)) {
    score += POINTS.localSnapshot;
    reasons.push("has the snapshot");
  }
  if (request.lastNodeId === node.id) {
    score += POINTS.lastNode;
    reasons.push("ran it last");
  }
  if (node.images.has(request.imageDigest)) {
    score += POINTS.localImage;
    reasons.push("has the image");
  }
  return { score: Math.round(score * 100) / 100, reasons };
}
