// Which sessions a person has open in a box's terminal page: tabs, each with one or more panes beside each other.
// Kept in the browser, so that a reloaded page shows the same ones; the sessions themselves are in the box.

import type { SessionMode } from "#wire/exec-frames.ts";

export interface Pane {
  readonly session: string;
  readonly mode: SessionMode;
}

export interface Tab {
  readonly id: string;
  readonly panes: readonly Pane[];
}

export interface Panes {
  readonly tabs: readonly Tab[];
  readonly active: string | null;
}

const MAX_PANES = 4;
const SESSION_ID = /^[a-z0-9][a-z0-9-]{0,63}$/;

export const NO_PANES: Panes = { tabs: [], active: null };

export function openTab(panes: Panes, pane: Pane): Panes {
  const there = panes.tabs.find((tab) => tab.panes.some((one) => one.session === pane.session));
  if (there) return { ...panes, active: there.id };
  return { tabs: [...panes.tabs, { id: pane.session, panes: [pane] }], active: pane.session };
}

export function splitTab(panes: Panes, tabId: string, pane: Pane): Panes {
  const tabs = panes.tabs.map((tab) =>
    tab.id === tabId && tab.panes.length < MAX_PANES
      ? { ...tab, panes: [...tab.panes, pane] }
      : tab,
  );
  return { ...panes, tabs };
}

/** Takes a pane away; a tab without panes goes too, and the one beside it comes forward. */
export function closePane(panes: Panes, session: string): Panes {
  const at = panes.tabs.findIndex((tab) => tab.panes.some((pane) => pane.session === session));
  const tabs = panes.tabs
    .map((tab) => ({ ...tab, panes: tab.panes.filter((pane) => pane.session !== session) }))
    .filter((tab) => tab.panes.length > 0);
  const isThere = tabs.some((tab) => tab.id === panes.active);
  const active = isThere ? panes.active : (tabs[Math.min(at, tabs.length - 1)]?.id ?? null);
  return { tabs, active };
}

/** What was kept, as far as it makes sense. */
export function parsePanes(text: string | null): Panes {
  try {
    const kept = JSON.parse(text ?? "null") as Partial<Panes> | null;
    let panes = NO_PANES;
    for (const tab of kept?.tabs ?? [])
      for (const [index, { session, mode }] of tab.panes.entries()) {
        if (!SESSION_ID.test(session)) continue;
        const pane: Pane = { session, mode: mode === "read" ? "read" : "write" };
        const first = tab.panes[0]?.session ?? "";
        panes = index === 0 ? openTab(panes, pane) : splitTab(panes, first, pane);
      }
    const isThere = panes.tabs.some((tab) => tab.id === kept?.active);
    return isThere ? { ...panes, active: kept?.active ?? null } : panes;
  } catch {
    return NO_PANES;
  }
}

/** Short, and unlike any other in the box. */
export function newSessionId(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789";
  const random = crypto.getRandomValues(new Uint8Array(8));
  return `web-${[...random].map((byte) => letters[byte % letters.length]).join("")}`;
}
