// One terminal on the page, with the line below it that says how it stands.

import "@xterm/xterm/css/xterm.css";
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconClipboardText, IconX } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import type { Box } from "#sdk/client.ts";
import type { SessionStatus } from "#sdk/exec-session.ts";
import { allowedActions, mainAction } from "../boxes/actions.ts";
import { doAction } from "../boxes/do-action.ts";
import { useMayOnBox } from "../data/me.ts";
import { attempt, notifyDone } from "../parts/notify.ts";
import type { Pane } from "./panes.ts";
import { type StatusLine, statusLine } from "./status-line.ts";
import css from "./terminal.module.css";
import { BoxTerminal } from "./terminal.ts";
import { TouchBar } from "./touch-bar.tsx";

export interface TerminalPaneProps {
  readonly box: Box;
  readonly pane: Pane;
  /** Starts a shell when there is no session of that id yet. */
  readonly isNew: boolean;
  readonly isShown: boolean;
  readonly onTitle: (title: string) => void;
  readonly close: () => void;
  readonly restart: () => void;
}

export function TerminalPane(props: TerminalPaneProps) {
  const { box, pane, isShown } = props;
  const place = useRef<HTMLDivElement>(null);
  const terminal = useRef<BoxTerminal | null>(null);
  const [status, setStatus] = useState<SessionStatus>({ kind: "connecting", attempt: 0 });
  const [isControlNext, setControlNext] = useState(false);
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    if (!place.current) return;
    const made = new BoxTerminal({
      ...{ boxId: box.id, session: pane.session, mode: pane.mode, onStatus: setStatus },
      start: latest.current.isNew ? { argv: [], pty: { rows: 24, cols: 80 } } : undefined,
      onTitle: (title) => latest.current.onTitle(title),
      onControl: setControlNext,
    });
    terminal.current = made;
    made.mount(place.current);
    const watcher = new ResizeObserver(() => requestAnimationFrame(() => fit(made, place.current)));
    watcher.observe(place.current);
    const wake = () => made.session.reconnect();
    window.addEventListener("online", wake);
    return () => {
      watcher.disconnect();
      window.removeEventListener("online", wake);
      made.dispose();
    };
  }, [box.id, pane.session, pane.mode]);
  useEffect(() => {
    if (!isShown) return;
    terminal.current?.fit();
    terminal.current?.focus();
  }, [isShown]);
  const isRunning = box.phase === "running";
  useEffect(() => {
    if (isRunning) terminal.current?.session.retryNow();
  }, [isRunning]);
  const leftMs = useLeftMs(status);
  const line = statusLine(status, box.phase, box.name, leftMs);
  return (
    <div className={css.pane}>
      <div className={css.screen} data-dimmed={line.tone !== "good" && line.tone !== "going"}>
        <div ref={place} className={css.xterm} />
      </div>
      {pane.mode === "write" ? (
        <TouchBar terminal={() => terminal.current} isControlNext={isControlNext} />
      ) : null}
      <PaneFoot
        {...props}
        status={status}
        line={line}
        retry={() => terminal.current?.session.retryNow()}
        copyAll={() => void copyText(terminal.current?.allText() ?? "")}
      />
    </div>
  );
}

async function copyText(text: string): Promise<void> {
  const isCopied = await attempt("It could not be copied", () =>
    navigator.clipboard.writeText(text),
  );
  if (isCopied) notifyDone("Copied");
}

function fit(terminal: BoxTerminal, place: HTMLElement | null): void {
  if (place && place.offsetWidth > 0) terminal.fit();
}

function PaneFoot(
  props: TerminalPaneProps & {
    readonly status: SessionStatus;
    readonly line: StatusLine;
    readonly retry: () => void;
    readonly copyAll: () => void;
  },
) {
  const { box, pane, status, line } = props;
  const wake = mainAction(allowedActions(box, useMayOnBox(box)));
  const isOver = status.kind === "exited" || status.kind === "failed";
  const mayWake = !isOver && (box.phase === "paused" || box.phase === "stopped");
  return (
    <div className={css.foot} role="status" data-tone={line.tone}>
      <span className={css.footDot} />
      <span className={css.footText}>{line.text}</span>
      {mayWake && wake ? (
        <Button size="compact-xs" onClick={() => void doAction(wake, [box])}>
          {box.phase === "paused" ? "Resume" : "Start"}
        </Button>
      ) : null}
      {status.kind === "waiting" && box.phase === "running" ? (
        <Button size="compact-xs" variant="subtle" onClick={props.retry}>
          Now
        </Button>
      ) : null}
      {isOver ? (
        <Button size="compact-xs" variant="subtle" onClick={props.restart}>
          New session
        </Button>
      ) : null}
      <span className={css.footEnd}>{pane.mode === "read" ? "read only" : null}</span>
      <span className={css.footName}>{pane.session}</span>
      <Tooltip label="Copy all output">
        <ActionIcon
          size="xs"
          aria-label={`Copy all output of ${pane.session}`}
          onClick={props.copyAll}
        >
          <IconClipboardText size={13} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label="Close this pane; the session goes on in the box">
        <ActionIcon size="xs" aria-label={`Close ${pane.session}`} onClick={props.close}>
          <IconX size={13} />
        </ActionIcon>
      </Tooltip>
    </div>
  );
}

/** Time until the next try, counted down. */
function useLeftMs(status: SessionStatus): number {
  const [leftMs, setLeftMs] = useState(0);
  useEffect(() => {
    if (status.kind !== "waiting") return;
    const endMs = performance.now() + status.retryMs;
    setLeftMs(status.retryMs);
    const timer = setInterval(() => setLeftMs(Math.max(0, endMs - performance.now())), 250);
    return () => clearInterval(timer);
  }, [status]);
  return leftMs;
}
