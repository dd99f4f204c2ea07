// The control plane's certificate in a file: by it a node or gateway knows the control plane when it joins.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Config, ConfigError } from "./config.ts";
import { installationIn } from "./installation.ts";

export async function readAuthority(config: Config): Promise<string> {
  return await readFile(config.caFile, "utf8").catch((error: Error) => {
    throw new ConfigError(
      `the control plane's certificate cannot be read (${error.message}): copy ca/ca.pem from the state directory of a server, and set BERTH_CA_FILE`,
    );
  });
}

/** For nodes and gateways of this machine, and for the operator to copy to others. It is no secret. */
export async function publishAuthority(config: Config, caPem: string): Promise<void> {
  const { caDir } = installationIn(config.stateDir);
  await mkdir(caDir, { recursive: true });
  const path = join(caDir, "ca.pem");
  await writeFile(`${path}.${process.pid}`, caPem);
  await rename(`${path}.${process.pid}`, path);
}
