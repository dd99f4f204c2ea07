// Ports for what must listen at one that is known before, or again after its end. Below those that the kernel gives to
// whoever asks for any, and claimed until this process ends: no other test process gets one meanwhile.

import { createServer, type Server } from "node:net";

const [FIRST, LAST] = [12_000, 32_000];
const claims: Server[] = [];
/** Elsewhere than most other processes begin. */
let next = FIRST + ((process.pid * 61) % (LAST - FIRST));

export async function freePort(): Promise<number> {
  for (let tries = FIRST; tries < LAST; tries += 1) {
    const port = next;
    next = next + 1 < LAST ? next + 1 : FIRST;
    // An abstract socket: the kernel frees it with its holder.
    const claim = await listening({ path: `\0berth-test-port-${port}` });
    if (!claim) continue;
    claims.push(claim.unref());
    const server = await listening({ port, host: "0.0.0.0" });
    if (!server) continue;
    await new Promise((done) => server.close(done));
    return port;
  }
  throw new Error(`no port from ${FIRST} to ${LAST} is free`);
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

function listening(where: { path: string } | { port: number; host: string }) {
  return new Promise<Server | null>((done) => {
    const server = createServer();
    server.once("error", () => done(null));
    server.listen(where, () => done(server));
  });
}
