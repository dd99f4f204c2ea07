// Everything from one line: pages, boxes, and what can be asked of a box. Opens with ⌘K or Ctrl-K.

import { Modal, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import type { Box } from "#sdk/client.ts";
import { ACTION_WORDS, allowedActions } from "./boxes/actions.ts";
import { openCreateBox } from "./boxes/create-box.tsx";
import { doAction } from "./boxes/do-action.ts";
import { PhaseDot } from "./boxes/phase.tsx";
import { useBoxes } from "./data/live.ts";
import { mayOnListed, useWho } from "./data/me.ts";
import { mayCreate } from "./data/rights.ts";
import css from "./palette.module.css";

interface Command {
  readonly id: string;
  readonly label: string;
  readonly hint: string;
  readonly icon?: ReactNode;
  readonly run: () => void;
}

interface PaletteProps {
  readonly isOpen: boolean;
  readonly close: () => void;
  readonly places: readonly { readonly to: string; readonly label: string }[];
}

const MAX_SHOWN = 12;

export function Palette(props: PaletteProps) {
  return (
    <Modal
      opened={props.isOpen}
      onClose={props.close}
      withCloseButton={false}
      centered={false}
      yOffset="12vh"
      padding={0}
      size={560}
      transitionProps={{ duration: 80 }}
      attributes={{ content: { "aria-label": "Go to or do" } }}
    >
      <Finder {...props} />
    </Modal>
  );
}

function Finder({ close, places }: PaletteProps) {
  const [search, setSearch] = useState("");
  const [at, setAt] = useState(0);
  const commands = useCommands(places);
  const found = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/);
    return commands
      .filter(({ label, hint }) => {
        const text = `${label} ${hint}`.toLowerCase();
        return words.every((word) => text.includes(word));
      })
      .slice(0, MAX_SHOWN);
  }, [commands, search]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    close();
    command.run();
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: another search begins at its first hit
  useEffect(() => setAt(0), [search]);
  return (
    <>
      <TextInput
        variant="unstyled"
        size="md"
        data-autofocus
        aria-label="Search pages, boxes and actions"
        placeholder="Search pages, boxes and actions"
        leftSection={<IconSearch size={17} />}
        classNames={{ wrapper: css.field }}
        value={search}
        onChange={(event) => setSearch(event.currentTarget.value)}
        onKeyDown={(event) => {
          const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (step) {
            event.preventDefault();
            setAt((at + step + found.length) % Math.max(1, found.length));
          } else if (event.key === "Enter") run(found[at]);
        }}
      />
      <div className={css.list} role="listbox" aria-label="Found">
        {found.map((command, index) => (
          <button
            key={command.id}
            type="button"
            role="option"
            aria-selected={index === at}
            className={css.item}
            onMouseMove={() => setAt(index)}
            onClick={() => run(command)}
          >
            {command.icon}
            <span>{command.label}</span>
            <span className={css.hint}>{command.hint}</span>
          </button>
        ))}
        {found.length === 0 ? <div className={css.none}>Nothing is called that.</div> : null}
      </div>
    </>
  );
}

function useCommands(places: PaletteProps["places"]): readonly Command[] {
  const boxes = useBoxes();
  const navigate = useNavigate();
  const who = useWho();
  const isCreator = who !== null && mayCreate(who);
  return useMemo(() => {
    const go = (to: string) => void navigate({ to });
    const ofBox = (box: Box): Command[] =>
      allowedActions(box, mayOnListed(box)).map((action) => ({
        id: `${action} ${box.id}`,
        label: `${ACTION_WORDS[action].label} ${box.name}`,
        hint: "Action",
        run: () => void doAction(action, [box]),
      }));
    return [
      ...(isCreator ? [{ id: "new", label: "New box", hint: "c", run: openCreateBox }] : []),
      ...boxes.map((box) => ({
        id: box.id,
        label: box.name,
        hint: box.phase,
        icon: <PhaseDot phase={box.phase} />,
        run: () => go(`/boxes/${box.name}`),
      })),
      ...places.map(({ to, label }) => ({ id: to, label, hint: "Page", run: () => go(to) })),
      ...boxes.flatMap(ofBox),
    ];
  }, [boxes, places, navigate, isCreator]);
}
