// Who is logged in, what they may do, and what the installation says of itself.

import { useQueries, useQuery } from "@tanstack/react-query";
import type { Box } from "#sdk/client.ts";
import { berth, queries } from "./berth.ts";
import { mayByRole, mayCreate, mayOnBox } from "./rights.ts";
import type { Permission, Share, Who } from "./types.ts";

const LOOK_MS = 15_000;

export function useSystem() {
  return useQuery({
    queryKey: ["system"],
    queryFn: () => berth.system.get(),
    staleTime: LOOK_MS,
    // Also how a page that nobody touches learns that it was logged out.
    refetchInterval: LOOK_MS,
  });
}

/** Inside the frame somebody is always logged in. */
export function useWho(): Who | null {
  return useSystem().data?.user ?? null;
}

export type May = (permission: Permission) => boolean;

export function useMay(): May {
  const who = useWho();
  return (permission) => who?.permissions.includes(permission) ?? false;
}

const sharesKey = (boxId: string) => ["shares", boxId];

function sharesQuery({ id }: Box) {
  return {
    queryKey: sharesKey(id),
    queryFn: async () => (await berth.shares.list(id)).items,
  };
}

export function useShares(box: Box) {
  return useQuery(sharesQuery(box));
}

/** Where what one makes belongs is chosen: to whom the box belongs says nothing of it. */
function mayWith(who: Who | null, box: Box, shares: readonly Share[]): May {
  return (permission) => {
    if (who === null) return false;
    return permission === "box.create" ? mayCreate(who) : mayOnBox(who, box, permission, shares);
  };
}

/** For one box that is looked at: with what was shared. */
export function useMayOnBox(box: Box): May {
  const who = useWho();
  return mayWith(who, box, useShares(box).data ?? []);
}

const MAX_ASKED = 40;

/** Of boxes in a list that one has by a share only, so that it is known what may be done to them. */
export function useSharesOf(boxes: readonly Box[]): void {
  const who = useWho();
  const asked =
    who === null || who.permissions.includes("member.manage")
      ? []
      : boxes.filter((box) => !mayByRole(who, box, "box.control")).slice(0, MAX_ASKED);
  useQueries({ queries: asked.map(sharesQuery) });
}

/** For boxes in lists, and wherever no hook can be: with the shares that are known. */
export function mayOnListed(box: Box): May {
  const who = queries.getQueryData<{ readonly user: Who }>(["system"])?.user ?? null;
  return mayWith(who, box, queries.getQueryData<readonly Share[]>(sharesKey(box.id)) ?? []);
}
