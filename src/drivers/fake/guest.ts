// The few programs that the fake guest knows: enough for builds, hooks and tests that look whether
// memory and disk are what they were. Everything else "runs" and says nothing.

import type { ExecRequest, ExecResult } from "#drivers/driver.ts";
import type { FakeBox } from "#drivers/fake/host.ts";

/** Files here are memory: they are gone when the VMM is. */
function isMemory(path: string): boolean {
  return path.startsWith("/run/") || path.startsWith("/dev/shm/") || path.startsWith("/tmp/");
}

/** Runs the program and returns the box as it is then. */
export function runInGuest(
  box: FakeBox,
  request: ExecRequest,
): { readonly box: FakeBox; readonly result: ExecResult } {
  const [program = "", ...args] = request.argv;
  const ok = (stdout = "") => ({ box, result: { exitCode: 0, stdout, stderr: "" } });
  const fail = (exitCode: number, stderr: string) => ({
    box,
    result: { exitCode, stdout: "", stderr },
  });
  const path = args[0] ?? "";
  switch (program) {
    case "cat": {
      const content = (isMemory(path) ? box.memory : box.disk)[path];
      return content === undefined ? fail(1, `cat: ${path}: No such file\n`) : ok(content);
    }
    case "tee": {
      const content = request.stdin ?? "";
      const changed = isMemory(path)
        ? { ...box, memory: { ...box.memory, [path]: content } }
        : { ...box, disk: { ...box.disk, [path]: content } };
      return { box: changed, result: { exitCode: 0, stdout: content, stderr: "" } };
    }
    case "rm": {
      const memory = { ...box.memory };
      const disk = { ...box.disk };
      for (const name of args) {
        delete memory[name];
        delete disk[name];
      }
      return { box: { ...box, memory, disk }, result: { exitCode: 0, stdout: "", stderr: "" } };
    }
    case "hostname":
      return ok(`${box.run.identity.hostName}\n`);
    case "echo":
      return ok(`${args.join(" ")}\n`);
    case "false":
      return fail(1, "");
    case "sh":
    case "/bin/sh":
    case "/bin/bash": {
      const code = /\bexit (\d+)\b/.exec(args.at(-1) ?? "")?.[1];
      return code && code !== "0" ? fail(Number(code), "") : ok();
    }
    default:
      return ok();
  }
}

/** /etc/machine-id and the like, as a renewal writes them. */
export function identityFiles(box: FakeBox): Record<string, string> {
  const { machineId, hostName } = box.run.identity;
  return { "/etc/machine-id": `${machineId}\n`, "/etc/hostname": `${hostName}\n` };
}
