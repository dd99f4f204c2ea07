// What a page is asked for, kept in its address: it can be sent to somebody, and is there again after a reload.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

type Values<Name extends string> = Readonly<Record<Name, string>>;

/** Each with what it is when the address says nothing of it, which the address then does not say. */
export function useAddress<Name extends string>(
  plain: Values<Name>,
): readonly [Values<Name>, (change: Partial<Values<Name>>) => void] {
  const navigate = useNavigate();
  const said = useSearch({ strict: false }) as Readonly<Record<string, unknown>>;
  const names = Object.keys(plain) as Name[];
  // Not read from the address again: a field that is typed into must not wait for it.
  const [values, setValues] = useState(
    () =>
      Object.fromEntries(
        names.map((name) => {
          const value = said[name];
          return [name, typeof value === "string" ? value : plain[name]];
        }),
      ) as Values<Name>,
  );
  const change = (part: Partial<Values<Name>>) => {
    const next = { ...values, ...part };
    setValues(next);
    const search = Object.fromEntries(
      names.map((name) => [name, next[name] === plain[name] ? undefined : next[name]]),
    );
    const merged = (before: object) => ({ ...before, ...search });
    void navigate({ to: ".", search: merged as never, replace: true, resetScroll: false });
  };
  return [values, change];
}

/** Plain words in both directions: `?q=12` is a text, as it was typed. */
export const readAddress = (search: string): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(search));

export function writeAddress(values: Readonly<Record<string, unknown>>): string {
  const said = Object.entries(values).filter(([, value]) => typeof value === "string");
  const text = new URLSearchParams(said as [string, string][]).toString();
  return text ? `?${text}` : "";
}
