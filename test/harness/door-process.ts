// A gateway, or an agent's links, as a process of its own that a test can kill. Started as
// `node door-process.ts gateway|agent CONFIG`; says "ready" when it serves.

import { readFile } from "node:fs/promises";
import { createGateway } from "#gateway/gateway.ts";
import { KnownState } from "#gateway/known.ts";
import { previewDoor } from "#gateway/preview-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { BOX, DoorDriver } from "./doors.ts";

const [, , role, path = ""] = process.argv;
const config = JSON.parse(await readFile(path, "utf8"));
const common = { clock: systemClock, log: silentLog };

if (role === "gateway") {
  const known = new KnownState(config.feed, Date.now());
  await createGateway({
    ...{ ...config, known, ...common },
    askWake: async () => "resuming",
    preview: (base) =>
      previewDoor({ ...base, renewGrant: async (grant) => grant, portsOf: async () => [] }),
  });
} else {
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  for (const [port, local] of config.ports) driver.ports.set(port, local);
  const links = new GatewayLinks({ driver, tls: config.tls, ...common });
  links.setGateways([config.gatewayUrl]);
}
console.log("ready");
