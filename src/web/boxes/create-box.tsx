// The dialog that makes a box: a template, perhaps a name. The template fixes the size.

import { Alert, Button, Group, Modal, Select, Skeleton, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, useSyncExternalStore } from "react";
import type { Template } from "#sdk/client.ts";
import { berth, wordsOf } from "../data/berth.ts";
import { live } from "../data/live.ts";
import { useWho } from "../data/me.ts";
import { useTeams } from "../data/people.ts";
import { creatingTeams } from "../data/rights.ts";
import { count, memory } from "../format.ts";
import css from "./create-box.module.css";
import { parseEnv, problemOfName } from "./new-box.ts";
import { restWords, useHourlyPrice } from "./price.ts";

let isOpen = false;
const listeners = new Set<() => void>();

function setOpen(open: boolean): void {
  isOpen = open;
  for (const listener of listeners) listener();
}

export function openCreateBox(): void {
  setOpen(true);
}

export function CreateBoxDialog() {
  const opened = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => isOpen,
  );
  return (
    <Modal opened={opened} onClose={() => setOpen(false)} title="New box" size="md">
      <CreateBoxForm close={() => setOpen(false)} />
    </Modal>
  );
}

function CreateBoxForm({ close }: { readonly close: () => void }) {
  const templates = useQuery({
    queryKey: ["templates"],
    queryFn: () => berth.templates.list({ limit: 200 }),
  });
  const items = templates.data?.items ?? [];
  const usable = items.filter((template) => template.ready);
  const [template, setTemplate] = useState<string | null>(null);
  const chosen = template ?? usable[0]?.name ?? null;
  const [name, setName] = useState("");
  const [env, setEnv] = useState("");
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const navigate = useNavigate();
  const teams = useMyTeams();
  const [askedTeam, setTeam] = useState<string | null>(null);
  // Whoever makes boxes by a team's role alone makes them in it.
  const team = askedTeam ?? (teams.isNeeded ? (teams.all[0]?.id ?? null) : null);
  const nameProblem = problemOfName(name);
  const parsed = parseEnv(env);
  const create = async () => {
    if (!chosen || nameProblem || "problem" in parsed) return;
    setSending(true);
    setError(null);
    try {
      const body = {
        ...{ template: chosen, env: parsed.env },
        ...(name ? { name } : {}),
        ...(team ? { team } : {}),
      };
      const { box } = await berth.boxes.create(body);
      live.put(box);
      close();
      await navigate({ to: "/boxes/$box", params: { box: box.name } });
    } catch (failure) {
      setError(failure);
    } finally {
      setSending(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void create();
      }}
    >
      <div className={css.label}>Template</div>
      <TemplateChoice
        templates={items}
        isLoading={templates.isPending}
        chosen={chosen}
        choose={setTemplate}
      />
      <TextInput
        mt="md"
        label="Name"
        description="Its host name, too. Left empty, one is made up."
        placeholder="web"
        value={name}
        error={nameProblem}
        onChange={(event) => setName(event.currentTarget.value.trim())}
        data-autofocus
        autoComplete="off"
        spellCheck={false}
      />
      {teams.all.length > 0 ? (
        <Select
          mt="md"
          label="Team"
          description="Its members see the box and can enter it."
          placeholder="None: only you"
          clearable={!teams.isNeeded}
          allowDeselect={!teams.isNeeded}
          data={teams.all.map((one) => ({ value: one.id, label: one.name }))}
          value={team}
          onChange={setTeam}
        />
      ) : null}
      <details className={css.more}>
        <summary>Environment variables</summary>
        <Textarea
          autosize
          minRows={3}
          aria-label="Environment variables"
          placeholder={"PORT=3000\nNODE_ENV=development"}
          value={env}
          error={"problem" in parsed ? parsed.problem : null}
          onChange={(event) => setEnv(event.currentTarget.value)}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 12 } }}
        />
      </details>
      {error || templates.error ? (
        <Alert color="red" mt="md" style={{ whiteSpace: "pre-line" }}>
          {wordsOf(error ?? templates.error)}
        </Alert>
      ) : null}
      {chosen ? <Price template={chosen} /> : null}
      <Group justify="flex-end" mt="lg" gap="xs">
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
        <Button type="submit" loading={isSending} disabled={!chosen}>
          Create box
        </Button>
      </Group>
    </form>
  );
}

function useMyTeams() {
  const who = useWho();
  const teams = useTeams();
  const mine = who ? creatingTeams(who) : [];
  return {
    all: teams.filter(({ id }) => mine.includes(id)),
    isNeeded: !who?.permissions.includes("box.create"),
  };
}

/** Nothing when nothing has a price. */
function Price({ template }: { readonly template: string }) {
  const price = useHourlyPrice(template);
  if (!price) return null;
  return (
    <span className={css.price}>
      <b>{price.running}</b> an hour
      <span>{restWords(price)}</span>
    </span>
  );
}

function TemplateChoice(props: {
  readonly templates: readonly Template[];
  readonly isLoading: boolean;
  readonly chosen: string | null;
  readonly choose: (name: string) => void;
}) {
  if (props.isLoading) return <Skeleton height={54} radius="md" />;
  if (props.templates.length === 0)
    return (
      <div className={css.none}>
        No template yet. Make one with <code>berth template build FILE</code>.
      </div>
    );
  return (
    <div className={css.templates} role="radiogroup" aria-label="Template">
      {props.templates.map((template) => (
        // biome-ignore lint/a11y/useSemanticElements: a card, with more than a label in it
        <button
          key={template.id}
          type="button"
          role="radio"
          aria-checked={props.chosen === template.name}
          disabled={!template.ready}
          onClick={() => props.choose(template.name)}
        >
          <span className={css.templateName}>
            {template.name}
            <span>{template.ready ? `v${template.ready.version}` : stateOf(template)}</span>
          </span>
          {template.ready ? <SizeOf template={template} /> : null}
        </button>
      ))}
    </div>
  );
}

function stateOf(template: Template): string {
  return template.latest?.state === "failed" ? "build failed" : "still being built";
}

/** The size stands in the definition, which only the version's own page has. */
function SizeOf({ template }: { readonly template: Template }) {
  const version = template.ready?.version ?? 0;
  const detail = useQuery({
    queryKey: ["templates", template.name, version],
    queryFn: () => berth.templates.version(template.name, version),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const size = detail.data?.definition.size as
    | { cpus: number; memoryMib: number; rootDiskGib: number; homeDiskGib: number }
    | undefined;
  return (
    <span className={css.size}>
      {size
        ? `${count(size.cpus, "vCPU")} · ${memory(size.memoryMib)} · ${size.rootDiskGib} GiB disk · ${size.homeDiskGib} GiB home`
        : "\u00a0"}
    </span>
  );
}
