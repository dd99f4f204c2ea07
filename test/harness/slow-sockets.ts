// Slow-loris as a process of its own: `node slow-sockets.ts COUNT PORT PIECE…` holds COUNT sockets, each saying one of
// the pieces: what stands before `~` at once, the rest a byte a second. Closed ones are dialled again.
// Says `CONNECTED CLOSED` every second.

import { connect, type Socket } from "node:net";

const [count = 0, port = 0] = process.argv.slice(2, 4).map(Number);
const pieces = process.argv.slice(4).map((piece) => JSON.parse(piece) as string);
const SECOND_MS = 1000;

const left = new Map<Socket, string>();
let closed = 0;
let toDial = count;

function dial(n: number): void {
  const [now = "", later = ""] = (pieces[n % pieces.length] ?? "").split("~");
  const socket = connect(port, "127.0.0.1", () => left.set(socket, later));
  socket.on("error", () => {});
  socket.resume();
  socket.write(now);
  socket.on("close", () => {
    left.delete(socket);
    closed += 1;
    toDial += 1;
  });
}

function everySecond(): void {
  for (const [socket, text] of left) {
    if (text === "") continue;
    socket.write(text[0] ?? "");
    left.set(socket, text.slice(1));
  }
  for (; toDial > 0; toDial -= 1) dial(toDial);
  console.log(`${left.size} ${closed}`);
}

everySecond();
setInterval(everySecond, SECOND_MS);
