// What a box costs for an hour: by its size, which its template's version fixes, and the organization's prices. Asked for
// one box that is looked at; lists do not tell it.

import { useQuery } from "@tanstack/react-query";
import type { Phase } from "#sdk/client.ts";
import { berth } from "../data/berth.ts";
import { money } from "../org/money.ts";

export interface HourlyPrice {
  readonly running: string;
  readonly paused: string;
  readonly stopped: string;
}

/** Null when nothing has a price, or it is not known yet. */
export function useHourlyPrice(template: string, version?: number): HourlyPrice | null {
  const { data } = useQuery({
    queryKey: ["prices", "estimate", template, version ?? null],
    queryFn: () => berth.prices.estimate({ template, ...(version ? { version } : {}) }),
  });
  if (!data?.currency) return null;
  const { currency } = data;
  return {
    running: money(data.running, currency),
    paused: money(data.paused, currency),
    stopped: money(data.stopped, currency),
  };
}

export function restWords({ paused, stopped }: HourlyPrice): string {
  return `Paused ${paused}, stopped ${stopped}; snapshots and bytes out come on top.`;
}

/** What it costs as it is now. */
export function priceNow(price: HourlyPrice, phase: Phase): string {
  if (phase === "paused") return price.paused;
  return phase === "stopped" ? price.stopped : price.running;
}
