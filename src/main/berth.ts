// The executable. Adds the commands that run Berth itself to the CLI's; their code, and the server rooms
// below it, are loaded only when they are used.

import { enableCompileCache } from "node:module";
import { runCli } from "#cli/main.ts";
import { createProgram } from "#cli/program.ts";
import { Session } from "#cli/session.ts";
import { systemTerminal } from "#cli/system-terminal.ts";
import { addRoleCommands } from "./roles.ts";

enableCompileCache();
const terminal = systemTerminal();
const session = new Session(terminal);
const program = createProgram(session);
addRoleCommands(program, session);
process.exitCode = await runCli(program, process.argv.slice(2), session);
