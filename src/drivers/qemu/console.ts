// A box's console: the end of what its serial port said. The VMM appends to a file that is cut here,
// since a guest may say more than the disk holds.

import { open, rename, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { BOX_FILES, OLD_CONSOLE } from "./disk.ts";

const CONSOLE_BYTES_MAX = 4 * 1024 * 1024;
const KEPT_BYTES = 1024 * 1024;

/** The last bytes of the former and the current console together. */
export async function readConsole(files: string, maxBytes: number): Promise<string> {
  const now = await tail(join(files, BOX_FILES.console), maxBytes);
  if (now.length >= maxBytes) return now.toString("utf8");
  const before = await tail(join(files, OLD_CONSOLE), maxBytes - now.length);
  return Buffer.concat([before, now]).toString("utf8");
}

/** Cuts a console that is too long. What is said between the copy and the cut is lost; it is a flood. */
export async function cutConsole(files: string): Promise<void> {
  const path = join(files, BOX_FILES.console);
  const size = await stat(path).then(
    (file) => file.size,
    () => 0,
  );
  if (size <= CONSOLE_BYTES_MAX) return;
  const draft = join(files, `${OLD_CONSOLE}.tmp`);
  const kept = await tail(path, KEPT_BYTES);
  const handle = await open(draft, "w", 0o600);
  await handle.writeFile(kept);
  await handle.close();
  await rename(draft, join(files, OLD_CONSOLE));
  await truncate(path, 0); // The VMM appends, so its next byte lands at the new end.
}

/** Did the kernel in the guest say that it goes down by itself? */
export async function saidPowerOff(files: string): Promise<boolean> {
  const end = (await tail(join(files, BOX_FILES.console), 4096)).toString("latin1");
  return /reboot: (Power down|Restarting system|System halted)/.test(end);
}

async function tail(path: string, maxBytes: number): Promise<Buffer> {
  const handle = await open(path, "r").catch(() => null);
  if (!handle) return Buffer.alloc(0);
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, maxBytes);
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await handle.read(buffer, 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
