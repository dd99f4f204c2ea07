// What belongs to one row of a list, beside the list. Dialogs may open above it: Escape then closes them, and not this.

import { Drawer } from "@mantine/core";
import { useWindowEvent } from "@mantine/hooks";
import { type ReactNode, useRef } from "react";

/** What had the focus is gone, such as a row with its button, and no dialog is open above. */
function isAlone(target: Element): boolean {
  return target === document.body && document.querySelectorAll("[aria-modal]").length === 1;
}

export function Sheet<Item>(props: {
  /** What it is about; null: it is closed. */
  readonly of: Item | null;
  readonly title: (of: Item) => ReactNode;
  readonly close: () => void;
  readonly size?: string;
  readonly children: (of: Item) => ReactNode;
}) {
  const { of, close } = props;
  const isOpen = of !== null;
  const content = useRef<HTMLDivElement>(null);
  const onKey = ({ key, target, isComposing }: KeyboardEvent) => {
    if (key !== "Escape" || isComposing || !isOpen || !(target instanceof Element)) return;
    // What is open in it, such as the choices of a field, closes first.
    const isTaken = target.getAttribute("data-mantine-stop-propagation") === "true";
    if ((content.current?.contains(target) || isAlone(target)) && !isTaken) close();
  };
  // Before the field has closed its choices.
  useWindowEvent("keydown", onKey, { capture: true });
  return (
    <Drawer
      ref={content}
      opened={isOpen}
      onClose={close}
      closeOnEscape={false}
      position="right"
      size={props.size ?? "lg"}
      title={isOpen ? props.title(of) : ""}
    >
      {isOpen ? props.children(of) : null}
    </Drawer>
  );
}
