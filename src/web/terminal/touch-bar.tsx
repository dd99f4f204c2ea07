// A row of keys below a terminal, on screens that are touched. They leave the focus where it is: the keyboard stays.

import { attempt } from "../parts/notify.ts";
import css from "./terminal.module.css";
import type { BoxTerminal } from "./terminal.ts";
import { TOUCH_KEY_WORDS, TOUCH_KEYS } from "./touch-keys.ts";

export function TouchBar(props: {
  readonly terminal: () => BoxTerminal | null;
  readonly isControlNext: boolean;
}) {
  const paste = () =>
    attempt("The clipboard could not be read", async () => {
      props.terminal()?.paste(await navigator.clipboard.readText());
    });
  return (
    <div className={css.touch} role="toolbar" aria-label="Keys">
      {TOUCH_KEYS.map((key) => (
        <button
          key={key}
          type="button"
          aria-label={TOUCH_KEY_WORDS[key]}
          aria-pressed={key === "Ctrl" ? props.isControlNext : undefined}
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => props.terminal()?.press(key)}
        >
          {key}
        </button>
      ))}
      <button
        type="button"
        onPointerDown={(event) => event.preventDefault()}
        onClick={() => void paste()}
      >
        Paste
      </button>
    </div>
  );
}
