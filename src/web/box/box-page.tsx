// One box: its state in one line, and everything about it in tabs.

import { Button } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, Navigate, useParams } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useState } from "react";
import type { Box } from "#sdk/client.ts";
import { ActionMenu, actionIcon } from "../boxes/action-menu.tsx";
import { ACTION_WORDS, allowedActions, mainAction, noteOf } from "../boxes/actions.ts";
import { doAction } from "../boxes/do-action.ts";
import { PhaseLabel } from "../boxes/phase.tsx";
import { priceNow, useHourlyPrice } from "../boxes/price.ts";
import { berth } from "../data/berth.ts";
import { live, useBoxes, useLive } from "../data/live.ts";
import { useMayOnBox, useShares } from "../data/me.ts";
import { count, memory } from "../format.ts";
import { Empty, Loading } from "../parts/empty.tsx";
import { NotFound } from "../parts/lost.tsx";
import { useTitle } from "../parts/page.tsx";
import { Lasting } from "../parts/when.tsx";
import css from "./box.module.css";
import { EventsTab } from "./events-tab.tsx";
import { InfoTab } from "./info-tab.tsx";
import { LogsTab } from "./logs-tab.tsx";
import { PortsTab } from "./ports-tab.tsx";
import { ShareTab } from "./share-tab.tsx";
import { SnapshotsTab } from "./snapshots-tab.tsx";
import { StandingLine } from "./standing-line.tsx";

const TerminalTab = lazy(() =>
  import("../terminal/terminal-tab.tsx").then((module) => ({ default: module.TerminalTab })),
);

const TABS = [
  { id: "terminal", label: "Terminal" },
  { id: "ports", label: "Ports" },
  { id: "events", label: "Events" },
  { id: "logs", label: "Console" },
  { id: "snapshots", label: "Snapshots" },
  { id: "share", label: "Share" },
  { id: "info", label: "Info" },
] as const;
type TabId = (typeof TABS)[number]["id"];

export function BoxPage() {
  const { box: ref = "", tab } = useParams({ strict: false });
  const boxes = useBoxes();
  const { isLoaded } = useLive();
  // Whoever opens a link need not wait for the list of all boxes.
  useQuery({
    queryKey: ["box", ref],
    queryFn: async () => {
      live.put(await berth.boxes.get(ref));
      return true;
    },
    enabled: !isLoaded,
    staleTime: 0,
  });
  const box = boxes.find((one) => one.name === ref || one.id === ref);
  const shown = TABS.find((one) => one.id === tab)?.id;
  useTitle(box?.name ?? ref);
  if (!box) return isLoaded ? <NotFound /> : <Loading rows={8} />;
  if (!shown)
    return (
      <Navigate
        to="/boxes/$box/$tab"
        params={{ box: ref, tab: "terminal" }}
        search={true}
        replace
      />
    );
  return <BoxView key={box.id} box={box} shown={shown} />;
}

/** On a small screen they stand in a row that is longer than it is wide. */
function showWhole(tab: HTMLAnchorElement | null): void {
  tab?.scrollIntoView({ inline: "center", block: "nearest" });
}

function BoxView({ box, shown }: { readonly box: Box; readonly shown: TabId }) {
  // Once it was looked at it stays: its sessions are attached, and what they showed is kept.
  const [hasTerminal, setHasTerminal] = useState(false);
  if (shown === "terminal" && !hasTerminal) setHasTerminal(true);
  const mayEnter = useMayOnBox(box)("box.enter");
  return (
    <div className={css.page}>
      <Head box={box} />
      <StandingLine box={box} />
      <nav className={css.tabs} aria-label="Of this box">
        {TABS.map(({ id, label }) => (
          <Link
            key={id}
            to="/boxes/$box/$tab"
            params={{ box: box.name, tab: id }}
            className={css.tab}
            data-active={id === shown}
            aria-current={id === shown ? "page" : undefined}
            ref={id === shown ? showWhole : undefined}
          >
            {label}
            {id === "ports" && box.ports.length > 0 ? <span>{box.ports.length}</span> : null}
          </Link>
        ))}
      </nav>
      <div className={css.terminal} hidden={shown !== "terminal"}>
        {hasTerminal && !mayEnter ? <MayNotEnter box={box} /> : null}
        {hasTerminal && mayEnter ? (
          <Suspense fallback={<div className={css.blank} />}>
            <TerminalTab box={box} isShown={shown === "terminal"} />
          </Suspense>
        ) : null}
      </div>
      {shown === "terminal" ? null : <div className={css.body}>{bodyOf(shown, box)}</div>}
    </div>
  );
}

function MayNotEnter({ box }: { readonly box: Box }) {
  const { isPending } = useShares(box);
  if (isPending) return <div className={css.blank} />;
  return (
    <Empty title="You may see this box, not enter it">
      Whoever runs it can share it with you so that you can use it.
    </Empty>
  );
}

function bodyOf(shown: TabId, box: Box): ReactNode {
  switch (shown) {
    case "ports":
      return <PortsTab box={box} />;
    case "events":
      return <EventsTab box={box} />;
    case "logs":
      return <LogsTab box={box} />;
    case "share":
      return <ShareTab box={box} />;
    case "snapshots":
      return <SnapshotsTab box={box} />;
    default:
      return <InfoTab box={box} />;
  }
}

function Head({ box }: { readonly box: Box }) {
  // What holds it is told below, in whole sentences.
  const note = box.fault || box.reason ? null : noteOf(box);
  const price = useHourlyPrice(box.template.name, box.template.version);
  const possible = allowedActions(box, useMayOnBox(box));
  const action = mainAction(possible);
  const Icon = action && actionIcon(action);
  return (
    <header className={css.head}>
      <div className={css.crumbs}>
        <Link to="/boxes">Boxes</Link>
        <IconChevronRight size={14} />
        <h1>{box.name}</h1>
      </div>
      <PhaseLabel phase={box.phase} />
      <span className={css.facts}>
        <Lasting at={box.since} /> · {box.template.name} v{box.template.version} ·{" "}
        {count(box.spec.cpus, "vCPU")} · {memory(box.spec.memoryMib)}
        {box.node ? ` · ${box.node.name}` : ""}
        {price ? ` · ${priceNow(price, box.phase)} an hour` : ""}
      </span>
      {note ? (
        <span className={css.note} title={note}>
          {note}
        </span>
      ) : null}
      <div className={css.headActions}>
        {action && Icon ? (
          <Button
            variant={action === "pause" ? "default" : "filled"}
            leftSection={<Icon size={15} stroke={1.7} />}
            onClick={() => void doAction(action, [box])}
          >
            {ACTION_WORDS[action].label}
          </Button>
        ) : null}
        <ActionMenu box={box} possible={possible} />
      </div>
    </header>
  );
}
