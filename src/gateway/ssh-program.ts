// A session channel: a shell, a command or sftp in the box, run by the box's exec server. There is no second SSH
// handshake, which an emulated guest would take a second for.

import { constants } from "node:os";
import type { Duplex } from "node:stream";
import type { Connection, ServerChannel, Session } from "ssh2";
import type { FeedBox } from "#contract/gateway-feed.ts";
import type { Clock } from "#lib/clock.ts";
import { breakOff } from "#lib/splice.ts";
import {
  type ExecClientFrame,
  ExecFrameDecoder,
  type ExecServerFrame,
  type ExecStart,
  encodeExecFrame,
} from "#wire/exec-frames.ts";
import { forwardAgent } from "./ssh-agent.ts";
import { boxOf, type SshBoxes } from "./ssh-boxes.ts";
import { paced } from "./ssh-guard.ts";
import type { Login } from "./ssh-login.ts";

export interface ProgramContext {
  readonly connection: Connection;
  readonly login: Login;
  readonly boxes: SshBoxes;
  readonly clock: Clock;
  /** As the client gave it: BOX, or BOX+SESSION for an exec session that outlives the connection. */
  readonly userName: string;
  readonly clientAddress: string;
  /** Linux user in the box. */
  readonly boxUser: string;
  readonly ended: AbortSignal;
}

const EXEC_PORT = 1;
const SFTP = "/usr/lib/openssh/sftp-server";
/** The rest could change what a program does in ways that nobody asked for. */
const ACCEPTED_ENV = /^(?:LANG|LC_[A-Z]+|COLORTERM|TERM_PROGRAM(?:_VERSION)?|GIT_PROTOCOL)$/;
const MAX_ENV = 32;
const FAILED = 255;

/** What the client asked for before the program starts. */
interface Wishes {
  readonly env: Record<string, string>;
  pty: { rows: number; cols: number } | null;
  agent: boolean;
}

export function serveSession(session: Session, context: ProgramContext): void {
  const wishes: Wishes = { env: {}, pty: null, agent: false };
  let program: Program | null = null;
  const run = (channel: ServerChannel | undefined, command: readonly string[]) => {
    if (!channel) return; // A session runs one program.
    program = new Program(channel, wishes, context);
    program.run(command);
  };
  session.on("pty", (accept, _reject, { rows, cols, term }) => {
    wishes.pty = { rows, cols };
    if (term) wishes.env.TERM = term;
    accept?.();
  });
  session.on("env", (accept, reject, { key, val }) => {
    const isTaken = ACCEPTED_ENV.test(key) && Object.keys(wishes.env).length < MAX_ENV;
    if (!isTaken) return reject?.();
    wishes.env[key] = val;
    accept?.();
  });
  session.on("auth-agent", (accept) => {
    wishes.agent = true;
    accept?.();
  });
  session.on("window-change", (accept, _reject, { rows, cols }) => {
    // A program that waits for its box begins with the size that the window has then.
    if (wishes.pty) wishes.pty = { rows, cols };
    program?.send({ kind: "resize", rows, cols });
    accept?.();
  });
  session.on("signal", (accept, _reject, { name }) => {
    const number = constants.signals[`SIG${name}` as NodeJS.Signals];
    if (number) program?.send({ kind: "signal", signal: number });
    accept?.();
  });
  session.on("shell", (accept) => run(accept(), []));
  session.on("exec", (accept, _reject, { command }) => run(accept(), shellCommand(command)));
  session.on("subsystem", (accept, reject, { name }) => {
    if (name === "sftp") run(accept(), [SFTP]);
    else reject?.();
  });
}

/** As sshd does it: the user's shell with -c. */
function shellCommand(command: string): string[] {
  return ["/bin/sh", "-c", 'exec "$SHELL" -c "$1"', "sh", command];
}

class Program {
  readonly #channel: ServerChannel;
  readonly #wishes: Wishes;
  readonly #context: ProgramContext;
  readonly #over = new AbortController();
  #stream: Duplex | null = null;

  constructor(channel: ServerChannel, wishes: Wishes, context: ProgramContext) {
    this.#channel = paced(channel);
    this.#wishes = wishes;
    this.#context = context;
    channel.pause();
    channel.on("close", () => this.#over.abort());
  }

  send(frame: ExecClientFrame): void {
    this.#stream?.write(encodeExecFrame(frame));
  }

  async run(command: readonly string[]): Promise<void> {
    try {
      await this.#run(command);
    } catch (error) {
      this.#say(`${(error as Error).message}`);
      this.#exit(FAILED);
    }
  }

  async #run(command: readonly string[]): Promise<void> {
    const { login, boxes, userName, ended } = this.#context;
    const [name = "", sessionId] = userName.split("+");
    const box = boxOf(login, boxes, name);
    const signal = AbortSignal.any([ended, this.#over.signal]);
    const stream = await boxes.open(
      login,
      box,
      { port: EXEC_PORT },
      {
        signal,
        onPhase: (phase, reason) =>
          this.#say(`${box.name} is ${phase}${reason ? `: ${reason}` : ""}`),
      },
    );
    const close = () => breakOff(stream);
    signal.addEventListener("abort", close, { once: true });
    if (signal.aborted) return close();
    this.#stream = stream;
    this.#receive(stream);
    this.send(await this.#start(command, box, sessionId, signal));
    this.#channel.on("data", (data: Buffer) => {
      if (!stream.write(encodeExecFrame({ kind: "stdin", data }))) this.#channel.pause();
    });
    stream.on("drain", () => this.#channel.resume());
    this.#channel.on("end", () => {
      if (!this.#wishes.pty) this.send({ kind: "stdin-eof" });
    });
    this.#channel.resume();
  }

  async #start(
    command: readonly string[],
    box: FeedBox,
    sessionId: string | undefined,
    signal: AbortSignal,
  ): Promise<ExecStart> {
    const { env, pty, agent } = this.#wishes;
    const { clientAddress, connection, login, boxes } = this.#context;
    const added: Record<string, string> = {
      ...env,
      SSH_CONNECTION: `${clientAddress} 10.0.2.15 22`,
    };
    const open = () => boxes.open(login, box, { port: EXEC_PORT }, { signal });
    const socket = agent
      ? await forwardAgent(connection, signal, open).catch((error: Error) => {
          this.#say(`your agent is not forwarded: ${error.message}`);
          return null;
        })
      : null;
    if (socket) added.SSH_AUTH_SOCK = socket;
    return {
      kind: "start",
      // Without a terminal, a login shell that reads its commands from stdin.
      argv: command.length > 0 || pty ? command : ["/bin/sh", "-c", 'exec "$SHELL" -l'],
      user: this.#context.boxUser,
      env: added,
      ...(pty ? { pty } : {}),
      ...(sessionId ? { session: sessionId } : {}),
    };
  }

  #receive(stream: Duplex): void {
    const channel = this.#channel;
    const decoder = new ExecFrameDecoder();
    const waiting = new Set<object>();
    const write = (to: NodeJS.WritableStream, data: Uint8Array) => {
      if (to.write(data) || waiting.has(to)) return;
      waiting.add(to);
      stream.pause();
      to.once("drain", () => {
        waiting.delete(to);
        if (waiting.size === 0) stream.resume();
      });
    };
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk) as ExecServerFrame[]) {
          if (frame.kind === "stdout") write(channel, frame.data);
          if (frame.kind === "stderr") write(channel.stderr, frame.data);
          if (frame.kind === "exit") this.#exit(frame.exitCode);
          if (frame.kind === "error") this.#fail(frame.message);
        }
      } catch (error) {
        this.#fail((error as Error).message);
      }
    });
    stream.on("error", () => {}); // A close follows.
    stream.on("close", () => this.#fail("the connection to the box was lost"));
  }

  #fail(why: string): void {
    if (this.#over.signal.aborted || this.#hasExited) return;
    this.#say(why);
    this.#exit(FAILED);
  }

  #hasExited = false;

  #exit(code: number): void {
    if (this.#hasExited) return;
    this.#hasExited = true;
    this.#channel.exit(code);
    this.#channel.end();
    this.#stream?.end();
  }

  #say(line: string): void {
    if (!this.#over.signal.aborted) this.#channel.stderr.write(`berth: ${line}\r\n`);
  }
}
