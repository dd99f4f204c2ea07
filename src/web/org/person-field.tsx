// Choosing a member: from those that are known here, or by e-mail address or id.

import { Autocomplete } from "@mantine/core";
import { useMemo } from "react";
import { usePeople } from "../data/people.ts";
import type { Member } from "../data/types.ts";

interface PersonFieldProps {
  readonly label: string;
  readonly value: string;
  readonly setValue: (value: string) => void;
  /** Ids that make no sense to choose. */
  readonly without?: readonly string[];
}

/** A name that two people have says nobody. */
export function referenceOf(member: Member, all: readonly Member[]): string {
  const isAlone = all.filter(({ name }) => name === member.name).length === 1;
  return isAlone ? member.name : (member.email ?? member.id);
}

export function PersonField({ label, value, setValue, without = [] }: PersonFieldProps) {
  const people = usePeople();
  const data = useMemo(() => {
    const names = people
      .filter(({ id, isDisabled }) => !isDisabled && !without.includes(id))
      .map((member) => referenceOf(member, people));
    return [...new Set(names)];
  }, [people, without]);
  return (
    <Autocomplete
      label={label}
      placeholder="Name or e-mail address"
      size="sm"
      data={data}
      limit={8}
      value={value}
      onChange={setValue}
      data-autofocus
    />
  );
}
