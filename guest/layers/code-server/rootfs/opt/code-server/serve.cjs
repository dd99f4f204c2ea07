// Serves the editor in one process. code-server's own launcher loads everything twice, gives up when the second process
// takes over 10 s (an emulated box is slower than that), and restarts it: here that is systemd's part.
const { parse, readConfigFile, setDefaults } = require("./out/node/cli.js");
const { runCodeServer } = require("./out/node/main.js");
const { wrapper } = require("./out/node/wrapper.js");

// As the launcher would have it: the first makes VS Code's server a part of this process, the second is for `code` in
// the editor's terminals.
process.env.CODE_SERVER_PARENT_PID = String(process.pid);
process.env.NODE_EXEC_PATH = process.execPath;

async function serve() {
  const given = parse(process.argv.slice(2));
  const args = await setDefaults(given, await readConfigFile(given.config));
  wrapper.preventExit(); // Some of VS Code's own code thinks that the process is its to end.
  const server = await runCodeServer(args);
  wrapper.onDispose(() => server.dispose());
}

serve().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  wrapper.exit(1);
});
