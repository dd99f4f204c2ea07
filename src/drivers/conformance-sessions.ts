// Exec sessions as the drivers' conformance suite looks at them: through openSession and port 1, by frames.

import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import type { BoxId } from "#domain/ids.ts";
import type { Driver } from "#drivers/driver.ts";
import {
  type ExecClientFrame,
  ExecFrameDecoder,
  type ExecServerFrame,
  encodeExecFrame,
  type SessionMode,
} from "#wire/exec-frames.ts";

interface Place {
  readonly boxId: BoxId;
  readonly epoch: number;
}

/** One connection to a session. */
export class SessionView {
  readonly #stream: Duplex;
  readonly frames: ExecServerFrame[] = [];
  #isClosed = false;
  #tell: () => void = () => {};

  /** A connection whose box was taken away hears nothing any more, and would hold the test's process. */
  static readonly #open = new Set<SessionView>();
  static closeAll(): void {
    for (const view of SessionView.#open) view.close();
  }

  constructor(stream: Duplex) {
    this.#stream = stream;
    SessionView.#open.add(this);
    const decoder = new ExecFrameDecoder();
    stream.on("data", (chunk: Buffer) => {
      this.frames.push(...(decoder.push(Buffer.from(chunk)) as ExecServerFrame[]));
      this.#tell();
    });
    stream.on("error", () => {});
    stream.on("close", () => {
      SessionView.#open.delete(this);
      this.#isClosed = true;
      this.#tell();
    });
  }

  send(frame: ExecClientFrame): void {
    this.#stream.write(encodeExecFrame(frame));
  }

  type(text: string): void {
    this.send({ kind: "stdin", data: Buffer.from(`${text}\r`) });
  }

  get output(): string {
    return this.frames
      .map((frame) => (frame.kind === "stdout" ? Buffer.from(frame.data).toString() : ""))
      .join("");
  }

  async shows(text: string): Promise<void> {
    await this.#until(() => this.output.includes(text), `'${text}'`);
  }

  async frame<Kind extends ExecServerFrame["kind"]>(kind: Kind): Promise<ExecServerFrame> {
    await this.#until(() => this.frames.some((frame) => frame.kind === kind), kind);
    return this.frames.find((frame) => frame.kind === kind) as ExecServerFrame;
  }

  close(): void {
    this.#stream.destroy();
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    while (!holds()) {
      assert.ok(
        !this.#isClosed,
        `closed without ${what}: ${JSON.stringify(this.frames.slice(-3))}`,
      );
      await new Promise<void>((resolve) => {
        this.#tell = resolve;
      });
    }
  }
}

/** A terminal that shows what is typed. */
export async function startEcho(driver: Driver, place: Place, session: string) {
  const view = new SessionView(await driver.connect(place.boxId, place.epoch, 1));
  const pty = { rows: 24, cols: 80 };
  view.send({ kind: "start", argv: ["cat"], user: "dev", session, pty });
  await view.frame("attached");
  return view;
}

export async function attachTo(
  driver: Driver,
  place: Place,
  session: string,
  mode: SessionMode,
): Promise<SessionView> {
  const stream = await driver.openSession(place.boxId, place.epoch, session, mode);
  const view = new SessionView(stream);
  view.send({ kind: "attach", session, mode });
  return view;
}

/** The session is there, with all that it showed, and goes on. */
export async function testEchoLives(
  driver: Driver,
  place: Place,
  session: string,
  shown: string,
): Promise<void> {
  const view = await attachTo(driver, place, session, "write");
  await view.frame("attached");
  await view.shows(shown);
  view.type(`${session} lives`);
  await view.shows(`${session} lives`);
  view.close();
}

/** A connection for one session gives nothing else. */
export async function testSessionDoor(
  driver: Driver,
  place: Place,
  session: string,
): Promise<void> {
  const refused: [SessionMode, ExecClientFrame, string][] = [
    ["write", { kind: "start", argv: ["true"], user: "dev" }, "forbidden"],
    ["write", { kind: "list" }, "forbidden"],
    ["write", { kind: "attach", session: "another", mode: "read" }, "forbidden"],
    ["read", { kind: "attach", session, mode: "write" }, "forbidden"],
  ];
  for (const [mode, frame, code] of refused) {
    const view = new SessionView(await driver.openSession(place.boxId, place.epoch, session, mode));
    view.send(frame);
    const answer = await view.frame("error");
    assert.ok(answer.kind === "error" && answer.code === code, JSON.stringify(answer));
    view.close();
  }
  const reader = await attachTo(driver, place, session, "read");
  await reader.frame("attached");
  reader.type("not for readers");
  const answer = await reader.frame("error");
  assert.ok(answer.kind === "error" && answer.code === "forbidden");
  assert.ok(!reader.output.includes("not for readers"));
}
