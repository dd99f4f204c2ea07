// Boxes that go from the create to running in a second, with the fake driver: what the control plane and the agent
// can do when virtual machines cost nothing. Beside the same Postgres' own commits, as many at a time.

import { openFakeInstallation, rawCommits, TEMPLATE } from "./fake-installation.ts";
import { type Pair, type Row, rowOf } from "./row.ts";

const BOXES = 200;
const AT_ONCE = 16;
const COMMITS = 2_000;
const ROUNDS = 5;

export async function run(): Promise<Row[]> {
  const berth = await openFakeInstallation();
  try {
    const pairs: Pair[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const theirs = await commits(berth.databaseUrl);
      const names = Array.from({ length: BOXES }, (_, n) => `plane-${round}-${n}`);
      const startedAt = performance.now();
      await atOnce(names, async (name) => {
        await berth.client.boxes.create({ name, template: TEMPLATE });
        await berth.client.boxes.until(name, "running");
      });
      const ours = (performance.now() - startedAt) / BOXES;
      if (round > 0) pairs.push({ ours, theirs }); // The first round warms up.
      await atOnce(names, async (name) => {
        await berth.client.boxes.delete(name);
        await berth.client.boxes.until(name, "deleted").catch(() => {});
      });
    }
    const row = rowOf(
      `raw commit ÷ box through create → running, ${AT_ONCE} at once`,
      "ms",
      pairs,
      "",
    );
    const perSecond = (1000 / row.ours).toFixed(0);
    const note = `${perSecond} boxes a second: ${BOXES} creates, waited for over the API; client, server, agent and Postgres on the same CPUs`;
    return [{ ...row, note }];
  } finally {
    await berth.close();
  }
}

/** Milliseconds for each commit of one row. */
async function commits(databaseUrl: string): Promise<number> {
  const clients = await Promise.all(Array.from({ length: AT_ONCE }, () => rawCommits(databaseUrl)));
  const startedAt = performance.now();
  const each = COMMITS / AT_ONCE;
  await Promise.all(
    clients.map(async (client) => {
      for (let n = 0; n < each; n += 1) await client.commit();
    }),
  );
  const ms = performance.now() - startedAt;
  for (const client of clients) await client.close();
  return ms / COMMITS;
}

async function atOnce(names: readonly string[], act: (name: string) => Promise<void>) {
  const waiting = [...names];
  const work = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) await act(name);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
