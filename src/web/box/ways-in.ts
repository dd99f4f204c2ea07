// Commands and links that lead into a box from a person's own machine.

export function sshCommands(
  boxName: string,
  sshAddress: string | null,
): readonly { readonly label: string; readonly command: string }[] {
  const commands = [
    { label: "With our CLI", command: `berth ssh ${boxName}` },
    { label: "Plain ssh", command: `ssh ${boxName}.berth` },
  ];
  if (sshAddress === null) return commands;
  const [, host = "", port = "22"] = /^(.*):(\d+)$/.exec(sshAddress) ?? [];
  const direct = port === "22" ? `ssh ${boxName}@${host}` : `ssh -p ${port} ${boxName}@${host}`;
  return [...commands, { label: "From anywhere, with a key", command: direct }];
}

export function vsCodeLink(boxName: string): string {
  return `vscode://vscode-remote/ssh-remote+${encodeURIComponent(`${boxName}.berth`)}/home/dev`;
}

export function jetBrainsLink(boxName: string): string {
  const parts = { host: `${boxName}.berth`, port: "22", user: "dev", type: "ssh", deploy: "false" };
  return `jetbrains-gateway://connect#${new URLSearchParams({ ...parts, projectPath: "/home/dev" })}`;
}
