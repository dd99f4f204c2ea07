// The members and teams of the organization, for choosing one and for saying who is meant by an id.

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { berth } from "./berth.ts";
import { useMay } from "./me.ts";
import type { Member, Team } from "./types.ts";

/** Who is not among so many is named by address or name. */
const SHOWN = 200;

export function usePeople(): readonly Member[] {
  const may = useMay();
  const { data } = useQuery({
    queryKey: ["members", "people"],
    queryFn: async () => (await berth.members.list({ limit: SHOWN })).items,
    enabled: may("member.read"),
  });
  return data ?? [];
}

export function useTeams(): readonly Team[] {
  const may = useMay();
  const { data } = useQuery({
    queryKey: ["teams", "all"],
    queryFn: async () => (await berth.teams.list({ limit: SHOWN })).items,
    enabled: may("team.read"),
  });
  return data ?? [];
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
