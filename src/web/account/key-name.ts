// What to call a key that nobody named: its own comment, else its type.

export function nameOfKey(publicKey: string): string {
  const [type = "", , ...comment] = publicKey.trim().split(/\s+/);
  return comment.join(" ").slice(0, 80) || type.slice(0, 80) || "key";
}
