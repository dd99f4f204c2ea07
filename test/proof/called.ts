// Which functions of the store take a subject, and which of them a stretch of a test has called.

import { globSync, readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { basename, join } from "node:path";

const STORE = join(import.meta.dirname, "../../src/store");

/** `boxes.ts listBoxes`: exported functions with a parameter that says who asks. */
export function functionsOfSubjects(): string[] {
  return globSync("*.ts", { cwd: STORE })
    .filter((file) => !file.endsWith(".test.ts"))
    .flatMap((file) => {
      const text = readFileSync(join(STORE, file), "utf8");
      return [...text.matchAll(/^export (?:async )?function (\w+)(?:<[^(]*>)?\(/gm)].flatMap(
        ({ 1: name, index, 0: head }) =>
          /\b(?:Subject|Identified)\b/.test(parametersAt(text, index + head.length))
            ? [`${file} ${name}`]
            : [],
      );
    })
    .sort();
}

/** Up to the bracket that closes the one before `from`. */
function parametersAt(text: string, from: number): string {
  let open = 1;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "(") open += 1;
    if (text[at] === ")") open -= 1;
    if (open === 0) return text.slice(from, at);
  }
  return "";
}

/** Counts from now on; the answer ends it, and names those that were called as above. */
export async function countCalls(): Promise<() => Promise<ReadonlySet<string>>> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  return async () => {
    const { result } = await session.post("Profiler.takePreciseCoverage");
    session.disconnect();
    const called = result
      .filter(({ url }) => url.includes("/src/store/"))
      .flatMap(({ url, functions }) =>
        functions
          .filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
          .map(({ functionName }) => `${basename(url)} ${functionName}`),
      );
    return new Set(called);
  };
}
