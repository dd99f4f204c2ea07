// The cache of base images, as the driver reads it.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../driver.ts";
import type { Host } from "./host.ts";
import { safeName } from "./snapshot-dir.ts";

/** Directory of a base image, when it is whole. */
export async function imageDirectory(host: Host, digest: string): Promise<string> {
  const directory = join(host.imagesDir, safeName(digest.replace(/^sha256:/, "")));
  const there = await stat(join(directory, "meta.json")).then(
    () => true,
    () => false,
  );
  if (there) return directory;
  throw new DriverError("image_missing", `base image ${digest} is not in ${host.imagesDir}`, true);
}
