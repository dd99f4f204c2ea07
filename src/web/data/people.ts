// The members and teams of the organization, for choosing one and for saying who is meant by an id.

import { useMemo } from "react";
import { berth } from "./berth.ts";
import { useMay } from "./me.ts";
import { byName, type Pages, useAll } from "./pages.ts";
import type { Member, Team } from "./types.ts";

export function useMembers(): Pages<Member> {
  const isWanted = useMay()("member.read");
  return useAll(["members", "list"], (page) => berth.members.list(page), byName, { isWanted });
}

export function useTeamList(): Pages<Team> {
  const isWanted = useMay()("team.read");
  return useAll(["teams", "list"], (page) => berth.teams.list(page), byName, { isWanted });
}

const NOBODY: readonly never[] = [];

export function usePeople(): readonly Member[] {
  return useMembers().items ?? NOBODY;
}

export function useTeams(): readonly Team[] {
  return useTeamList().items ?? NOBODY;
}

/** The name of a user or a team; the id itself when it is nobody of those. */
export function useNameOf(): (id: string) => string {
  const people = usePeople();
  const teams = useTeams();
  const names = useMemo(
    () => new Map([...people, ...teams].map(({ id, name }) => [id, name])),
    [people, teams],
  );
  return (id) => names.get(id) ?? id;
}
