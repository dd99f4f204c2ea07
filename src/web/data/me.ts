// Who is logged in, and what the installation says of itself.

import { useQuery } from "@tanstack/react-query";
import { berth } from "./berth.ts";

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
