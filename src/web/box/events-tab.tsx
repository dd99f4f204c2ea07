// What happened to a box: what was there before, and what comes while one looks.

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Box, Event } from "#sdk/client.ts";
import { berth } from "../data/berth.ts";
import { useLive, useNow } from "../data/live.ts";
import { dayAndTime, fullTime } from "../format.ts";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { Card } from "../parts/page.tsx";
import css from "./box.module.css";

const SHOWN = 200;

export function EventsTab({ box }: { readonly box: Box }) {
  const live = useLive();
  const past = useQuery({
    queryKey: ["events", box.id],
    queryFn: () => berth.events.list({ box: box.id, limit: SHOWN }),
    staleTime: 0,
  });
  const known = useMemo(() => new Set(past.data?.items.map((event) => event.cursor)), [past.data]);
  const fresh = live.events.filter((event) => event.boxId === box.id && !known.has(event.cursor));
  if (past.isPending) return <Loading rows={8} />;
  if (past.error) return <Failed error={past.error} retry={() => void past.refetch()} />;
  const events = [...fresh, ...past.data.items].slice(0, SHOWN);
  if (events.length === 0) return <Empty title="Nothing has happened yet" />;
  return (
    <Card title="Newest first" actions={<span className={css.kind}>live</span>}>
      <ol className={css.events}>
        {events.map((event) => (
          <EventRow key={event.cursor} event={event} isNew={!known.has(event.cursor)} />
        ))}
      </ol>
    </Card>
  );
}

function EventRow({ event, isNew }: { readonly event: Event; readonly isNew: boolean }) {
  const nowMs = useNow();
  return (
    <li data-new={isNew}>
      <time dateTime={event.at} title={fullTime(event.at)}>
        {dayAndTime(event.at, nowMs)}
      </time>
      <span className={css.kind}>{event.kind}</span>
      <span>{event.message}</span>
    </li>
  );
}
