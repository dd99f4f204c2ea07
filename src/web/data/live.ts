// The live state as React sees it, and when it is followed: while somebody is logged in and looks.

import { useMemo, useSyncExternalStore } from "react";
import type { Box, Event } from "#sdk/client.ts";
import { berth, noteError, queries } from "./berth.ts";
import { LiveBoxes, type LiveState } from "./live-boxes.ts";

export const live = new LiveBoxes({
  client: berth,
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    }),
  onEvent: refresh,
  onError: noteError,
});

/** What an event says is out of date, by the first word of its kind. */
const TOPICS: Readonly<Record<string, readonly string[]>> = {
  template: ["templates"],
  snapshot: ["snapshots"],
  checkpoint: ["snapshots"],
  box: ["snapshots", "nodes", "previews", "quotas"],
  node: ["nodes", "system"],
  preview: ["previews"],
  key: ["keys"],
  ssh_key: ["keys"],
  token: ["tokens", "system"],
  org: ["org", "orgs", "system"],
  member: ["members", "teams", "system", "orgs"],
  team: ["teams", "members", "system"],
  grant: ["shares", "members", "teams", "system"],
  invitation: ["invitations"],
  service_account: ["service-accounts", "members"],
  quota: ["quotas"],
  budget: ["budgets"],
  provider: ["providers"],
  scim_token: ["scim-tokens"],
};

function refresh(event: Event): void {
  const topic = event.kind.split(".")[0] ?? "";
  for (const key of TOPICS[topic] ?? []) void queries.invalidateQueries({ queryKey: [key] });
}

const HIDDEN_MS = 20_000;

/** A browser opens six connections to a server: pages that nobody looks at give theirs back. */
export function followWhileVisible(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => live.stop(), HIDDEN_MS);
    else live.start();
  };
  const again = () => {
    live.stop();
    look();
  };
  look();
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", again);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
    window.removeEventListener("online", again);
    live.stop();
  };
}

const subscribe = (listener: () => void) => live.subscribe(listener);

export function useLive(): LiveState {
  return useSyncExternalStore(subscribe, () => live.state);
}

/** Newest first. */
export function useBoxes(): readonly Box[] {
  const { boxes } = useLive();
  return useMemo(
    () => [...boxes.values()].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)),
    [boxes],
  );
}

let nowMs = Date.now();
const tickers = new Set<() => void>();
let ticking: ReturnType<typeof setInterval> | undefined;

/** The time, told once a second. */
export function useNow(): number {
  return useSyncExternalStore(
    (listener) => {
      tickers.add(listener);
      // Nobody has looked for a while: it is later than it was then.
      if (!ticking) nowMs = Date.now();
      ticking ??= setInterval(() => {
        nowMs = Date.now();
        for (const tick of tickers) tick();
      }, 1000);
      return () => {
        tickers.delete(listener);
        if (tickers.size > 0) return;
        clearInterval(ticking);
        ticking = undefined;
      };
    },
    () => nowMs,
  );
}
