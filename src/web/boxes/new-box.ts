// What people type for a new box, before it is sent.

const NAME = /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Null when it is a good name, or none. */
export function problemOfName(name: string): string | null {
  if (name === "" || NAME.test(name)) return null;
  if (!/^[a-z]/.test(name)) return "Begins with a lowercase letter";
  if (/[^a-z0-9-]/.test(name)) return "Only lowercase letters, digits and hyphens";
  if (name.length > 40) return "At most 40 characters";
  return "Does not end with a hyphen";
}

/** Lines of NAME=value, as in an env file; empty lines and comments are left out. */
export function parseEnv(
  text: string,
): { readonly env: Readonly<Record<string, string>> } | { readonly problem: string } {
  const env: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const equals = line.indexOf("=");
    const name = line.slice(0, Math.max(0, equals)).replace(/^export\s+/, "");
    if (!VARIABLE.test(name)) return { problem: `Line ${index + 1} is not NAME=value` };
    const value = line.slice(equals + 1);
    env[name] = /^(["']).*\1$/.test(value) && value.length > 1 ? value.slice(1, -1) : value;
  }
  return { env: { ...env } };
}
