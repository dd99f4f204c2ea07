// What stands around every page: where one can go, who one is, what an operator should know.

import {
  ActionIcon,
  Burger,
  Menu,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import {
  IconBox,
  IconBuilding,
  IconCommand,
  IconKey,
  IconLogout,
  IconMoon,
  IconServer,
  IconStack2,
  IconSun,
  IconTicket,
  IconUserCircle,
} from "@tabler/icons-react";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { CreateBoxDialog } from "./boxes/create-box.tsx";
import { berth, isLoggedOut, onLoggedOut } from "./data/berth.ts";
import { followWhileVisible, useLive } from "./data/live.ts";
import { useSystem } from "./data/me.ts";
import { mayCreate } from "./data/rights.ts";
import type { Permission, Who } from "./data/types.ts";
import css from "./frame.module.css";
import { sectionsFor as installationFor } from "./installation/sections.ts";
import { Logo } from "./logo.tsx";
import { OrgSwitch } from "./org/org-switch.tsx";
import { sectionsFor } from "./org/sections.ts";
import { Palette } from "./palette.tsx";
import { ConfirmDialog } from "./parts/confirm.tsx";
import { Failed } from "./parts/empty.tsx";
import { attempt } from "./parts/notify.ts";

const PLACES = [
  { to: "/boxes", label: "Boxes", icon: IconBox, needs: "box.read" },
  { to: "/templates", label: "Templates", icon: IconStack2, needs: "template.read" },
  { to: "/org", label: "Organization", icon: IconBuilding, needs: "org.read" },
  { to: "/installation", label: "Installation", icon: IconServer, needs: "org.create" },
  { to: "/keys", label: "SSH keys", icon: IconKey, needs: "key.manage" },
  { to: "/tokens", label: "Tokens", icon: IconTicket, needs: "token.manage" },
] as const satisfies readonly { readonly needs: Permission; readonly [more: string]: unknown }[];

/** Whom nothing of the organization was given may still be shown boxes: of a team, or shared. */
function placesFor({ permissions }: Who) {
  return PLACES.filter(({ to, needs }) => to === "/boxes" || permissions.includes(needs));
}

function toLogin(): void {
  const here = `${window.location.pathname}${window.location.search}`;
  window.location.assign(`/login?next=${encodeURIComponent(here)}`);
}

export function Frame() {
  const system = useSystem();
  const isIn = system.data !== undefined;
  const [isOpen, setOpen] = useState(false);
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const { pathname } = useLocation();
  useEffect(() => onLoggedOut(toLogin), []);
  useEffect(() => (isIn ? followWhileVisible() : undefined), [isIn]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: closes when the page changes
  useEffect(() => setOpen(false), [pathname]);
  // Not in a terminal: there Ctrl-K belongs to the shell.
  useHotkeys([["mod+K", () => setPaletteOpen(true)]]);
  if (system.error && !isLoggedOut(system.error))
    return <Failed error={system.error} retry={() => void system.refetch()} />;
  if (!isIn) return <div className={css.blank} />;
  const { user } = system.data;
  const places = placesFor(user);
  const pages = [
    ...places,
    ...sectionsFor(user).map(({ id, label }) => ({ to: `/org/${id}`, label })),
    ...installationFor(user).map(({ id, label }) => ({
      to: `/installation/${id}`,
      label: `Installation: ${label}`,
    })),
  ];
  return (
    <div className={css.frame}>
      <header className={css.top}>
        <Burger size="sm" opened={isOpen} onClick={() => setOpen(!isOpen)} aria-label="Menu" />
        <Logo size={24} />
        <span className={css.word}>Berth</span>
      </header>
      <aside className={css.side} data-open={isOpen}>
        <Link to="/boxes" className={css.brand}>
          <Logo size={26} />
          <span className={css.word}>Berth</span>
        </Link>
        <OrgSwitch />
        <button type="button" className={css.find} onClick={() => setPaletteOpen(true)}>
          <IconCommand size={14} /> Go to… <kbd>⌘K</kbd>
        </button>
        <nav className={css.places}>
          {places.map(({ to, label, icon: Icon }) => (
            <Link key={to} to={to} className={css.place} activeProps={{ "data-active": true }}>
              <Icon size={17} stroke={1.6} />
              {label}
            </Link>
          ))}
        </nav>
        <Foot />
      </aside>
      {isOpen ? (
        <button
          type="button"
          className={css.veil}
          aria-label="Close the menu"
          onClick={() => setOpen(false)}
        />
      ) : null}
      <main className={css.main}>
        <LostLine />
        <Notices notices={system.data.notices} />
        <Outlet />
      </main>
      {mayCreate(user) ? <CreateBoxDialog /> : null}
      <ConfirmDialog />
      <Palette isOpen={isPaletteOpen} close={() => setPaletteOpen(false)} places={pages} />
    </div>
  );
}

const LINK_WORDS = {
  connecting: "Connecting…",
  live: "Live",
  lost: "Connection lost, trying again…",
} as const;

function Foot() {
  const { link } = useLive();
  const { data } = useSystem();
  return (
    <div className={css.foot}>
      <div className={css.link} data-link={link} role="status">
        <span /> {LINK_WORDS[link]}
      </div>
      <div className={css.footRow}>
        <Menu position="top-start" width={230} shadow="md">
          <Menu.Target>
            <button type="button" className={css.me} aria-label={`Account: ${data?.user.name}`}>
              <IconUserCircle size={18} stroke={1.5} />
              <span>{data?.user.name}</span>
            </button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>
              {data?.user.org.name}
              <br />
              {data?.user.id}
              <br />
              Berth {data?.version}
            </Menu.Label>
            <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => void logOut()}>
              Log out
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
        <SchemeSwitch />
      </div>
    </div>
  );
}

async function logOut(): Promise<void> {
  await attempt("Could not log out", async () => {
    const { providerLogoutUrl } = await berth.webSessions.delete();
    window.location.assign(providerLogoutUrl ?? "/login");
  });
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const next = useComputedColorScheme() === "dark" ? "light" : "dark";
  return (
    <Tooltip label={`Use the ${next} theme`}>
      <ActionIcon aria-label={`Use the ${next} theme`} onClick={() => setColorScheme(next)}>
        {next === "dark" ? <IconMoon size={16} /> : <IconSun size={16} />}
      </ActionIcon>
    </Tooltip>
  );
}

const BRIEF_MS = 3000;

/** Where there is no room for the foot it says so too. What is back at once is not worth a line. */
function LostLine() {
  const isLost = useLive().link === "lost";
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    if (!isLost) return setLong(false);
    const timer = setTimeout(() => setLong(true), BRIEF_MS);
    return () => clearTimeout(timer);
  }, [isLost]);
  if (!isLong) return null;
  return (
    <div className={css.notice} role="status">
      The connection is lost, so what you see may be old. It comes back by itself.
    </div>
  );
}

/** One line each until it is put away; what is said anew comes again. */
function Notices({ notices }: { readonly notices: readonly string[] }) {
  const [hidden, setHidden] = useState<readonly string[]>(() => {
    const kept: unknown = JSON.parse(sessionStorage.getItem("berth-hidden-notices") ?? "[]");
    return Array.isArray(kept) ? (kept as string[]) : [];
  });
  const hide = (notice: string) => {
    const next = [...hidden, notice];
    sessionStorage.setItem("berth-hidden-notices", JSON.stringify(next));
    setHidden(next);
  };
  return notices
    .filter((notice) => !hidden.includes(notice))
    .map((notice) => (
      <div key={notice} className={css.notice} role="note">
        <span title={notice}>{notice}</span>
        <button type="button" onClick={() => hide(notice)}>
          Hide
        </button>
      </div>
    ));
}
