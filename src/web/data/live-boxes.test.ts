// The live list: no change is missed between reading the list and following the events, no older answer wins over a
// newer one, and after a lost connection it goes on where it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BerthClient, Box, Event } from "#sdk/client.ts";
import { LiveBoxes } from "./live-boxes.ts";

const turn = () => new Promise<void>((done) => setImmediate(done));

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (let turns = 0; turns < 50_000; turns++) {
    if (isTrue()) return;
    await turn();
  }
  throw new Error(`never: ${what}`);
}

/** A server with a log of events; what it answers can be held back. */
class Server {
  readonly boxes = new Map<string, Box>();
  readonly log: Event[] = [];
  readonly opened: (string | undefined)[] = [];
  lists = 0;
  gets = 0;
  #held: (() => void)[] | null = null;
  #wake: () => void = () => {};
  #broken: unknown = null;

  change(id: string, phase: Box["phase"]): void {
    if (phase === "deleted") this.boxes.delete(id);
    else this.boxes.set(id, { id, name: id, phase, createdAt: "" } as Box);
    const cursor = String(this.log.length + 1);
    this.log.push({ cursor, kind: "box.phase", boxId: id } as Event);
    this.#wake();
  }
  break(error: unknown): void {
    this.#broken = error;
    this.#wake();
  }
  hold(): void {
    this.#held = [];
  }
  release(): void {
    for (const go of this.#held?.splice(0) ?? []) go();
    this.#held = null;
  }
  async #answer<T>(value: T): Promise<T> {
    const held = this.#held;
    if (held) await new Promise<void>((go) => held.push(go));
    else await turn();
    return value;
  }
  readonly client = {
    boxes: {
      list: () => {
        this.lists += 1;
        return this.#answer({ items: [...this.boxes.values()], nextCursor: null });
      },
      get: (id: string) => {
        this.gets += 1;
        const box = this.boxes.get(id);
        return this.#answer(box).then((found) => {
          if (!found) throw Object.assign(new Error("gone"), { code: "not_found" });
          return found;
        });
      },
    },
    watch: (query: { cursor?: string }, signal: AbortSignal, opened: (cursor: string) => void) =>
      this.#watch(query.cursor, signal, opened),
  } as unknown as Pick<BerthClient, "boxes" | "watch">;

  async *#watch(cursor: string | undefined, signal: AbortSignal, opened: (cursor: string) => void) {
    this.opened.push(cursor);
    let at = cursor === undefined ? this.log.length : Number(cursor);
    opened(String(at));
    while (!signal.aborted) {
      if (this.#broken) {
        const error = this.#broken;
        this.#broken = null;
        throw error;
      }
      const event = this.log[at];
      if (event) {
        at += 1;
        yield event;
        continue;
      }
      await new Promise<void>((done) => {
        this.#wake = done;
        signal.addEventListener("abort", () => done());
      });
    }
    throw signal.reason;
  }
}

function follow(server: Server) {
  const errors: unknown[] = [];
  const live = new LiveBoxes({
    client: server.client,
    sleep: turn,
    onEvent: () => {},
    onError: (error) => errors.push(error),
  });
  live.start();
  const shown = () =>
    Object.fromEntries([...live.state.boxes.values()].map((box) => [box.id, box.phase]));
  return { live, errors, shown };
}

test("a box that changes while the list is read is shown as it is", async () => {
  const server = new Server();
  server.change("a", "starting");
  server.hold();
  const { live, shown } = follow(server);
  await until(() => server.lists === 1, "the list is being read");
  server.change("a", "running");
  server.change("b", "creating");
  await turn();
  server.release();
  await until(() => shown().a === "running" && shown().b === "creating", "both are right");
  live.stop();
});

test("an older answer never wins, and many changes are few reads", async () => {
  const server = new Server();
  server.change("a", "starting");
  const { live, shown } = follow(server);
  await until(() => live.state.isLoaded, "loaded");
  server.hold();
  const gets = server.gets;
  server.change("a", "running");
  await until(() => server.gets === gets + 1, "being read");
  for (const phase of ["pausing", "paused", "resuming", "stopped"] as const)
    server.change("a", phase);
  await until(() => live.state.events.length === 5, "told");
  server.release();
  await until(() => shown().a === "stopped", "as it is now");
  assert.equal(server.gets, gets + 2);
  live.stop();
});

test("a deleted box goes", async () => {
  const server = new Server();
  server.change("a", "running");
  const { live, shown } = follow(server);
  await until(() => shown().a === "running", "shown");
  server.change("a", "deleted");
  await until(() => shown().a === undefined, "gone");
  live.stop();
});

test("after a lost connection, and after a pause, it goes on after the last event", async () => {
  const server = new Server();
  const { live, shown, errors } = follow(server);
  await until(() => live.state.isLoaded, "loaded");
  server.change("a", "running");
  await until(() => shown().a === "running", "shown");
  server.break(new Error("lost"));
  await until(() => server.opened.length === 2, "opened again");
  assert.equal(errors.length, 1);
  live.stop();
  server.change("a", "paused");
  live.start();
  await until(() => shown().a === "paused", "caught up");
  assert.deepEqual(server.opened, [undefined, "1", "1"]);
  assert.equal(server.lists, 1);
  live.stop();
});

test("when the events are too old to go on, the list is read anew", async () => {
  const server = new Server();
  const { live, shown } = follow(server);
  await until(() => live.state.isLoaded, "loaded");
  server.break(Object.assign(new Error("too old"), { code: "invalid_cursor" }));
  server.boxes.set("c", { id: "c", name: "c", phase: "running", createdAt: "" } as Box);
  await until(() => shown().c === "running", "shown");
  assert.deepEqual(server.opened, [undefined, undefined]);
  live.stop();
});

test("very many changes are one list", async () => {
  const server = new Server();
  const { live, shown } = follow(server);
  await until(() => live.state.isLoaded, "loaded");
  server.hold();
  for (let n = 0; n < 100; n++) server.change(`b${n}`, "running");
  await until(() => live.state.events.length === 100, "told");
  server.release();
  await until(() => Object.keys(shown()).length === 100, "all shown");
  assert.ok(server.gets < 100, `${server.gets} reads`);
  live.stop();
});

test("of a long list the first page is shown while the rest is read, and a box that was put stays", async () => {
  const server = new Server();
  const box = (id: string) => ({ id, name: id, phase: "running", createdAt: "" }) as Box;
  let more: () => void = () => {};
  const list = async ({ cursor }: { cursor?: string }) => {
    if (!cursor) return { items: [box("a")], nextCursor: "2" };
    await new Promise<void>((go) => {
      more = go;
    });
    return { items: [box("b"), box("z")], nextCursor: null };
  };
  Object.assign(server.client.boxes, { list });
  const { live, shown } = follow(server);
  live.put(box("z"));
  await until(() => shown().a === "running", "the first page");
  assert.deepEqual([Object.keys(shown()).sort(), live.state.isLoaded], [["a", "z"], false]);
  more();
  await until(() => live.state.isLoaded, "all");
  assert.deepEqual(Object.keys(shown()).sort(), ["a", "b", "z"]);
  live.stop();
});
