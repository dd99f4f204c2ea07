// One template: its versions, what each is made of, and its build while it goes on.

import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { plainConsole } from "../box/console-text.ts";
import { berth, queries } from "../data/berth.ts";
import { count, memory } from "../format.ts";
import { Failed, Loading } from "../parts/empty.tsx";
import { attempt, notifyDone } from "../parts/notify.ts";
import { Card, Copyable, Facts, Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { Ago } from "../parts/when.tsx";
import css from "./templates.module.css";
import { VersionState } from "./version-state.tsx";

const FOLLOW_MS = 1500;

export function TemplatePage() {
  const { template = "" } = useParams({ strict: false });
  const [chosen, setChosen] = useState<number | null>(null);
  const versions = useQuery({
    queryKey: ["templates", template, "versions"],
    queryFn: () => berth.templates.versions(template, { limit: 200 }),
  });
  const shown = chosen ?? versions.data?.items[0]?.version ?? null;
  return (
    <Page title={template}>
      {versions.isPending ? <Loading /> : null}
      {versions.error ? (
        <Failed error={versions.error} retry={() => void versions.refetch()} />
      ) : null}
      {versions.data ? (
        <div className={css.columns}>
          <Card title="Versions">
            <div className={css.versions}>
              {versions.data.items.map((version) => (
                <button
                  key={version.id}
                  type="button"
                  aria-pressed={version.version === shown}
                  onClick={() => setChosen(version.version)}
                >
                  <VersionState version={{ ...version, step: null }} />
                </button>
              ))}
            </div>
          </Card>
          {shown === null ? null : <Version key={shown} template={template} version={shown} />}
        </div>
      ) : null}
    </Page>
  );
}

function Version({ template, version }: { readonly template: string; readonly version: number }) {
  const detail = useQuery({
    queryKey: ["templates", template, version, "live"],
    queryFn: () => berth.templates.version(template, version),
    // The build's output comes without events.
    refetchInterval: ({ state }) => (state.data?.state === "building" ? FOLLOW_MS : false),
    staleTime: 0,
  });
  if (detail.isPending) return <Loading />;
  if (detail.error) return <Failed error={detail.error} />;
  const { data } = detail;
  const build = () =>
    attempt("The build was not started", async () => {
      await berth.templates.build(template, version);
      notifyDone(`Building version ${version}`);
      await queries.invalidateQueries({ queryKey: ["templates"] });
    });
  const size = data.definition.size as { cpus: number; memoryMib: number } | undefined;
  return (
    <div className={parts.stack}>
      <Card
        title={<VersionState version={data} />}
        actions={
          data.state === "failed" || data.state === "unbuilt" ? (
            <Button variant="default" onClick={() => void build()}>
              Build
            </Button>
          ) : null
        }
      >
        {data.error ? <div className={css.error}>{data.error}</div> : null}
        <Facts
          facts={[
            ["Created", <Ago key="created" at={data.createdAt} />],
            ["Ready", data.readyAt ? <Ago key="ready" at={data.readyAt} /> : null],
            ["Size", size ? `${count(size.cpus, "vCPU")}, ${memory(size.memoryMib)}` : null],
            ["Prebuild", prebuildWords(data.prebuild)],
            ["Base image", <Copyable key="image" text={data.imageDigest} />],
          ]}
        />
      </Card>
      {data.log || data.state === "building" ? (
        <Card title="Build log">
          <BuildLog text={data.log} />
        </Card>
      ) : null}
      <Card title="Definition">
        <pre className={css.text}>{JSON.stringify(data.definition, null, 2)}</pre>
      </Card>
    </div>
  );
}

function prebuildWords(prebuild: { readonly durable: boolean } | null): string {
  if (!prebuild) return "none: boxes boot";
  return prebuild.durable ? "ready on every node" : "ready, being saved";
}

function BuildLog({ text }: { readonly text: string }) {
  const place = useRef<HTMLPreElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: when there is new text
  useEffect(() => {
    if (place.current) place.current.scrollTop = place.current.scrollHeight;
  }, [text]);
  return (
    <pre ref={place} className={`${css.text} ${css.log}`}>
      {plainConsole(text) || "Nothing yet."}
    </pre>
  );
}
