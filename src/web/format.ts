// Values as people read them.

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;

/** How long ago, or how long: 42s, 5m, 3h, 12d. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < MINUTE_S) return `${seconds}s`;
  if (seconds < HOUR_S) return `${Math.floor(seconds / MINUTE_S)}m`;
  if (seconds < DAY_S) return `${Math.floor(seconds / HOUR_S)}h`;
  return `${Math.floor(seconds / DAY_S)}d`;
}

export function shortAgo(iso: string, nowMs: number): string {
  const ms = nowMs - Date.parse(iso);
  return ms < 5000 ? "now" : `${span(ms)} ago`;
}

const UNIT_WORDS: Readonly<Record<string, string>> = {
  ...{ s: "second", m: "minute", h: "hour", d: "day" },
};

/** 42 seconds, 1 minute, 12 days. */
function spanWords(ms: number): string {
  const short = span(ms);
  return count(Number(short.slice(0, -1)), UNIT_WORDS[short.slice(-1)] ?? "");
}

export function ago(iso: string, nowMs: number): string {
  const ms = nowMs - Date.parse(iso);
  return ms < 5000 ? "now" : `${spanWords(ms)} ago`;
}

/** How long something has lasted: for 3 hours. */
export function lasting(iso: string, nowMs: number): string {
  return `for ${spanWords(nowMs - Date.parse(iso))}`;
}

/** The same for a time to come. */
export function until(iso: string, nowMs: number): string {
  const ms = Date.parse(iso) - nowMs;
  return ms <= 0 ? "expired" : `in ${spanWords(ms)}`;
}

export function memory(mib: number): string {
  if (mib < 1024) return `${mib} MiB`;
  const gib = mib / 1024;
  return `${Number.isInteger(gib) ? gib : gib.toFixed(1)} GiB`;
}

export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function milliseconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

/** `1 box`, `3 boxes`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** A word that begins like `vCPUs` is written like that everywhere. */
export function sentence(words: string): string {
  return /^[a-z]+[A-Z]/.test(words) ? words : words.charAt(0).toUpperCase() + words.slice(1);
}

// Made once: each costs more than a row of a list.
const CLOCK = new Intl.DateTimeFormat([], {
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
});
const DAY = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });
const YEAR_DAY = new Intl.DateTimeFormat([], { day: "numeric", month: "short", year: "numeric" });
const FULL = new Intl.DateTimeFormat([], {
  ...{ day: "numeric", month: "short", year: "numeric" },
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" },
});

export function clockTime(iso: string): string {
  return CLOCK.format(new Date(iso));
}

/** Of today the time alone, of another day that day too; as the reader's clock has it. */
export function dayAndTime(iso: string, nowMs: number): string {
  const at = new Date(iso);
  const now = new Date(nowMs);
  if (at.toDateString() === now.toDateString()) return clockTime(iso);
  const day = at.getFullYear() === now.getFullYear() ? DAY : YEAR_DAY;
  return `${day.format(at)}, ${clockTime(iso)}`;
}

/** With the zone in which it is told. */
export function fullTime(iso: string): string {
  return FULL.format(new Date(iso));
}
