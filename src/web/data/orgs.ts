// The organizations of the installation, and going from one to another.

import { berth } from "./berth.ts";
import { byName, type Pages, useAll } from "./pages.ts";
import type { InstallationOrg } from "./types.ts";

/** For operators; nobody else is told anything of others'. */
export function useOrgs(isWanted = true): Pages<InstallationOrg> {
  return useAll(["installation", "orgs"], (page) => berth.orgs.listAll(page), byName, { isWanted });
}

/** For as long servers remember who somebody is. */
const REMEMBERED_MS = 1000;

/** The session acts in the organization, whichever server is asked next: a page that loads earlier could show the other. */
export async function goToOrg(id: string): Promise<void> {
  await berth.orgs.switch(id);
  await new Promise((done) => setTimeout(done, REMEMBERED_MS));
}
