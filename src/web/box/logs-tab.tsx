// What the box writes to its serial console, read again while one looks. The end stays in sight unless one has
// scrolled away from it.

import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Box } from "#sdk/client.ts";
import { Empty, Failed, Loading } from "../parts/empty.tsx";
import { Card } from "../parts/page.tsx";
import { readConsole } from "../terminal/doors.ts";
import css from "./box.module.css";
import { plainConsole } from "./console-text.ts";

const FOLLOW_MS = 2000;
const NEAR_END_PX = 40;

export function LogsTab({ box }: { readonly box: Box }) {
  const isRunning = box.phase === "running";
  const [isFollowing, setFollowing] = useState(true);
  const reading = useQuery({
    queryKey: ["console", box.id],
    queryFn: () => readConsole(box.id),
    enabled: isRunning,
    refetchInterval: isFollowing ? FOLLOW_MS : false,
    staleTime: 0,
  });
  const place = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  const text = plainConsole(reading.data ?? "");
  // biome-ignore lint/correctness/useExhaustiveDependencies: when there is new text
  useEffect(() => {
    const pre = place.current;
    if (pre && isAtEnd.current) pre.scrollTop = pre.scrollHeight;
  }, [text]);
  if (reading.data === undefined) {
    if (!isRunning)
      return (
        <Empty title={`${box.name} is ${box.phase}`}>Its console is read while it runs.</Empty>
      );
    if (reading.error) return <Failed error={reading.error} retry={() => void reading.refetch()} />;
    return <Loading rows={8} />;
  }
  const onScroll = () => {
    const pre = place.current;
    if (pre) isAtEnd.current = pre.scrollHeight - pre.scrollTop - pre.clientHeight < NEAR_END_PX;
  };
  return (
    <Card
      title="Serial console"
      actions={
        <Button
          size="compact-xs"
          variant="default"
          onClick={() => setFollowing(!isFollowing)}
          disabled={!isRunning}
        >
          {isFollowing && isRunning ? "Following" : "Follow"}
        </Button>
      }
    >
      <pre ref={place} className={css.console} onScroll={onScroll} data-testid="console">
        {text || "The console is empty."}
      </pre>
    </Card>
  );
}
