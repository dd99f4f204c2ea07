// Agent forwarding: a socket in the box whose connections reach the agent of the user's ssh.

import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import type { Connection } from "ssh2";
import { breakOff } from "#lib/splice.ts";
import { listenInBox, workOn } from "./exec-listen.ts";
import { paced } from "./ssh-guard.ts";
import { openAgentChannel } from "./ssh2-internals.ts";

/** The path for SSH_AUTH_SOCK; it lasts until `ended`. */
export async function forwardAgent(
  connection: Connection,
  ended: AbortSignal,
  open: () => Promise<Duplex>,
): Promise<string> {
  const unix = `/tmp/ssh-agent-${randomBytes(12).toString("hex")}`;
  const onConnection = (stream: Duplex) => {
    openAgentChannel(connection).then(
      (channel) => {
        stream.on("error", () => channel.end());
        paced(channel);
        channel.on("close", () => breakOff(stream));
        stream.on("close", () => channel.end());
        stream.pipe(channel).pipe(stream);
      },
      () => breakOff(stream),
    );
  };
  const listener = await workOn(await open(), ended, (control) =>
    listenInBox(control, { unix }, open, onConnection),
  );
  if (ended.aborted) listener.close();
  ended.addEventListener("abort", () => listener.close(), { once: true });
  return unix;
}
