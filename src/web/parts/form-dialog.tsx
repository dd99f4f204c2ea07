// A dialog that is one form: what is wrong is said in it, and it stays until it was done or left.

import { Alert, Button, Group, Modal, TextInput } from "@mantine/core";
import type { ReactNode } from "react";
import { useFocusBack } from "./focus-back.ts";
import { Copyable } from "./page.tsx";
import { Refusal, useSending } from "./sending.tsx";

interface FormProps {
  readonly yes: string;
  readonly isReady?: boolean;
  readonly isDangerous?: boolean;
  readonly send: () => Promise<unknown>;
  readonly close: () => void;
  readonly children: ReactNode;
}

export function FormDialog(props: FormProps & { readonly title: string; readonly size?: string }) {
  useFocusBack();
  return (
    <Modal opened onClose={props.close} title={props.title} size={props.size ?? "md"}>
      <DialogForm {...props} />
    </Modal>
  );
}

function DialogForm(props: FormProps) {
  const sending = useSending();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void sending.send(props.send);
      }}
    >
      {props.children}
      <Refusal of={sending} />
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={props.close}>
          Cancel
        </Button>
        <Button
          type="submit"
          loading={sending.isSending}
          disabled={props.isReady === false}
          color={props.isDangerous ? "red" : undefined}
        >
          {props.yes}
        </Button>
      </Group>
    </form>
  );
}

/** Of what is named in addresses and commands. */
export function NameField(props: {
  readonly name: string;
  readonly setName: (name: string) => void;
  readonly placeholder: string;
}) {
  return (
    <TextInput
      data-autofocus
      label="Name"
      description="Lowercase letters, digits and hyphens."
      placeholder={props.placeholder}
      value={props.name}
      onChange={(event) => props.setName(event.currentTarget.value.trim())}
    />
  );
}

/** What is shown once, when it was made. */
export function MadeDialog(props: {
  readonly title: string;
  readonly words: string;
  readonly secrets: readonly { readonly label: string; readonly text: string }[];
  readonly close: () => void;
  readonly children?: ReactNode;
}) {
  useFocusBack();
  return (
    <Modal opened onClose={props.close} title={props.title} closeOnClickOutside={false}>
      <Alert color="tide" title={props.words} styles={{ body: { minWidth: 0 } }}>
        {props.secrets.map(({ label, text }) => (
          <div key={label}>
            <Copyable text={text} label={label} />
          </div>
        ))}
      </Alert>
      {props.children}
      <Group justify="flex-end" mt="lg">
        <Button onClick={props.close}>Done</Button>
      </Group>
    </Modal>
  );
}
