// What each organization, team and user may take that nobody has given a limit of its own.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth } from "../data/berth.ts";
import { EditLimits, type LimitsOf } from "../org/edit-limits.tsx";
import { LimitsCard } from "../org/quotas-page.tsx";
import { Failed, Loading } from "../parts/empty.tsx";
import { Page } from "../parts/page.tsx";

export function LimitsPage() {
  const [edited, setEdited] = useState<LimitsOf | null>(null);
  const limits = useQuery({
    queryKey: ["quotas", "installation"],
    queryFn: () => berth.quotas.getInstallation(),
  });
  const { data } = limits;
  return (
    <Page
      title="Limits"
      lead="They hold for whoever is there and whoever comes, until an organization, a team or a user is given limits of its own."
    >
      {limits.isPending ? <Loading rows={3} /> : null}
      {limits.error ? <Failed error={limits.error} retry={() => void limits.refetch()} /> : null}
      {data ? (
        <LimitsCard
          title="Without limits of their own"
          scope="installation"
          lines={[
            { id: "org", name: "Every organization", limits: data.org },
            { id: "team", name: "Every team", limits: data.team },
            { id: "user", name: "Every user", limits: data.user },
          ]}
          edit={setEdited}
        />
      ) : null}
      {edited ? <EditLimits of={edited} close={() => setEdited(null)} /> : null}
    </Page>
  );
}
