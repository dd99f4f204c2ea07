// The terminals of a box: sessions as tabs, split beside each other, attached to and shared.

import { ActionIcon, Button, Menu, Tooltip } from "@mantine/core";
import {
  IconColumns2,
  IconPlugConnected,
  IconPlus,
  IconShare2,
  IconTerminal2,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Box } from "#sdk/client.ts";
import type { ExecSessionInfo } from "#wire/exec-frames.ts";
import { useNow } from "../data/live.ts";
import { count, lasting } from "../format.ts";
import { Empty } from "../parts/empty.tsx";
import { attempt, notifyDone } from "../parts/notify.ts";
import { forgetSession, listSessions } from "./doors.ts";
import {
  closePane,
  newSessionId,
  openTab,
  type Pane,
  type Panes,
  parsePanes,
  splitTab,
  type Tab,
} from "./panes.ts";
import css from "./terminal.module.css";
import { TerminalPane } from "./terminal-pane.tsx";

const keyOf = (box: Box) => `berth-terminals-${box.id}`;

function firstPanes(box: Box): Panes {
  const kept = parsePanes(localStorage.getItem(keyOf(box)));
  const asked = new URLSearchParams(window.location.search);
  const session = asked.get("session");
  if (!session || !/^[a-z0-9][a-z0-9-]{0,63}$/.test(session)) return kept;
  return openTab(kept, { session, mode: asked.get("mode") === "write" ? "write" : "read" });
}

export function TerminalTab({ box, isShown }: { readonly box: Box; readonly isShown: boolean }) {
  const [panes, setPanes] = useState<Panes>(() => firstPanes(box));
  const [titles, setTitles] = useState<Readonly<Record<string, string>>>({});
  /** Made on this page: only these may be started anew. */
  const made = useRef(new Set<string>());
  const key = keyOf(box);
  useEffect(() => localStorage.setItem(key, JSON.stringify(panes)), [key, panes]);
  const freshPane = (): Pane => {
    const session = newSessionId();
    made.current.add(session);
    return { session, mode: "write" };
  };
  const active = panes.tabs.find((tab) => tab.id === panes.active);
  const open = (pane: Pane) => setPanes((before) => openTab(before, pane));
  const close = (session: string) => setPanes((before) => closePane(before, session));
  const replace = (session: string) =>
    setPanes((before) => openTab(closePane(before, session), freshPane()));
  return (
    <div className={css.terminals}>
      <div className={css.bar}>
        <div className={css.tabs} role="tablist" aria-label="Terminal sessions">
          {panes.tabs.map((tab, index) => (
            <button
              key={tab.id}
              type="button"
              role="tab"
              aria-selected={tab.id === panes.active}
              onClick={() => setPanes({ ...panes, active: tab.id })}
            >
              <IconTerminal2 size={14} stroke={1.6} />
              {titles[tab.id] || `Terminal ${index + 1}`}
            </button>
          ))}
        </div>
        <Tools
          box={box}
          active={active}
          add={() => open(freshPane())}
          split={() => active && setPanes(splitTab(panes, active.id, freshPane()))}
          attach={open}
          ended={close}
        />
      </div>
      <div className={css.stage}>
        {panes.tabs.map((tab) => (
          <div key={tab.id} className={css.split} hidden={tab.id !== panes.active}>
            {tab.panes.map((pane) => (
              <TerminalPane
                key={pane.session}
                box={box}
                pane={pane}
                isNew={made.current.has(pane.session)}
                isShown={isShown && tab.id === panes.active}
                onTitle={(title) => setTitles((before) => ({ ...before, [tab.id]: title }))}
                close={() => close(pane.session)}
                restart={() => replace(pane.session)}
              />
            ))}
          </div>
        ))}
        {panes.tabs.length === 0 ? (
          <NoTerminal box={box} add={() => open(freshPane())} attach={open} />
        ) : null}
      </div>
    </div>
  );
}

function NoTerminal(props: {
  readonly box: Box;
  readonly add: () => void;
  readonly attach: (pane: Pane) => void;
}) {
  const { box, add, attach } = props;
  // Those of another browser, or another person: what goes on in the box is not hidden behind a button.
  const others = useQuery({
    queryKey: ["sessions", box.id],
    queryFn: () => listSessions(box.id),
    enabled: box.phase === "running",
    staleTime: 0,
  });
  const end = (session: string) =>
    void attempt("The session could not be ended", async () => {
      await forgetSession(box.id, session);
      await others.refetch();
    });
  return (
    <div className={css.none}>
      <Empty icon={<IconTerminal2 size={34} stroke={1.4} />} title="No terminal open">
        A session lives in the box: it goes on when you close this page, lose the network, or pause
        the box.
        <div style={{ marginTop: 14 }}>
          <Button autoFocus onClick={add} disabled={box.phase === "deleting"}>
            New terminal
          </Button>
        </div>
        {others.data && others.data.length > 0 ? (
          <section className={css.sessions} aria-label="Sessions in the box">
            {others.data.map((info) => (
              <SessionRow key={info.session} info={info} attach={attach} end={end} />
            ))}
          </section>
        ) : null}
      </Empty>
    </div>
  );
}

interface ToolsProps {
  readonly box: Box;
  readonly active: Tab | undefined;
  readonly add: () => void;
  readonly split: () => void;
  readonly attach: (pane: Pane) => void;
  readonly ended: (session: string) => void;
}

function Tools(props: ToolsProps) {
  const { box, active } = props;
  return (
    <div className={css.tools}>
      <Tooltip label="New terminal">
        <ActionIcon aria-label="New terminal" onClick={props.add}>
          <IconPlus size={16} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label="Split: another session beside this one">
        <ActionIcon aria-label="Split" disabled={!active} onClick={props.split}>
          <IconColumns2 size={16} />
        </ActionIcon>
      </Tooltip>
      <SessionMenu {...props} />
      <ShareMenu box={box} session={active?.panes[0]?.session} />
    </div>
  );
}

function SessionMenu({ box, attach, ended }: ToolsProps) {
  const go = (pane: Pane) => {
    setOpen(false);
    attach(pane);
  };
  const [sessions, setSessions] = useState<readonly ExecSessionInfo[] | null>(null);
  const [isOpen, setOpen] = useState(false);
  const change = (open: boolean) => {
    setOpen(open);
    setSessions(null);
    if (!open) return;
    void attempt("The sessions could not be listed", async () => {
      setSessions(await listSessions(box.id));
    });
  };
  const end = (session: string) =>
    void attempt("The session could not be ended", async () => {
      setSessions(await forgetSession(box.id, session));
      ended(session);
      notifyDone(`Ended ${session}`);
    });
  return (
    <Menu opened={isOpen} onChange={change} position="bottom-end" width={330} shadow="md">
      <Menu.Target>
        <Tooltip label="Sessions in the box">
          <ActionIcon aria-label="Sessions in the box" disabled={box.phase !== "running"}>
            <IconPlugConnected size={16} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Sessions in {box.name}</Menu.Label>
        {sessions === null ? <Menu.Item disabled>Asking the box…</Menu.Item> : null}
        {sessions?.length === 0 ? <Menu.Item disabled>None</Menu.Item> : null}
        {sessions?.map((info) => (
          <SessionRow key={info.session} info={info} attach={go} end={end} />
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function SessionRow(props: {
  readonly info: ExecSessionInfo;
  readonly attach: (pane: Pane) => void;
  readonly end: (session: string) => void;
}) {
  const { info, attach } = props;
  const now = useNow();
  const startedAt = new Date(info.startedAtMs).toISOString();
  return (
    <div className={css.session}>
      <div>
        <div className={css.sessionName}>{info.session}</div>
        <div className={css.sessionNote}>
          {info.argv.join(" ").slice(0, 60) || "shell"} ·{" "}
          {info.exitCode === undefined
            ? `${count(info.attached, "viewer")}, ${lasting(startedAt, now)}`
            : `ended with ${info.exitCode}`}
        </div>
      </div>
      <Button
        size="compact-xs"
        variant="default"
        onClick={() => attach({ session: info.session, mode: "write" })}
      >
        Attach
      </Button>
      <Button
        size="compact-xs"
        variant="subtle"
        color="gray"
        onClick={() => attach({ session: info.session, mode: "read" })}
      >
        Watch
      </Button>
      <Button
        size="compact-xs"
        variant="subtle"
        color="red"
        onClick={() => props.end(info.session)}
      >
        End
      </Button>
    </div>
  );
}

function ShareMenu({ box, session }: { readonly box: Box; readonly session: string | undefined }) {
  const share = (mode: "read" | "write") => {
    const url = new URL(`/boxes/${box.name}/terminal`, window.location.origin);
    url.searchParams.set("session", session ?? "");
    url.searchParams.set("mode", mode);
    void attempt("The link could not be copied", async () => {
      await navigator.clipboard.writeText(url.href);
      notifyDone("Link copied. It works for whoever may enter the box.");
    });
  };
  return (
    <Menu position="bottom-end" width={260} shadow="md">
      <Menu.Target>
        <Tooltip label="Share this session">
          <ActionIcon aria-label="Share this session" disabled={!session}>
            <IconShare2 size={16} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => share("read")}>Copy a link to watch it</Menu.Item>
        <Menu.Item onClick={() => share("write")}>Copy a link to type in it</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
