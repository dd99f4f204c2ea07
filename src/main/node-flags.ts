// What Node is told when a role of Berth is started. `berth`, the launcher, says the same to those started by hand.

/**
 * Who passes bytes on makes a buffer of every read and is done with it at once. V8 counts such buffers as if they were to
 * stay: every 25 MB it marks the whole heap, on other threads too, which is a third of the CPU time. When what is young
 * is collected early, and nothing is marked ahead, they are gone before that.
 */
const PASSING_ON = ["--no-concurrent-marking", "--max-semi-space-size=2"] as const;

export function nodeFlags(role: string): readonly string[] {
  const own = role === "gateway" || role === "node" ? PASSING_ON : [];
  return ["--disable-warning=ExperimentalWarning", ...own];
}
