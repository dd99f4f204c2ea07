// The base images that the agent of this host can start boxes from.

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { ensureBaseImage, findBaseImage } from "#images/build.ts";
import { collectImages, writeNeeds } from "#images/collect.ts";
import { BASES, baseImageDigest } from "#images/recipe.ts";
import type { AgentOptions } from "#node/agent.ts";
import type { RoleContext } from "./role.ts";

type ImageContext = Pick<RoleContext, "run" | "log" | "clock" | "failpoints"> & {
  readonly config: Pick<RoleContext["config"], "imageCacheDir" | "stateDir">;
};

/** An image that nobody has needed for so long is removed. */
const GRACE_MS = 7 * 86_400_000;

/**
 * Those of the cache, which may be of an older Berth whose boxes are still here, and those that this version
 * knows how to build.
 */
export function nodeImages({
  config,
  run,
  log,
  clock,
  failpoints,
}: ImageContext): AgentOptions["images"] {
  const cacheDir = config.imageCacheDir;
  const user = { cacheDir, stateDir: config.stateDir };
  return {
    list: async () => {
      const names = await readdir(cacheDir).catch(() => []);
      const whole = await Promise.all(
        names
          .filter((name) => /^[0-9a-f]{64}$/.test(name))
          .map(async (name) =>
            stat(join(cacheDir, name, "meta.json")).then(
              () => [`sha256:${name}`],
              () => [],
            ),
          ),
      );
      return whole.flat();
    },
    ensure: async (digest, onProgress) => {
      if (await findBaseImage(digest, cacheDir)) return;
      for (const base of BASES) {
        if ((await baseImageDigest(base)) !== digest) continue;
        await ensureBaseImage(base, { cacheDir, run, log, clock, failpoints, onProgress });
        return;
      }
      throw new Error(
        `base image ${digest} is not in ${cacheDir}, and this version of Berth builds another one: put that folder back from a backup or another node, or build a new version of the template for new boxes`,
      );
    },
    collect: async (needed) => {
      const built = await Promise.all(BASES.map((base) => baseImageDigest(base)));
      await writeNeeds(user, needed());
      const isNeeded = (digest: string) => built.includes(digest) || needed().has(digest);
      await collectImages(cacheDir, { graceMs: GRACE_MS, clock, log, isNeeded });
    },
  };
}

/** The fake driver needs none. */
export function noImages(): AgentOptions["images"] {
  return {
    list: () => Promise.all(BASES.map((base) => baseImageDigest(base))),
    ensure: async () => {},
    collect: async () => {},
  };
}
