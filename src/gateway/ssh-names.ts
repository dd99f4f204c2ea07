// Names that forwarded connections of SSH go to. They are looked up in the box, as a program of its user's would: what
// the gateway could see by them is none of the box's business.

import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { breakOff } from "#lib/splice.ts";
import { ExecFrameDecoder, type ExecServerFrame, encodeExecFrame } from "#wire/exec-frames.ts";

const LOOK_UP_TIMEOUT_MS = 10_000;
const MAX_OUTPUT_BYTES = 16 * 1024;
const MAX_ADDRESSES = 8;
const MAX_NAME_LENGTH = 253;
/** Also what RFC 1123 has no place for, `_`; and nothing that a program could take for an option. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const NOT_FOUND = 2;

export function isHostName(name: string): boolean {
  if (name.length > MAX_NAME_LENGTH) return false;
  return name
    .replace(/\.$/, "")
    .split(".")
    .every((label) => LABEL.test(label));
}

/** `stream`: a fresh one to the box's exec server. Rejects when the box knows no address. */
export async function addressesInBox(
  stream: Duplex,
  name: string,
  user: string,
): Promise<readonly string[]> {
  if (!isHostName(name)) throw new Error(`${JSON.stringify(name)} is no host name`);
  const { exitCode, output } = await getent(stream, name, user);
  const lines = output.split("\n").filter((line) => / STREAM\b/.test(line));
  const found = lines.map((line) => line.split(" ")[0] ?? "").filter((one) => isIP(one) !== 0);
  const addresses = [...new Set(found)].slice(0, MAX_ADDRESSES);
  if (addresses.length > 0) return addresses;
  const why = exitCode === 0 || exitCode === NOT_FOUND ? "" : ` (getent ended with ${exitCode})`;
  throw new Error(`the box knows no address of ${name}${why}`);
}

function getent(
  stream: Duplex,
  name: string,
  user: string,
): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve, reject) => {
    const decoder = new ExecFrameDecoder();
    let output = "";
    const fail = (message: string) => {
      breakOff(stream);
      reject(new Error(`the box could not look up ${name}: ${message}`));
    };
    const take = (frame: ExecServerFrame) => {
      if (frame.kind === "stdout") output += Buffer.from(frame.data).toString("latin1");
      if (frame.kind === "error") fail(frame.message);
      if (frame.kind !== "exit") return;
      breakOff(stream);
      resolve({ exitCode: frame.exitCode, output });
    };
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk) as ExecServerFrame[]) take(frame);
        if (output.length + decoder.pendingBytes > MAX_OUTPUT_BYTES) fail("too much output");
      } catch (error) {
        fail((error as Error).message);
      }
    });
    stream.on("error", () => {}); // A close follows.
    stream.on("close", () => fail("the connection to the box was lost"));
    const argv = ["getent", "ahosts", name];
    stream.write(encodeExecFrame({ kind: "start", argv, user, timeoutMs: LOOK_UP_TIMEOUT_MS }));
  });
}
