// Going from one organization to another.

import { berth } from "./berth.ts";

/** For as long servers remember who somebody is. */
const REMEMBERED_MS = 1000;

/** The session acts in the organization, whichever server is asked next: a page that loads earlier could show the other. */
export async function goToOrg(id: string): Promise<void> {
  await berth.orgs.switch(id);
  await new Promise((done) => setTimeout(done, REMEMBERED_MS));
}
