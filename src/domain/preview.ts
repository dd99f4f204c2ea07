// Previews: who may see one, who may change that, and at which address it is.

import { VISIBILITIES, type Visibility } from "./box.ts";
import type { OrgId, UserId } from "./ids.ts";
import type { Subject } from "./permission.ts";

/** Whose box it is. */
export interface Owned {
  readonly orgId: OrgId;
  readonly ownerId: UserId;
}

/** Open to more people. */
export function isWider(a: Visibility, b: Visibility): boolean {
  return VISIBILITIES.indexOf(a) > VISIBILITIES.indexOf(b);
}

/** Opens, widens, narrows, closes, hands out links. The box itself never can: it has no token. */
export function mayShare(subject: Subject, box: Owned): boolean {
  return subject.orgId === box.orgId && (subject.isAdmin || subject.userId === box.ownerId);
}

export function mayVisit(subject: Subject, box: Owned, visibility: Visibility): boolean {
  if (visibility === "public") return true;
  if (subject.orgId !== box.orgId) return false;
  return visibility === "org" || mayShare(subject, box);
}

export interface PreviewPlace {
  /** `http://*.localhost:7302`; null: reduced mode, below the gateway's own origin. */
  readonly previewOrigin: string | null;
  readonly gatewayUrl: string;
}

/** Where a browser finds it; ends with a slash. */
export function previewUrl(place: PreviewPlace, port: number, label: string): string {
  const name = `${port}-${label}`;
  if (place.previewOrigin === null) return `${place.gatewayUrl}/p/${name}/`;
  return `${place.previewOrigin.replace("*", name)}/`;
}
