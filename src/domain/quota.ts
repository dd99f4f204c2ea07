// Quotas: which resources are limited, and how a refusal says what is full and how to make room. The counting is
// done by triggers (store/migrations/0006-quotas.sql), which use these names.

/** What boxes, snapshots and previews take, and give back. */
export const COUNTED = [
  "boxes",
  "running",
  "cpus",
  "memoryMib",
  "gpus",
  "diskGib",
  "snapshotBytes",
  "sharedPorts",
] as const;
export type Counted = (typeof COUNTED)[number];

/** `createsPerHour` is given back by time alone. */
export const RESOURCES = [...COUNTED, "createsPerHour"] as const;
export type QuotaResource = (typeof RESOURCES)[number];

/** Of one box. */
export const BOX_SIZES = ["boxCpus", "boxMemoryMib", "boxDiskGib"] as const;
export type BoxSizeLimit = (typeof BOX_SIZES)[number];

export const QUOTA_SCOPES = ["org", "team", "user"] as const;
export type QuotaScope = (typeof QUOTA_SCOPES)[number];

/** In the place of a team's or a user's id: every one of them that has no limit of its own. */
export const EVERYONE = "*";

/** A resource that is not there is not limited. */
export type QuotaLimits = Readonly<
  Partial<Record<QuotaResource | BoxSizeLimit, number> & { templates: readonly string[] }>
>;
export type QuotaUsage = Readonly<Record<QuotaResource, number>>;

/** What an operator sets for all organizations, their teams and their users: where they have no limits of their own. */
export type InstallationLimits = Readonly<Record<QuotaScope, QuotaLimits>>;

/** Which limit stands in the way, as the database says it. */
export interface QuotaBreach {
  readonly orgId: string;
  readonly scope: QuotaScope;
  readonly scopeId: string;
  readonly resource: QuotaResource | BoxSizeLimit | "templates";
  readonly limit: number;
  readonly used: number;
  readonly wanted: number;
}

/** What whoever was refused can know and do about it. */
export interface QuotaContext {
  /** Name of the organization, team or user; null: of whoever asks. */
  readonly holder: string | null;
  /** Who takes most of it. Empty for a user's own limit. */
  readonly top: readonly { readonly name: string; readonly used: number }[];
  /** Names of boxes that could make room, largest first; only the asker's to free. Null: it is not known who asks. */
  readonly freeable: readonly string[] | null;
  /** Names of the templates that may be used. */
  readonly templates: readonly string[];
}

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

interface Wording {
  /** After a number: `8 vCPUs of running boxes`. */
  readonly noun: string;
  /** After 1, where it differs. */
  readonly one?: string;
  readonly print?: (amount: number) => string;
  /** How to make room, before the names of what could go. */
  readonly free: string;
}

const PAUSE = "Pause or stop";
const WORDINGS: Readonly<Record<QuotaResource, Wording>> = {
  boxes: { noun: "boxes", one: "box", free: "Delete" },
  running: { noun: "running boxes", one: "running box", free: PAUSE },
  cpus: { noun: "vCPUs of running boxes", one: "vCPU of running boxes", free: PAUSE },
  memoryMib: { noun: "of memory of running boxes", print: printMib, free: PAUSE },
  gpus: { noun: "GPUs of running boxes", one: "GPU of running boxes", free: PAUSE },
  diskGib: { noun: "of disks", print: (gib) => `${gib} GiB`, free: "Delete" },
  snapshotBytes: { noun: "of snapshots", print: printBytes, free: "Delete checkpoints of" },
  sharedPorts: {
    noun: "shared ports",
    one: "shared port",
    free: "Close or make private the previews of",
  },
  createsPerHour: { noun: "boxes created in an hour", one: "box created in an hour", free: "" },
};

const SIZE_WORDINGS: Readonly<Record<BoxSizeLimit, (amount: number) => string>> = {
  boxCpus: (amount) => `${amount} vCPUs`,
  boxMemoryMib: (amount) => `${printMib(amount)} of memory`,
  boxDiskGib: (amount) => `${amount} GiB of disk`,
};

function printMib(mib: number): string {
  return mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`;
}

/** Rounded up: what is said to be free is. */
function printBytes(bytes: number): string {
  if (bytes >= GIB) return `${Math.ceil((bytes / GIB) * 10) / 10} GiB`;
  return `${Math.ceil(bytes / MIB)} MiB`;
}

/** Which limit, how much of it is used by whom, and how to free it. */
export function breachText(breach: QuotaBreach, context: QuotaContext): string {
  const { resource } = breach;
  if (resource === "templates")
    return `Boxes of ${ofWhom(breach, context)} can be made from ${listed(context.templates, "no template")} only.`;
  if (isSize(resource)) {
    const print = SIZE_WORDINGS[resource];
    return `A box of ${ofWhom(breach, context)} has ${print(breach.limit)} at most, and this one would have ${print(breach.wanted)}. Use a template with a smaller size.`;
  }
  const { noun, one = noun, print } = WORDINGS[resource];
  const show = (amount: number) => print?.(amount) ?? String(amount);
  const top =
    context.top.length > 0
      ? ` (${context.top.map(({ name, used }) => `${name} ${show(used)}`).join(", ")})`
      : "";
  return [
    `${limitOf(breach, context)} is ${show(breach.limit)} ${breach.limit === 1 ? one : noun}:`,
    `${show(breach.used)} ${breach.used === 1 ? "is" : "are"} used${top},`,
    `and this needs ${show(breach.wanted)} more.`,
    freeText(resource, context.freeable),
  ].join(" ");
}

function freeText(resource: QuotaResource, freeable: QuotaContext["freeable"]): string {
  if (resource === "createsPerHour") return "Wait until the oldest of them is an hour ago.";
  const { free } = WORDINGS[resource];
  if (freeable === null) return `${free} a box to make room.`;
  if (freeable.length === 0) return "None of it is yours to free.";
  return `${free} ${listed(freeable, "")} to make room.`;
}

function limitOf(breach: QuotaBreach, context: QuotaContext): string {
  return context.holder === null ? "Your limit" : `The limit of ${ofWhom(breach, context)}`;
}

function ofWhom({ scope }: QuotaBreach, { holder }: QuotaContext): string {
  if (holder === null) return "you";
  const kinds = { org: "the organization", team: "the team", user: "the user" } as const;
  return `${kinds[scope]} ${holder}`;
}

function listed(names: readonly string[], none: string): string {
  if (names.length <= 1) return names[0] ?? none;
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

export function isSize(resource: string): resource is BoxSizeLimit {
  return (BOX_SIZES as readonly string[]).includes(resource);
}
