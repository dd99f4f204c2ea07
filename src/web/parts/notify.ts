// Short messages in the corner.

import { notifications } from "@mantine/notifications";
import { noteError, wordsOf } from "../data/berth.ts";

export function notifyDone(message: string): void {
  notifications.show({ message, autoClose: 2500, withBorder: true, color: "tide" });
}

export function notifyError(title: string, error: unknown): void {
  noteError(error);
  notifications.show({
    title,
    message: wordsOf(error),
    color: "red",
    withBorder: true,
    autoClose: 10_000,
  });
}

/** Does it, and says so when it fails. True when it was done. */
export async function attempt(title: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    notifyError(title, error);
    return false;
  }
}
