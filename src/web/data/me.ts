// Who is logged in, and what the installation says of itself.

import { useQuery } from "@tanstack/react-query";
import { berth } from "./berth.ts";

export function useSystem() {
  return useQuery({
    queryKey: ["system"],
    queryFn: () => berth.system.get(),
    staleTime: 60_000,
  });
}
