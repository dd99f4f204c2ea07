// What a gateway knows from the control plane: boxes, previews, keys, settings, revocations. Pure: lines of the
// feed go in, look-ups come out. Each line is truth of its moment, so applying one twice changes nothing.

import type {
  FeedBox,
  FeedChange,
  FeedFull,
  FeedKey,
  FeedLine,
  FeedMember,
  FeedMemberKey,
  FeedPreview,
  FeedSettings,
} from "#contract/gateway-feed.ts";
import { mayEnter } from "./may-enter.ts";

/** The side of it that doors read. */
export interface Known {
  readonly settings: FeedSettings;
  box(boxId: string): FeedBox | null;
  findBox(orgId: string, nameOrId: string): FeedBox | null;
  /** `gone`: it had this label once, and no other will. */
  preview(label: string): FeedPreview | "gone" | null;
  /** One for each organization that it is registered in; all of one user. */
  keys(fingerprint: string): readonly FeedKey[];
  /** True also for a box that is not known here: nothing speaks against it. */
  mayEnter(userId: string, boxId: string): boolean;
  isMember(orgId: string, userId: string): boolean;
  /** When the control plane was heard last, by this machine's clock. */
  readonly asOfMs: number;
  isRevoked(credentialId: string): boolean;
  /** Somebody is let in by it, until what is returned is called: it is asked about after a time without a feed. */
  use(credentialId: string): () => void;
  /** The control plane is heard now: what is not known here is not so. */
  readonly isHeard: boolean;
  /** Called after each change; returns what ends that. */
  onChange(listener: () => void): () => void;
}

/** As many as the control plane sends. */
const MAX_GONE_LABELS = 10_000;
/** Boxes in one line when all of it is written out. */
const BOXES_A_LINE = 500;

export class KnownState implements Known {
  #settings: FeedSettings;
  readonly #boxes = new Map<string, FeedBox>();
  readonly #boxesByName = new Map<string, string>();
  readonly #previews = new Map<string, FeedPreview>();
  readonly #previewsByLabel = new Map<string, string>();
  readonly #goneLabels = new Set<string>();
  readonly #keys = new Map<string, FeedKey>();
  readonly #keysByFingerprint = new Map<string, Set<string>>();
  readonly #members = new Map<string, FeedMember>();
  readonly #revokedUntilMs = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #uses = new Map<string, number>();
  #isHeard = false;
  #asOfMs = 0;

  constructor(full: FeedFull, nowMs: number) {
    this.#settings = full.settings;
    this.apply(full, nowMs);
  }

  get settings(): FeedSettings {
    return this.#settings;
  }

  box(boxId: string): FeedBox | null {
    return this.#boxes.get(boxId) ?? null;
  }

  findBox(orgId: string, nameOrId: string): FeedBox | null {
    const boxId = this.#boxesByName.get(nameKey(orgId, nameOrId)) ?? nameOrId;
    const box = this.#boxes.get(boxId);
    return box?.orgId === orgId ? box : null;
  }

  preview(label: string): FeedPreview | "gone" | null {
    const preview = this.#previews.get(this.#previewsByLabel.get(label) ?? "");
    return preview ?? (this.#goneLabels.has(label) ? "gone" : null);
  }

  keys(fingerprint: string): FeedKey[] {
    return [...(this.#keysByFingerprint.get(fingerprint) ?? [])].flatMap(
      (keyId) => this.#keys.get(keyId) ?? [],
    );
  }

  mayEnter(userId: string, boxId: string): boolean {
    const box = this.#boxes.get(boxId);
    // Not told of yet, or deleted, and then no node serves it.
    if (!box) return true;
    const member = this.#members.get(memberKey({ orgId: box.orgId, userId }));
    return member !== undefined && mayEnter(member, box);
  }

  isMember(orgId: string, userId: string): boolean {
    return this.#members.has(memberKey({ orgId, userId }));
  }

  get asOfMs(): number {
    return this.#asOfMs;
  }

  isRevoked(credentialId: string): boolean {
    return this.#revokedUntilMs.has(credentialId);
  }

  /** Each that somebody is let in by now. */
  get inUse(): string[] {
    return [...this.#uses.keys()];
  }

  use(credentialId: string): () => void {
    this.#uses.set(credentialId, (this.#uses.get(credentialId) ?? 0) + 1);
    let isUsed = true;
    return () => {
      if (!isUsed) return;
      isUsed = false;
      const left = (this.#uses.get(credentialId) ?? 1) - 1;
      if (left > 0) this.#uses.set(credentialId, left);
      else this.#uses.delete(credentialId);
    };
  }

  get isHeard(): boolean {
    return this.#isHeard;
  }

  setHeard(isHeard: boolean): void {
    if (isHeard === this.#isHeard) return;
    this.#isHeard = isHeard;
    this.#tell();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  apply(line: FeedLine, nowMs: number): void {
    for (const [credentialId, untilMs] of this.#revokedUntilMs)
      if (untilMs < nowMs) this.#revokedUntilMs.delete(credentialId);
    this.#asOfMs = Math.max(this.#asOfMs, nowMs);
    if (line.kind !== "beat") this.#take(line, nowMs);
    // After a beat too: what was believed for being newer than what is known may have to be known by now.
    this.#tell();
  }

  #take(line: FeedFull | FeedChange, nowMs: number): void {
    if (line.kind === "full") this.#begin(line);
    else this.#forget(line);
    if (line.settings) this.#settings = line.settings;
    for (const box of line.boxes) this.#setBox(box);
    for (const preview of line.previews) this.#setPreview(preview);
    for (const key of line.keys) this.#setKey(key);
    for (const member of line.members) this.#members.set(memberKey(member), member);
    for (const { credentialId, untilMs } of line.revocations)
      if (untilMs >= nowMs) this.#revokedUntilMs.set(credentialId, untilMs);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** All of it again, as lines that `apply` takes; what changes meanwhile is in it, or is not. */
  *lines(): Generator<FeedFull | FeedChange> {
    yield {
      kind: "full",
      settings: this.#settings,
      boxes: [],
      previews: [...this.#previews.values()],
      goneLabels: [...this.#goneLabels],
      keys: [...this.#keys.values()],
      members: [...this.#members.values()],
      revocations: [...this.#revokedUntilMs].map(([credentialId, untilMs]) => ({
        credentialId,
        untilMs,
      })),
    };
    let boxes: FeedBox[] = [];
    for (const box of this.#boxes.values()) {
      boxes.push(box);
      if (boxes.length < BOXES_A_LINE) continue;
      yield changeOf(boxes);
      boxes = [];
    }
    if (boxes.length > 0) yield changeOf(boxes);
  }

  #begin({ goneLabels }: FeedFull): void {
    for (const map of [this.#boxes, this.#boxesByName, this.#previews, this.#previewsByLabel])
      map.clear();
    for (const map of [this.#keys, this.#keysByFingerprint, this.#revokedUntilMs]) map.clear();
    this.#members.clear();
    this.#goneLabels.clear();
    for (const label of goneLabels) this.#goneLabels.add(label);
  }

  #forget({ goneBoxes, gonePreviews, goneKeys, goneMembers }: FeedChange): void {
    for (const gone of goneMembers) this.#members.delete(memberKey(gone));
    for (const boxId of goneBoxes) {
      const box = this.#boxes.get(boxId);
      if (box) this.#dropName(box);
      this.#boxes.delete(boxId);
    }
    for (const previewId of gonePreviews) {
      const preview = this.#previews.get(previewId);
      if (preview) this.#dropLabel(preview.label);
      this.#previews.delete(previewId);
    }
    for (const keyId of goneKeys) {
      const key = this.#keys.get(keyId);
      if (key) this.#dropFingerprint(key);
      this.#keys.delete(keyId);
    }
  }

  #setBox(box: FeedBox): void {
    const before = this.#boxes.get(box.boxId);
    if (before && before.name !== box.name) this.#dropName(before);
    this.#boxes.set(box.boxId, box);
    // A name may be taken again while the box that had it is still being deleted.
    if (box.phase !== "deleting" && box.phase !== "deleted")
      this.#boxesByName.set(nameKey(box.orgId, box.name), box.boxId);
  }

  #dropName({ boxId, orgId, name }: FeedBox): void {
    const key = nameKey(orgId, name);
    if (this.#boxesByName.get(key) === boxId) this.#boxesByName.delete(key);
  }

  #setPreview(preview: FeedPreview): void {
    const before = this.#previews.get(preview.previewId);
    if (before && before.label !== preview.label) this.#dropLabel(before.label);
    this.#previews.set(preview.previewId, preview);
    this.#previewsByLabel.set(preview.label, preview.previewId);
  }

  #dropLabel(label: string): void {
    this.#previewsByLabel.delete(label);
    this.#goneLabels.add(label);
    if (this.#goneLabels.size <= MAX_GONE_LABELS) return;
    for (const oldest of this.#goneLabels) {
      this.#goneLabels.delete(oldest);
      return;
    }
  }

  #setKey(key: FeedKey): void {
    const before = this.#keys.get(key.keyId);
    if (before && before.fingerprint !== key.fingerprint) this.#dropFingerprint(before);
    this.#keys.set(key.keyId, key);
    const ids = this.#keysByFingerprint.get(key.fingerprint) ?? new Set();
    this.#keysByFingerprint.set(key.fingerprint, ids.add(key.keyId));
  }

  #dropFingerprint({ keyId, fingerprint }: FeedKey): void {
    const ids = this.#keysByFingerprint.get(fingerprint);
    ids?.delete(keyId);
    if (ids?.size === 0) this.#keysByFingerprint.delete(fingerprint);
  }
}

/** Ids and names have no slash. */
function nameKey(orgId: string, name: string): string {
  return `${orgId}/${name}`;
}

function memberKey({ orgId, userId }: FeedMemberKey): string {
  return `${orgId}/${userId}`;
}

function changeOf(boxes: readonly FeedBox[]): FeedChange {
  return { ...NOTHING, boxes: [...boxes] };
}

const NOTHING: FeedChange = {
  ...{ kind: "change", boxes: [], goneBoxes: [], previews: [], gonePreviews: [] },
  ...{ keys: [], goneKeys: [], members: [], goneMembers: [], revocations: [] },
};

/** A change that says of nothing but these that they hold no more. */
export function endOf(credentialIds: readonly string[], untilMs: number): FeedChange {
  const revocations = credentialIds.map((credentialId) => ({ credentialId, untilMs }));
  return { ...NOTHING, revocations };
}
