// Everything else about a box: how to get in from elsewhere, what it is, how it came up, and how to be rid of it.

import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Box } from "#sdk/client.ts";
import { possibleActions } from "../boxes/actions.ts";
import { doAction } from "../boxes/do-action.ts";
import { restWords, useHourlyPrice } from "../boxes/price.ts";
import { berth } from "../data/berth.ts";
import { useMayOnBox, useSystem } from "../data/me.ts";
import { useNameOf } from "../data/people.ts";
import { count, memory, milliseconds } from "../format.ts";
import { Card, Copyable, type Fact, Facts } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";
import { Ago } from "../parts/when.tsx";
import css from "./box.module.css";
import { jetBrainsLink, sshCommands, vsCodeLink } from "./ways-in.ts";

export function InfoTab({ box }: { readonly box: Box }) {
  const may = useMayOnBox(box);
  return (
    <div className={parts.stack}>
      {may("box.enter") ? <WaysIn box={box} /> : null}
      <Card title="Box">
        <Facts facts={useBoxFacts(box)} />
      </Card>
      <HowItCameUp box={box} />
      <Environment box={box} />
      {may("box.delete") ? <DangerZone box={box} /> : null}
    </div>
  );
}

function DangerZone({ box }: { readonly box: Box }) {
  return (
    <Card title="Danger zone">
      <div className={css.danger}>
        <div>
          <strong>Delete this box</strong>
          <div className={parts.dim}>The box and everything in it is gone for good.</div>
        </div>
        <Button
          color="red"
          variant="light"
          disabled={!possibleActions(box).includes("delete")}
          onClick={() => void doAction("delete", [box])}
        >
          Delete {box.name}
        </Button>
      </div>
    </Card>
  );
}

function WaysIn({ box }: { readonly box: Box }) {
  const { data: system } = useSystem();
  const commands = sshCommands(box.name, system?.sshAddress ?? null);
  return (
    <Card title="Ways in">
      <Facts
        facts={[
          ...commands.map(
            ({ label, command }): Fact => [label, <Copyable key={label} text={command} />],
          ),
          [
            "Editors",
            <span key="editors">
              <a className={parts.link} href={vsCodeLink(box.name)}>
                Open in VS Code
              </a>
              {" · "}
              <a className={parts.link} href={jetBrainsLink(box.name)}>
                Open in JetBrains Gateway
              </a>
              <div className={parts.dim}>
                Both use <code>{box.name}.berth</code> from your ssh configuration:{" "}
                <code>berth ssh-config --install</code> writes it once.
              </div>
            </span>,
          ],
        ]}
      />
    </Card>
  );
}

function useBoxFacts(box: Box): readonly Fact[] {
  const nameOf = useNameOf();
  const price = useHourlyPrice(box.template.name, box.template.version);
  const at = (iso: string) => <Ago at={iso} />;
  return [
    ["Id", <Copyable key="id" text={box.id} />],
    ["Size", `${count(box.spec.cpus, "vCPU")}, ${memory(box.spec.memoryMib)} memory`],
    ["Disks", `${box.spec.rootDiskGib} GiB system, ${box.spec.homeDiskGib} GiB home`],
    ["Price of an hour", price ? `Running ${price.running}. ${restWords(price)}` : null],
    [
      "Template",
      <Link
        key="template"
        className={parts.link}
        to="/templates/$template"
        params={{ template: box.template.name }}
      >
        {box.template.name}, version {box.template.version}
      </Link>,
    ],
    ["Node", box.node?.name ?? "none"],
    ["Placement", box.placement?.summary ?? null],
    ["Next", box.next],
    ["Last safe", box.lastSafeAt ? at(box.lastSafeAt) : "not yet"],
    ["Forked from", box.source.forkedFrom?.name ?? null],
    [
      "Notices",
      box.notices.length > 0 ? (
        <div key="notices" className={css.links}>
          {box.notices.map((notice) => (
            <span key={`${notice.code} ${notice.at}`}>
              {notice.message}{" "}
              <span className={parts.dim}>
                (<Ago at={notice.at} />)
              </span>
            </span>
          ))}
        </div>
      ) : null,
    ],
    ["Created", at(box.createdAt)],
    ["Owner", nameOf(box.owner)],
    ["Team", box.team ? nameOf(box.team) : null],
    ["Generation", `${box.generation}, made true: ${box.observedGeneration}; epoch ${box.epoch}`],
  ];
}

function HowItCameUp({ box }: { readonly box: Box }) {
  if (!box.started && !box.renewal) return null;
  const phases = Object.entries(box.started?.phasesMs ?? {});
  return (
    <Card title="How it came up">
      <Facts
        facts={[
          ["How", box.started?.how ?? null],
          [
            "Took",
            phases.length > 0
              ? phases.map(([name, ms]) => `${name} ${milliseconds(ms)}`).join(", ")
              : null,
          ],
          ["Renewed", box.renewal ? box.renewal.renewed.join(", ") : null],
          ["Renewed at", box.renewal ? <Ago key="renewed" at={box.renewal.at} /> : null],
          ["Host key", box.renewal ? <Copyable key="key" text={box.renewal.sshHostKey} /> : null],
        ]}
      />
    </Card>
  );
}

/** What the template sets; what was added for this box alone is not told again. */
function Environment({ box }: { readonly box: Box }) {
  const { name, version } = box.template;
  const detail = useQuery({
    queryKey: ["templates", name, version],
    queryFn: () => berth.templates.version(name, version),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const env = Object.entries((detail.data?.definition.env ?? {}) as Record<string, string>);
  if (env.length === 0) return null;
  return (
    <Card title="Environment of its template">
      <Facts facts={env.map(([key, value]): Fact => [key, <Copyable key={key} text={value} />])} />
    </Card>
  );
}
