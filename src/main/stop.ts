// Stops the processes of an installation, the supervisor first so that it starts none again. Virtual machines are
// not among them: they go on.

import { Progress } from "#cli/progress.ts";
import type { Terminal } from "#cli/terminal.ts";
import { type Installation, PROCESS_NAMES, recordPath } from "./installation.ts";
import { stopPostgres } from "./postgres.ts";
import { stopRecorded } from "./supervisor.ts";

export async function stopProcesses(installation: Installation, terminal: Terminal): Promise<void> {
  const progress = new Progress(terminal);
  try {
    for (const name of PROCESS_NAMES) {
      const line = progress.line(name);
      line.update("stopping");
      const outcome =
        name === "postgres"
          ? await stopPostgres(installation.postgresDir)
          : await stopRecorded(recordPath(installation, name), terminal.clock);
      line.done(outcome);
    }
  } finally {
    await progress.close();
  }
}
