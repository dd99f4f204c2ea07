// What a unit of each resource costs; operators set it.

import { Button, TextInput } from "@mantine/core";
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

interface SetPricesProps {
  readonly book: Book;
  readonly org?: { readonly id: string; readonly name: string };
  readonly close: () => void;
}

type Book = Awaited<ReturnType<typeof berth.prices.get>>;

export function PricesCard() {
  const may = useMay();
  const [isEditing, setEditing] = useState(false);
  const book = useQuery({ queryKey: ["prices"], queryFn: () => berth.prices.get() });
  const currency = book.data?.currency ?? null;
  return (
    <Card
      title="Prices"
      actions={
        may("org.create") && book.data ? (
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<IconPencil size={13} />}
            onClick={() => setEditing(true)}
          >
            Set prices
          </Button>
        ) : null
      }
    >
      {book.isPending ? <Loading rows={3} /> : null}
      {book.error ? <Failed error={book.error} retry={() => void book.refetch()} /> : null}
      {book.data && currency === null ? (
        <div className={css.meters}>
          <span className={parts.dim}>
            Nothing has a price: usage is counted all the same, and prices can be set at any time.
          </span>
        </div>
      ) : null}
      {book.data && currency !== null ? (
        <table className={parts.table}>
          <tbody>
            {book.data.prices.map(({ resource, title, unit, price, isOwn }) => (
              <tr key={resource}>
                <td>
                  {sentence(title)}
                  {isOwn ? <span className={parts.dim}> · of this organization</span> : null}
                </td>
                <td className={parts.nowrap}>
                  {money(price, currency)} <span className={parts.dim}>/ {unit}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      {isEditing && book.data ? (
        <SetPrices book={book.data} close={() => setEditing(false)} />
      ) : null}
    </Card>
  );
}

/** Of the installation; or, with an organization, what differs for it: what one leaves empty stays as it is. */
export function SetPrices({ book, org, close }: SetPricesProps) {
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
        They hold from the first hour on that is not over yet; what an hour before has cost stays.
        {org ? " What is left empty stays as it is." : ""}
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
        {book.prices.map(({ resource, title, unit, price }) => (
          <TextInput
            key={resource}
            label={sentence(title)}
            description={`For each ${unit}`}
            inputMode="decimal"
            placeholder={org ? "As it is" : "0"}
            value={prices[resource] ?? (org || Number(price) === 0 ? "" : price)}
            onChange={(event) =>
              setPrices({ ...prices, [resource]: event.currentTarget.value.replace(",", ".") })
            }
          />
        ))}
      </div>
    </FormDialog>
  );
}
