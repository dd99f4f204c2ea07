// A form that is being sent: what was wrong is said beside it, and what was typed stays.

import { Alert } from "@mantine/core";
import { useState } from "react";
import { noteError, wordsOf } from "../data/berth.ts";

export interface Sending {
  readonly isSending: boolean;
  readonly error: unknown;
  /** True when it was done. */
  readonly send: (work: () => Promise<unknown>) => Promise<boolean>;
}

export function useSending(): Sending {
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const send = async (work: () => Promise<unknown>) => {
    setSending(true);
    setError(null);
    try {
      await work();
      return true;
    } catch (failure) {
      noteError(failure);
      setError(failure);
      return false;
    } finally {
      setSending(false);
    }
  };
  return { isSending, error, send };
}

export function Refusal({ of }: { readonly of: Sending }) {
  if (!of.error) return null;
  return (
    <Alert color="red" mt="sm" role="alert" style={{ whiteSpace: "pre-line" }}>
      {wordsOf(of.error)}
    </Alert>
  );
}
