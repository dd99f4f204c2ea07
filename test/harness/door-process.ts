// A gateway, an agent's links, or clients that take output as fast as it comes, as a process of its own that a test can
// kill and a bench can measure. Started as `node door-process.ts gateway|agent|flood CONFIG`; says "ready" when it serves.

import { readFile } from "node:fs/promises";
import { createGateway } from "#gateway/gateway.ts";
import { KnownState } from "#gateway/known.ts";
import { previewDoor } from "#gateway/preview-door.ts";
import { sshBoxes } from "#gateway/ssh-boxes.ts";
import { openSshDoor } from "#gateway/ssh-door.ts";
import { systemClock } from "#lib/clock.ts";
import { silentLog } from "#lib/log.ts";
import { GatewayLinks } from "#node/gateway-link.ts";
import { openStream } from "#sdk/stream.ts";
import { encodeExecFrame } from "#wire/exec-frames.ts";
import { BOX, DoorDriver } from "./doors.ts";

const [, , role, path = ""] = process.argv;
const config = JSON.parse(await readFile(path, "utf8"));
const common = { clock: systemClock, log: silentLog };

async function gateway(): Promise<void> {
  const { ssh, ...rest } = config;
  const known = new KnownState(config.feed, Date.now());
  await createGateway({
    ...{ ...rest, known, ...common },
    askWake: async () => "resuming",
    preview: (base) =>
      previewDoor({ ...base, renewPass: async (pass) => pass, portsOf: async () => [] }),
    ...(ssh && {
      ssh: (base) =>
        openSshDoor({
          ...{ host: "127.0.0.1", port: ssh.port, boxUser: "root", ...common },
          limits: ssh.limits ?? {},
          hostKey: {
            privateKeyOpenssh: ssh.privateKeyOpenssh,
            certificateLine: () => ssh.certificate,
          },
          boxes: sshBoxes(base),
        }),
    }),
  });
}

function agent(): void {
  const driver = new DoorDriver();
  driver.boxes.set(BOX, { epoch: 1, state: "ready" });
  for (const [port, local] of config.ports) driver.ports.set(port, local);
  if (config.execToken) driver.execToken = config.execToken;
  const links = new GatewayLinks({ driver, tls: config.tls, ...common });
  links.setGateways([config.gatewayUrl]);
}

async function flood(): Promise<void> {
  const { gatewayUrl, ticket, token, argv } = config;
  for (const port of config.ports) {
    const stream = await openStream({ gatewayUrl, ticket, boxId: BOX, door: { port } });
    stream.write(encodeExecFrame({ kind: "auth", token }));
    const pty = { rows: 24, cols: 80 };
    const session = `flood-${port}`;
    stream.write(encodeExecFrame({ kind: "start", argv, user: "root", pty, session }));
    await new Promise((done) => stream.once("data", done));
    stream.resume();
  }
}

// A profile is written at an end that is the program's own.
process.once("SIGINT", () => process.exit());
if (role === "gateway") await gateway();
else if (role === "agent") agent();
else await flood();
console.log("ready");
