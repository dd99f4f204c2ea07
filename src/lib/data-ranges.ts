// Where a sparse file has data. Node has no SEEK_DATA, and reading holes is dear: each page of a hole
// becomes a page of the page cache. xfs_io (of xfsprogs, which Berth needs anyway) asks the kernel.

import { run } from "#lib/run.ts";

export interface DataRange {
  readonly from: number;
  readonly to: number;
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const TIMEOUT_MS = 60_000;

/** Ascending; everything between them reads as zero. Null when it cannot be told: then read everything. */
export async function dataRanges(path: string, size: number): Promise<DataRange[] | null> {
  try {
    const { stdout } = await run(["xfs_io", "-r", "-c", "seek -ar 0", path], {
      env: { PATH, LC_ALL: "C" },
      timeoutMs: TIMEOUT_MS,
    });
    return parseSegments(stdout, size);
  } catch {
    return null; // Not installed, or a file system that cannot tell.
  }
}

/**
 * Lines "DATA <offset>" and "HOLE <offset>" after a heading, in turn, from 0 on. Anything else gives null, because a
 * hole that is none would lose data.
 */
export function parseSegments(text: string, size: number): DataRange[] | null {
  const [heading, ...lines] = text.trimEnd().split("\n");
  if (!/^Whence\s+Result$/.test(heading ?? "")) return null;
  const ranges: DataRange[] = [];
  let from: number | null = null;
  let last = -1;
  let lastKind = "";
  for (const line of lines) {
    const match = /^(DATA|HOLE)\s+(\d+)$/.exec(line);
    if (!match) return null;
    const [, kind = "", digits = ""] = match;
    const offset = Number(digits);
    if (kind === lastKind || offset > size || (last < 0 ? offset !== 0 : offset <= last))
      return null;
    if (kind === "DATA") from = offset;
    else if (from !== null) ranges.push({ from, to: offset });
    [last, lastKind] = [offset, kind];
  }
  if (lastKind === "") return null;
  if (lastKind === "DATA" && from !== null) ranges.push({ from, to: size });
  return ranges;
}
