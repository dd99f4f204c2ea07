// A dialog that is taken away, not faded out, gives the focus back to what had it before: the button that opened it.

import { useEffect, useState } from "react";

/** One dialog may follow upon another: what had the focus in the first is gone by then. */
let outside: HTMLElement | null = null;

function whatHasFocus(): HTMLElement | null {
  const active = document.activeElement;
  if (active instanceof HTMLElement && !active.closest("[data-modal-content]")) outside = active;
  return outside;
}

export function useFocusBack(): void {
  const [before] = useState(whatHasFocus);
  useEffect(
    () => () => {
      if (before?.isConnected && document.activeElement === document.body)
        before.focus({ preventScroll: true });
    },
    [before],
  );
}
