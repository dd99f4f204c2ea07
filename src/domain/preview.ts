// Previews: who may see one, who may change that, and at which address it is.

import { VISIBILITIES, type Visibility } from "./box.ts";
/** Open to more people. */
export function isWider(a: Visibility, b: Visibility): boolean {
  return VISIBILITIES.indexOf(a) > VISIBILITIES.indexOf(b);
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
