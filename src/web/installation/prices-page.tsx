// What usage costs wherever an organization has no price of its own.

import { PricesCard } from "../org/prices-card.tsx";
import { Page } from "../parts/page.tsx";

export function PricesPage() {
  return (
    <Page
      title="Prices"
      lead="The price book of the installation. Prices of one organization are set at Organizations."
    >
      <PricesCard isOfAll />
    </Page>
  );
}
