// One entry of the audit trail, with all that is known of it.

import { Badge } from "@mantine/core";
import type { AuditEntry } from "../data/types.ts";
import { fullTime } from "../format.ts";
import { Copyable, type Fact, Facts } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { Sheet } from "../parts/sheet.tsx";
import css from "./audit.module.css";

export const OUTCOME_COLORS: Readonly<Record<AuditEntry["outcome"], string>> = {
  ok: "gray",
  refused: "yellow",
  failed: "red",
};

/** What it was about: as the request named it, and else what came of it. */
export function targetOf(
  { resource, touched }: AuditEntry,
  nameOf: (id: string) => string,
): string {
  const named = Object.entries(resource).map(([kind, value]) => `${kind} ${nameOf(value)}`);
  return (named.length > 0 ? named : touched.slice(0, 2).map(nameOf)).join(", ") || "–";
}

const copyable = (text: string | null) => (text === null ? null : <Copyable text={text} />);

function factsOf(entry: AuditEntry): readonly Fact[] {
  const { actor } = entry;
  return [
    ["When", fullTime(entry.at)],
    ["Who", actor ? (actor.name ?? actor.id) : "Berth itself, or nobody who was recognized"],
    ["As", actor && actor.roles.length > 0 ? actor.roles.join(", ") : null],
    ["User", copyable(actor?.id ?? null)],
    ["Credential", copyable(entry.credentialId)],
    ["From", entry.address],
    ["With", entry.userAgent],
    ...Object.entries(entry.resource).map(([kind, value]): Fact => [kind, value]),
    [
      "Touched",
      entry.touched.length > 0 ? (
        <span key="touched" className={parts.stack} style={{ gap: 2 }}>
          {entry.touched.map((id) => (
            <Copyable key={id} text={id} />
          ))}
        </span>
      ) : null,
    ],
    ...Object.entries(entry.data).map(([key, value]): Fact => [key, String(value)]),
    ["Request", copyable(entry.requestId)],
    ["Place in the chain", entry.seq === null ? "Not sealed yet" : String(entry.seq)],
    ["Hash", copyable(entry.hash)],
  ];
}

export function EntryDrawer(props: {
  readonly entry: AuditEntry | null;
  readonly close: () => void;
}) {
  return (
    <Sheet
      of={props.entry}
      close={props.close}
      title={({ verb, outcome, code }) => (
        <span className={css.title}>
          <code>{verb}</code>
          <Badge size="sm" variant="light" tt="none" color={OUTCOME_COLORS[outcome]}>
            {code ?? outcome}
          </Badge>
        </span>
      )}
    >
      {(entry) => <Facts facts={factsOf(entry)} />}
    </Sheet>
  );
}
