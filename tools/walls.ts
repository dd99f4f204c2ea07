// Holds the tree to tools/rooms.ts: imports, banned globals, cycles, file sizes.
// Returns problems as lines; prints nothing and changes nothing.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { BANS, ROOMS } from "./rooms.ts";

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^;]*?\bfrom\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)|(?:^|\n)import\s+["']([^"']+)["']/g;
const SOURCE_LINES_MAX = 500;

export function checkWalls(root: string): string[] {
  const problems: string[] = [];
  const graph = new Map<string, string[]>();
  const src = join(root, "src");
  for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.tsx?$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const file = relative(root, path);
    const roomName = relative(src, path).split("/")[0] ?? "";
    const isTest = /\.test\.ts$/.test(entry.name);
    const text = readFileSync(path, "utf8");
    const room = ROOMS[roomName];
    if (!room) {
      problems.push(`${file}: no room '${roomName}' in tools/rooms.ts`);
      continue;
    }
    const lines = text.split("\n").length;
    if (lines > (isTest ? 700 : SOURCE_LINES_MAX)) problems.push(`${file}: ${lines} lines`);
    const targets: string[] = [];
    for (const match of text.matchAll(IMPORT)) {
      const name = match[1] ?? match[2] ?? match[3] ?? "";
      const target = roomOf(name, path, src);
      if (target.path) targets.push(target.path);
      if (isTest) continue;
      if (target.kind === "room" && target.name !== roomName && !room.rooms.includes(target.name))
        problems.push(`${file}: ${roomName} may not import ${target.name} (${name})`);
      if (target.kind === "node" && !room.node.includes(target.name))
        problems.push(`${file}: ${roomName} may not import node:${target.name}`);
      if (target.kind === "npm" && !room.npm.includes(target.name))
        problems.push(`${file}: ${roomName} may not import the package ${target.name}`);
    }
    graph.set(path, targets);
    if (isTest) continue;
    for (const ban of BANS) {
      if (ban.except.includes(roomName)) continue;
      const line = text
        .split("\n")
        .findIndex((l) => ban.pattern.test(l) && !/^\s*(\/\/|\*)/.test(l));
      if (line >= 0) problems.push(`${file}:${line + 1}: ${ban.pattern.source}: ${ban.instead}`);
    }
  }
  return [
    ...problems,
    ...cycles(graph).map((c) => `import cycle: ${c.map((p) => relative(root, p)).join(" -> ")}`),
  ];
}

function roomOf(name: string, from: string, src: string) {
  if (name.startsWith("node:")) return { kind: "node", name: name.slice(5) } as const;
  if (name.startsWith("#")) {
    const [room = "", ...rest] = name.slice(1).split("/");
    return { kind: "room", name: room, path: join(src, room, ...rest) } as const;
  }
  if (name.startsWith(".")) {
    const path = resolve(dirname(from), name);
    return { kind: "room", name: relative(src, path).split("/")[0] ?? "", path } as const;
  }
  const parts = name.split("/");
  return {
    kind: "npm",
    name: name.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? ""),
  } as const;
}

function cycles(graph: Map<string, string[]>): string[][] {
  const found: string[][] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      found.push([...trail.slice(trail.indexOf(path)), path]);
      return;
    }
    state.set(path, "open");
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    state.set(path, "done");
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}
