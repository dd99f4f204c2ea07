// Every organization of the installation: making one, for oneself or for somebody; its limits and prices.

import { Radio } from "@mantine/core";
import { IconAdjustments, IconBuildingSkyscraper } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useOrgs } from "../data/orgs.ts";
import { byName, newestFirst } from "../data/pages.ts";
import type { InstallationOrg, Quota } from "../data/types.ts";
import { EditLimits } from "../org/edit-limits.tsx";
import { PricesCard } from "../org/prices-card.tsx";
import { QuotaCard } from "../org/quotas-page.tsx";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { FormDialog, MadeDialog, NameField } from "../parts/form-dialog.tsx";
import { type Find, ListPage } from "../parts/list-card.tsx";
import { notifyDone } from "../parts/notify.ts";
import css from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Sheet } from "../parts/sheet.tsx";
import { Ago } from "../parts/when.tsx";

const FIND: Find<InstallationOrg> = {
  what: "organizations",
  textOf: ({ id, name }) => `${id} ${name}`,
  orders: {
    "By name": byName,
    "Most running": (one, other) => other.running - one.running,
    "Most boxes": (one, other) => other.boxes - one.boxes,
    "Most members": (one, other) => other.members - one.members,
    "Newest first": newestFirst,
  },
};

export function OrgsPage() {
  const [isMaking, setMaking] = useState(false);
  const [url, setUrl] = useState<string | null>(null);
  const [opened, setOpened] = useState<InstallationOrg | null>(null);
  const list = useOrgs();
  return (
    <ListPage
      title="Organizations"
      lead="Whoever shares this installation. What is in an organization is its own: operators see how much it takes, not its boxes."
      add={{ label: "New organization", open: () => setMaking(true) }}
      list={list}
      find={FIND}
      empty={
        <Empty
          icon={<IconBuildingSkyscraper size={34} stroke={1.4} />}
          title="No organizations yet"
        />
      }
      also={
        <>
          {isMaking ? <Make close={() => setMaking(false)} made={setUrl} /> : null}
          {url ? (
            <MadeDialog
              title="Its first owner"
              words="Copy the link now: it is not shown again"
              secrets={[{ label: "Copy the link", text: url }]}
              close={() => setUrl(null)}
            >
              <p className={css.dim}>
                Send it to whom you mean: whoever opens it owns the organization. It works once, for
                7 days.
              </p>
            </MadeDialog>
          ) : null}
          <Sheet
            of={opened}
            close={() => setOpened(null)}
            title={({ name }) => `Organization ${name}`}
          >
            {(org) => <OrgDetails org={org} />}
          </Sheet>
        </>
      }
    >
      {(orgs) => <OrgTable orgs={orgs} open={setOpened} />}
    </ListPage>
  );
}

function OrgTable(props: {
  readonly orgs: readonly InstallationOrg[];
  readonly open: (org: InstallationOrg) => void;
}) {
  return (
    <table className={css.table}>
      <thead>
        <tr>
          <th>Name</th>
          <th className={css.number}>Members</th>
          <th className={css.number}>Boxes</th>
          <th className={`${css.number} ${css.wideOnly}`}>Running</th>
          <th className={css.wideOnly}>Created</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {props.orgs.map((org) => (
          <tr key={org.id} aria-label={org.name}>
            <td>
              <button type="button" className={css.plainLink} onClick={() => props.open(org)}>
                {org.name}
              </button>
            </td>
            <td className={css.number}>{org.members}</td>
            <td className={css.number}>{org.boxes}</td>
            <td className={`${css.number} ${css.wideOnly}`}>{org.running}</td>
            <td className={`${css.dim} ${css.wideOnly}`}>
              <Ago at={org.createdAt} />
            </td>
            <td>
              <RowActions
                of={org.name}
                actions={[
                  {
                    label: "Limits and prices of",
                    icon: IconAdjustments,
                    run: () => props.open(org),
                  },
                ]}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function OrgDetails({ org }: { readonly org: InstallationOrg }) {
  const [edited, setEdited] = useState<Quota | null>(null);
  const quota = useQuery({
    queryKey: ["quotas", "org", org.id],
    queryFn: () => berth.quotas.getOrg(org.id),
  });
  const { data } = quota;
  return (
    <div className={css.stack}>
      {quota.isPending ? <Loading rows={4} /> : null}
      {quota.error ? <Failed error={quota.error} retry={() => void quota.refetch()} /> : null}
      {data ? <QuotaCard title="What it takes" quota={data} edit={() => setEdited(data)} /> : null}
      <PricesCard org={org} />
      {edited ? (
        <EditLimits
          of={{ scope: "org", id: org.id, name: org.name, limits: edited.ownLimits }}
          close={() => setEdited(null)}
        />
      ) : null}
    </div>
  );
}

type Owner = "invited" | "me";

function Make(props: { readonly close: () => void; readonly made: (url: string) => void }) {
  const [name, setName] = useState("");
  const [owner, setOwner] = useState<Owner>("invited");
  const send = async () => {
    const { invitation } = await berth.orgs.create({ name, inviteOwner: owner === "invited" });
    for (const key of ["installation", "orgs"])
      await queries.invalidateQueries({ queryKey: [key] });
    props.close();
    if (invitation) props.made(invitation.url);
    else notifyDone(`${name} is yours`);
  };
  return (
    <FormDialog
      title="New organization"
      yes="Create"
      isReady={name !== ""}
      close={props.close}
      send={send}
    >
      <NameField placeholder="acme" name={name} setName={setName} />
      <Radio.Group
        mt="md"
        label="Its first owner"
        value={owner}
        onChange={(value) => setOwner(value as Owner)}
      >
        <div className={css.choices}>
          <Radio
            size="xs"
            value="invited"
            label="Somebody else"
            description="You get a link to send to them."
          />
          <Radio size="xs" value="me" label="You" description="You can invite others later." />
        </div>
      </Radio.Group>
    </FormDialog>
  );
}
