// Every organization of the installation: making one, for oneself or for somebody; its limits and prices.

import { Button, Radio, TextInput } from "@mantine/core";
import { IconAdjustments, IconBuildingSkyscraper, IconPencil } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { byName, usePages } from "../data/pages.ts";
import type { InstallationOrg, Quota } from "../data/types.ts";
import { EditLimits } from "../org/edit-limits.tsx";
import { SetPrices } from "../org/prices-card.tsx";
import { QuotaCard } from "../org/quotas-page.tsx";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { FormDialog, MadeDialog } from "../parts/form-dialog.tsx";
import { ListPage } from "../parts/list-card.tsx";
import { notifyDone } from "../parts/notify.ts";
import { Card } from "../parts/page.tsx";
import css from "../parts/parts.module.css";
import { RowActions } from "../parts/row-actions.tsx";
import { Sheet } from "../parts/sheet.tsx";
import { Ago } from "../parts/when.tsx";

export function OrgsPage() {
  const [isMaking, setMaking] = useState(false);
  const [url, setUrl] = useState<string | null>(null);
  const [opened, setOpened] = useState<InstallationOrg | null>(null);
  const list = usePages(["installation", "orgs"], (page) => berth.orgs.listAll(page), byName);
  return (
    <ListPage
      title="Organizations"
      lead="Whoever shares this installation. What is in an organization is its own: operators see how much it takes, not its boxes."
      add={{ label: "New organization", open: () => setMaking(true) }}
      list={list}
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
            isOpen={opened !== null}
            close={() => setOpened(null)}
            size="md"
            title={opened ? `Organization ${opened.name}` : ""}
          >
            {opened ? <OrgDetails org={opened} /> : null}
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
  const [isPricing, setPricing] = useState(false);
  const quota = useQuery({
    queryKey: ["quotas", "org", org.id],
    queryFn: () => berth.quotas.getOrg(org.id),
  });
  const book = useQuery({ queryKey: ["prices"], queryFn: () => berth.prices.get() });
  const { data } = quota;
  return (
    <div className={css.stack}>
      {quota.isPending ? <Loading rows={4} /> : null}
      {quota.error ? <Failed error={quota.error} retry={() => void quota.refetch()} /> : null}
      {data ? <QuotaCard title="What it takes" quota={data} edit={() => setEdited(data)} /> : null}
      <Card
        title="Prices"
        actions={
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<IconPencil size={13} />}
            aria-label={`Set prices of ${org.name}`}
            disabled={!book.data?.currency}
            onClick={() => setPricing(true)}
          >
            Set prices
          </Button>
        }
      >
        <div className={css.cardText}>
          {book.data?.currency === null
            ? "Nothing has a price yet: set those of the installation first, at Prices."
            : "Those of the installation hold, but for what is set for it here."}
        </div>
      </Card>
      {edited ? (
        <EditLimits
          of={{ scope: "org", id: org.id, name: org.name, limits: edited.ownLimits }}
          close={() => setEdited(null)}
        />
      ) : null}
      {isPricing && book.data ? (
        <SetPrices book={book.data} org={org} close={() => setPricing(false)} />
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
      <TextInput
        data-autofocus
        label="Name"
        description="Lowercase letters, digits and hyphens."
        placeholder="acme"
        value={name}
        onChange={(event) => setName(event.currentTarget.value.trim())}
      />
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
