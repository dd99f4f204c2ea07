// What a unit of each resource costs; operators set it.

import { Button, TextInput } from "@mantine/core";
import { IconPencil } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, queries } from "../data/berth.ts";
import { useMay } from "../data/me.ts";
import { Failed, Loading } from "../parts/empty.tsx";
import { FormDialog } from "../parts/form-dialog.tsx";
import { Card } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { money } from "./money.ts";
import css from "./org.module.css";

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
                  <span className={css.sentence}>{title}</span>
                  {isOwn ? <span className={parts.dim}> · of this organization</span> : null}
                </td>
                <td>
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

function SetPrices({ book, close }: { readonly book: Book; readonly close: () => void }) {
  const [currency, setCurrency] = useState(book.currency ?? "EUR");
  const [prices, setPrices] = useState<Readonly<Record<string, string>>>({});
  const send = async () => {
    const set = Object.entries(prices).map(([name, text]) => [name, text.trim() || null]);
    await berth.prices.set({ currency, prices: Object.fromEntries(set) });
    for (const key of ["prices", "usage", "budgets"])
      await queries.invalidateQueries({ queryKey: [key] });
    close();
  };
  return (
    <FormDialog title="Prices of the installation" yes="Save" close={close} send={send}>
      <p className={parts.dim} style={{ marginTop: 0 }}>
        They hold from the first hour on that is not over yet; what an hour before has cost stays.
      </p>
      <TextInput
        mb="md"
        w={120}
        label="Currency"
        maxLength={3}
        value={currency}
        onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())}
      />
      <div className={css.fields}>
        {book.prices.map(({ resource, title, unit, price }) => (
          <TextInput
            key={resource}
            label={<span className={css.sentence}>{title}</span>}
            description={`For each ${unit}`}
            inputMode="decimal"
            placeholder="0"
            value={prices[resource] ?? (Number(price) === 0 ? "" : price)}
            onChange={(event) =>
              setPrices({ ...prices, [resource]: event.currentTarget.value.replace(",", ".") })
            }
          />
        ))}
      </div>
    </FormDialog>
  );
}
