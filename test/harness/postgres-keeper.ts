// Ends the tests' Postgres when no test process is left, also when they were all killed. One at a time; the
// others see that it is there and leave.

import { createServer } from "node:net";
import { systemClock } from "#lib/clock.ts";
import { stopPostgres } from "#main/postgres.ts";
import { exclusively, listUsers, SERVER_DIRECTORY } from "./database.ts";

const LOOK_EVERY_MS = 500;
/** The next test file usually starts within this. */
const IDLE_MS = 4_000;

const server = createServer((socket) => socket.destroy());
server.once("error", () => process.exit(0));
server.listen(`\0${SERVER_DIRECTORY}-keeper`, () => {
  void keep();
});

async function keep(): Promise<void> {
  let idleMs = 0;
  for (;;) {
    await systemClock.sleep(LOOK_EVERY_MS);
    idleMs = (await listUsers()).length === 0 ? idleMs + LOOK_EVERY_MS : 0;
    if (idleMs < IDLE_MS) continue;
    const isOver = await exclusively(async () => {
      if ((await listUsers()).length > 0) return false;
      await stopPostgres(SERVER_DIRECTORY);
      // Inside the lock: whoever comes next must be able to start a keeper of its own.
      await new Promise((done) => server.close(done));
      return true;
    });
    if (isOver) return;
  }
}
