// The doors through which byte streams enter boxes, as the control plane knows them.

import { IconDoor } from "@tabler/icons-react";
import { useSystem } from "../data/me.ts";
import { Empty, Loading } from "../parts/empty.tsx";
import { Card, Copyable, Facts, Page } from "../parts/page.tsx";
import parts from "../parts/parts.module.css";

export function GatewaysPage() {
  const { data } = useSystem();
  return (
    <Page
      title="Gateways"
      lead="The doors into boxes: terminals, SSH, ports and previews go through them. Run as many as you like."
    >
      {data ? (
        <div className={parts.stack}>
          <Card title="Answering">
            {data.gatewayUrls.length === 0 ? (
              <Empty icon={<IconDoor size={34} stroke={1.4} />} title="No gateway answers">
                Nobody gets into a box until one does: start one with <code>berth gateway</code>, or
                look at its log.
              </Empty>
            ) : (
              <Facts
                facts={data.gatewayUrls.map((url, index) => [
                  index === 0 ? "First choice" : `Choice ${index + 1}`,
                  <Copyable key={url} text={url} label={`Copy ${url}`} />,
                ])}
              />
            )}
          </Card>
          <Card title="Where they are reached">
            <Facts
              facts={[
                ["SSH", data.sshAddress ?? "No gateway has an SSH port"],
                ["Previews", data.previewOrigin ?? "Reduced mode: previews share one origin"],
                ["Web app", data.dashboardUrl],
              ]}
            />
          </Card>
        </div>
      ) : (
        <Loading rows={4} />
      )}
    </Page>
  );
}
