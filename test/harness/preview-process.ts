// A gateway with one private preview, or the agent's links of its box, as a process of its own: benches measure with
// them. Started as `node preview-process.ts gateway|agent|alone CONFIG`; says "ready PORTS" when it serves. `alone`
// is a gateway without a node: it opens the app's port itself, so that only its own work is seen.

import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { createGateway } from "#gateway/gateway.ts";
import { KnownState } from "#gateway/known.ts";
import type { OpenStream } from "#gateway/preview-box.ts";
import { previewDoor } from "#gateway/preview-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { BOX, DoorDriver } from "./doors.ts";

const [, , role = "", path = ""] = process.argv;
const config = JSON.parse(await readFile(path, "utf8"));
const common = { clock: systemClock, log: silentLog };

if (role === "agent") {
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  for (const [port, local] of config.ports) driver.ports.set(port, local);
  const links = new GatewayLinks({ driver, tls: config.tls, ...common });
  links.setGateways([config.gatewayUrl]);
  process.on("message", () => links.refresh());
  console.log("ready");
} else {
  const known = new KnownState(config.feed, Date.now());
  const gateway = await createGateway({
    ...config.gateway,
    known,
    askWake: async () => "resuming",
    preview: (base) =>
      previewDoor({
        ...base,
        ...(role === "alone" ? { streams: { open: directly(new Map(config.ports)) } } : {}),
        renewPass: () => Promise.reject(new Error("nobody renews here")),
        portsOf: async () => [],
      }),
    ...common,
  });
  console.log(`ready ${gateway.clientPort} ${gateway.nodePort}`);
}

function directly(ports: ReadonlyMap<number, number>): OpenStream {
  return (_access, door) =>
    new Promise((resolve, reject) => {
      const port = "port" in door ? (ports.get(door.port) ?? 9) : 9;
      const box = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
      box.once("error", reject);
      box.once("connect", () =>
        resolve({
          box,
          whyBroken: () => {
            throw new Error("the app broke the connection");
          },
        }),
      );
    });
}
