// The keys that programs in a terminal want and that the keyboard of a phone has not.

export const TOUCH_KEYS = ["Esc", "Tab", "Ctrl", "←", "↑", "↓", "→"] as const;
export type TouchKey = (typeof TOUCH_KEYS)[number];

export const TOUCH_KEY_WORDS: Readonly<Record<TouchKey, string>> = {
  ...{ Esc: "Escape", Tab: "Tab", Ctrl: "Control, with the next letter" },
  ...{ "←": "Left", "↑": "Up", "↓": "Down", "→": "Right" },
};

const ARROWS: Readonly<Record<string, string>> = { "←": "D", "↑": "A", "↓": "B", "→": "C" };

/** What a terminal sends for it; programs may have asked for the other kind of arrows. */
export function sequenceOf(key: TouchKey, isApplicationMode: boolean): string {
  const arrow = ARROWS[key];
  if (arrow) return `\x1b${isApplicationMode ? "O" : "["}${arrow}`;
  return key === "Tab" ? "\t" : "\x1b";
}

/** A letter with Ctrl; what has no such form stays itself. */
export function controlOf(text: string): string {
  const code = text.toUpperCase().charCodeAt(0);
  return text.length === 1 && code >= 0x40 && code <= 0x5f
    ? String.fromCharCode(code & 0x1f)
    : text;
}
