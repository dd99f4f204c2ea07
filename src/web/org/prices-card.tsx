// What a unit of each resource costs; operators set it, of the installation and of single organizations.

import { Badge, Button, TextInput } from "@mantine/core";
import { IconPencil } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useMay } from "../data/me.ts";
import { sentence } from "../format.ts";
import { Failed, Loading } from "../parts/empty.tsx";
import { FormDialog } from "../parts/form-dialog.tsx";
import { Card } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { money } from "./money.ts";
import css from "./org.module.css";

type Book = Awaited<ReturnType<typeof berth.prices.get>>;

interface Org {
  readonly id: string;
  readonly name: string;
}

/** What holds for an organization, by default one's own; or what the installation has for all without their own. */
export function PricesCard({
  org,
  isOfAll = false,
}: {
  readonly org?: Org;
  readonly isOfAll?: boolean;
}) {
  const mayEdit = useMay()("org.create");
  const [isEditing, setEditing] = useState(false);
  const book = useQuery({
    queryKey: ["prices", org?.id ?? null],
    queryFn: () => berth.prices.get(org ? { org: org.id } : {}),
  });
  const { data } = book;
  const currency = data?.currency ?? null;
  return (
    <Card
      title="Prices"
      actions={
        mayEdit && data && (org === undefined || currency !== null) ? (
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<IconPencil size={13} />}
            aria-label={org ? `Set prices of ${org.name}` : "Set prices"}
            onClick={() => setEditing(true)}
          >
            Set prices
          </Button>
        ) : null
      }
    >
      {book.isPending ? <Loading rows={3} /> : null}
      {book.error ? <Failed error={book.error} retry={() => void book.refetch()} /> : null}
      {data && currency === null ? (
        <div className={parts.cardText}>
          {org
            ? "Nothing has a price yet: set those of the installation first, at Prices."
            : "Nothing has a price: usage is counted all the same, and prices can be set at any time."}
        </div>
      ) : null}
      {data && currency !== null ? (
        <PriceTable book={data} currency={currency} isOfAll={isOfAll} />
      ) : null}
      {isEditing && data ? (
        <SetPrices book={data} org={org ?? null} close={() => setEditing(false)} />
      ) : null}
    </Card>
  );
}

const HOURS_OF_MONTH = 730;

function PriceTable(props: {
  readonly book: Book;
  readonly currency: string;
  readonly isOfAll: boolean;
}) {
  const { book, currency, isOfAll } = props;
  return (
    <table className={parts.table} aria-label="Prices">
      <tbody>
        {book.prices.map(({ resource, title, unit, price, isOwn, installationPrice }) => {
          const shown = isOfAll ? installationPrice : price;
          return (
            <tr key={resource}>
              <td>
                {sentence(title)}
                {isOwn && !isOfAll ? (
                  <Badge
                    ml={8}
                    size="xs"
                    variant="light"
                    tt="none"
                    title={`Others pay ${money(installationPrice, currency)}`}
                  >
                    its own
                  </Badge>
                ) : null}
              </td>
              <td className={parts.nowrap}>
                {Number(shown) === 0 ? (
                  <span className={parts.dim}>free</span>
                ) : (
                  <>
                    {money(shown, currency)} <span className={parts.dim}>/ {unit}</span>
                  </>
                )}
                {unit.endsWith("-hour") && Number(shown) > 0 ? (
                  <div className={parts.dim}>
                    {money(Number(shown) * HOURS_OF_MONTH, currency)} a month
                  </div>
                ) : null}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

interface SetPricesProps {
  readonly book: Book;
  /** Null: of the installation. */
  readonly org: Org | null;
  readonly close: () => void;
}

/** What is left empty has no price of its own: it is free, or as for everybody. */
function SetPrices({ book, org, close }: SetPricesProps) {
  const [currency, setCurrency] = useState(book.currency ?? "EUR");
  const [prices, setPrices] = useState<Readonly<Record<string, string>>>({});
  const send = async () => {
    const set = Object.entries(prices).map(([name, text]) => [name, text.trim() || null]);
    const whose = org ? { org: org.id } : { currency };
    await berth.prices.set({ ...whose, prices: Object.fromEntries(set) });
    for (const key of ["prices", "usage", "budgets"])
      await queries.invalidateQueries({ queryKey: [key] });
    close();
  };
  return (
    <FormDialog
      title={org ? `Prices of ${org.name}` : "Prices of the installation"}
      yes="Save"
      size="lg"
      isReady={Object.keys(prices).length > 0 || (!org && currency !== book.currency)}
      close={close}
      send={send}
    >
      <p className={parts.dim} style={{ marginTop: 0 }}>
        They hold from the first hour on that is not over yet; what an hour before has cost stays.{" "}
        {org ? "What is empty costs what it costs everybody." : "What is empty is free."}
      </p>
      {org ? null : (
        <TextInput
          mb="md"
          w={120}
          label="Currency"
          maxLength={3}
          value={currency}
          onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())}
        />
      )}
      <div className={css.fields}>
        {book.prices.map(({ resource, title, unit, price, isOwn, installationPrice }) => {
          const own = org
            ? isOwn
              ? price
              : ""
            : Number(installationPrice)
              ? installationPrice
              : "";
          return (
            <TextInput
              key={resource}
              label={sentence(title)}
              description={`${org ? currency : ""} for each ${unit}`}
              inputMode="decimal"
              placeholder={org ? installationPrice : "0"}
              value={prices[resource] ?? own}
              onChange={(event) =>
                setPrices({ ...prices, [resource]: event.currentTarget.value.replace(",", ".") })
              }
            />
          );
        })}
      </div>
    </FormDialog>
  );
}
