// What holds a box, above its tabs: only when something does.

import type { Box } from "#sdk/client.ts";
import { useNow } from "../data/live.ts";
import { Lasting } from "../parts/when.tsx";
import css from "./standing.module.css";
import { standingOf } from "./standing.ts";

export function StandingLine({ box }: { readonly box: Box }) {
  const standing = standingOf(box, useNow());
  if (!standing) return null;
  const { tone, why, since, next, places } = standing;
  return (
    <section className={css.line} data-tone={tone} aria-label="What holds it">
      <div>
        <strong>{why}</strong> {next}
      </div>
      <span className={css.since}>
        <Lasting at={since} />
      </span>
      {places.length > 1 ? (
        <details className={css.places}>
          <summary>Where it does not fit, and why</summary>
          <ul>
            {places.map((place) => (
              <li key={place.name}>
                <b>{place.name}</b> {place.why}
              </li>
            ))}
          </ul>
        </details>
      ) : null}
    </section>
  );
}
