// What somebody may be called who says it themselves: nothing that looks like another's proven e-mail address, and nothing
// that changes how the text around it is shown.

const MAX_LENGTH = 80;
/** Among them directions of writing, what has no width, and blanks that are no spaces. */
const NEVER = /[@\p{C}\p{Zl}\p{Zp}\p{DI}\u2800]/u;

/** As it is kept: one form of each letter, single spaces. Null: it is no name. */
export function personName(text: string): string | null {
  const name = text
    .normalize("NFKC")
    .replace(/\p{Zs}+/gu, " ")
    .replace(/^ | $/g, "");
  const isName = name.length <= MAX_LENGTH && /[\p{L}\p{N}]/u.test(name) && !NEVER.test(name);
  return isName ? name : null;
}
