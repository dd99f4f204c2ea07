// `berth open`: addresses at which editors and browsers open a box. There is never a token in one.

import type { Command } from "commander";
import type { Box } from "#sdk/client.ts";
import { type OutputOptions, withExamples, withOutput } from "./options.ts";
import type { Session } from "./session.ts";
import { facts } from "./table.ts";

const HOME = "/home/dev";

export interface BoxAddresses {
  readonly dashboard: string;
  readonly vscode: string;
  readonly jetbrains: string;
  readonly ssh: string;
}

export function addressesOf(
  box: Pick<Box, "id" | "name">,
  dashboardUrl: string,
  folder = HOME,
): BoxAddresses {
  const host = `${box.name}.berth`;
  const path = folder.split("/").map(encodeURIComponent).join("/");
  const gateway = new URLSearchParams({
    ...{ host, port: "22", user: "dev", type: "ssh", deploy: "true" },
    projectPath: folder,
  });
  return {
    dashboard: `${dashboardUrl.replace(/\/+$/, "")}/boxes/${box.id}`,
    vscode: `vscode://vscode-remote/ssh-remote+${host}${path}`,
    jetbrains: `jetbrains-gateway://connect#${gateway}`,
    ssh: `ssh ${host}`,
  };
}

export function addOpenCommand(program: Command, session: Session): void {
  const command = program
    .command("open")
    .summary("print the addresses at which editors and browsers open a box")
    .description(
      "VS Code and JetBrains reach the box by plain ssh as BOX.berth: run `berth ssh-config --install` once. Opening one wakes a box at rest.",
    )
    .argument("<box>", "name or id")
    .option("--folder <path>", "folder in the box", HOME)
    .action(async (ref: string, options: OutputOptions & { folder: string }) => {
      const client = await session.client();
      const [box, system] = await Promise.all([client.boxes.get(ref), client.system.get()]);
      const addresses = addressesOf(box, system.dashboardUrl, options.folder);
      session.print(options, addresses, () =>
        facts([
          ["dashboard", addresses.dashboard],
          ["VS Code", addresses.vscode],
          ["JetBrains", addresses.jetbrains],
          ["ssh", addresses.ssh],
          ...box.ports.flatMap(({ port, previewUrl }) =>
            previewUrl ? [[`port ${port}`, previewUrl] as const] : [],
          ),
        ]),
      );
    });
  withExamples(withOutput(command), ["berth open web", "berth open web --folder /home/dev/app"]);
}
