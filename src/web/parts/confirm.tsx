// "Are you sure?", as a promise: `if (await confirm({ … }))`.

import { Button, Group, Modal, Text } from "@mantine/core";
import { useSyncExternalStore } from "react";

export interface Question {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly isDangerous?: boolean;
}

let asked: { readonly question: Question; readonly answer: (yes: boolean) => void } | null = null;
/** Kept while the dialog fades away. */
let shown: Question = { title: "", text: "", yes: "" };
const listeners = new Set<() => void>();

function change(next: typeof asked): void {
  asked = next;
  if (next) shown = next.question;
  for (const listener of listeners) listener();
}

export function confirm(question: Question): Promise<boolean> {
  asked?.answer(false);
  return new Promise((answer) => change({ question, answer }));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** It is asked from dialogs and drawers too, which come later in the page. */
const ABOVE_OTHERS = 250;

export function ConfirmDialog() {
  const present = useSyncExternalStore(subscribe, () => asked);
  const answer = (yes: boolean) => {
    asked?.answer(yes);
    change(null);
  };
  return (
    <Modal
      opened={present !== null}
      onClose={() => answer(false)}
      title={shown.title}
      size="sm"
      zIndex={ABOVE_OTHERS}
    >
      <Text size="sm" c="dimmed" style={{ whiteSpace: "pre-line" }}>
        {shown.text}
      </Text>
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={() => answer(false)}>
          Cancel
        </Button>
        <Button
          color={shown.isDangerous ? "red" : undefined}
          onClick={() => answer(true)}
          data-autofocus
        >
          {shown.yes}
        </Button>
      </Group>
    </Modal>
  );
}
