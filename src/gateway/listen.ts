// Opens the listener of a door.

import type { AddressInfo, Server } from "node:net";

/** Resolves with the port, for those who asked for any (0); rejects with why it cannot listen there. */
export function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<number> {
  return new Promise((done, fail) => {
    server.once("error", fail);
    server.listen(port, host, () => {
      server.off("error", fail);
      done((server.address() as AddressInfo).port);
    });
  });
}
