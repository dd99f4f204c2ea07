// Sockets at a door that have not shown yet that they may be here. There is room for so many; when it is full, the
// one that has waited longest goes: slow ones cannot keep a quick one out, however many they are.

interface Waiting {
  readonly destroyed: boolean;
  destroy(): void;
  on(event: "close", listener: (this: Waiting) => void): unknown;
}

export class Lobby {
  readonly #room: number;
  readonly #waiting = new Set<Waiting>();
  readonly #seen = new WeakSet<Waiting>();
  /** One for all sockets, of which there are many. */
  readonly #forget: (this: Waiting) => void;

  constructor(room: number) {
    this.#room = room;
    const waiting = this.#waiting;
    this.#forget = function (this: Waiting) {
      waiting.delete(this);
    };
  }

  /** Again puts it last. */
  enter(socket: Waiting): void {
    if (socket.destroyed) return;
    if (!this.#seen.has(socket)) socket.on("close", this.#forget);
    this.#seen.add(socket);
    this.#waiting.delete(socket);
    this.#waiting.add(socket);
    if (this.#waiting.size <= this.#room) return;
    for (const longest of this.#waiting) {
      this.#waiting.delete(longest);
      longest.destroy();
      return;
    }
  }

  leave(socket: Waiting): void {
    this.#waiting.delete(socket);
  }
}
