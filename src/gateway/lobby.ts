// Sockets at a door that have not shown yet that they may be here. There is room for so many; when it is full, the
// one that has waited longest goes: slow ones cannot keep a quick one out, however many they are.

interface Waiting {
  readonly destroyed: boolean;
  destroy(): void;
  once(event: "close", listener: () => void): unknown;
}

export class Lobby {
  readonly #room: number;
  readonly #waiting = new Set<Waiting>();

  constructor(room: number) {
    this.#room = room;
  }

  /** Again puts it last. */
  enter(socket: Waiting): void {
    if (socket.destroyed) return;
    if (!this.#waiting.delete(socket)) socket.once("close", () => this.#waiting.delete(socket));
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
