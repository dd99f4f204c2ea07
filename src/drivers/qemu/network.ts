// A network namespace per box: make, open, shut, remove. A namespace is made anew for each launch of a
// VMM, with the gate shut; nothing of it outlives the box.

import { readdir, readFile, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { Run } from "#lib/run.ts";
import {
  type BoxLink,
  boxLink,
  boxRules,
  GATE_OPEN,
  GATE_SHUT,
  GUEST,
  hostInterfacePrefix,
  hostRules,
  isLoopback,
  parseResolver,
  TAP,
} from "./network-rules.ts";

export interface BoxNetworks {
  /** Makes the namespace anew, shut. `uid` may open its tap. */
  make(slot: number, uid: number): Promise<BoxLink>;
  /** Lets traffic pass once `may` is kept; what that takes is made ready meanwhile. Stays shut when it is broken. */
  open(slot: number, may?: Promise<void>): Promise<void>;
  shut(slot: number): Promise<void>;
  remove(slot: number): Promise<void>;
  /** Slots of this driver that have anything in the kernel. */
  list(): Promise<number[]>;
  /** Puts the host's own rules in place; again and again, as others may flush them. */
  protectHost(): Promise<void>;
  /** Removes everything of this driver. */
  close(): Promise<void>;
}

/** Longer than any renewal that `open` may wait for. */
const RULES_TIMEOUT_MS = 5 * 60_000;
const IPV6_OFF =
  "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f 2>/dev/null; done";

/** `resolve` tells the host's name server; tests give their own. */
export function boxNetworks(
  owner: string,
  run: Run,
  resolve: () => Promise<string | null> = findResolver,
): BoxNetworks {
  if (!/^[0-9a-f]{6}$/.test(owner))
    throw new Error(`network owner '${owner}': expected 6 hex digits`);
  const inside = (netns: string, script: string, input: string | Promise<string>) =>
    run(["ip", "netns", "exec", netns, "sh", "-c", script], { input, timeoutMs: RULES_TIMEOUT_MS });

  async function remove(slot: number): Promise<void> {
    const link = boxLink(owner, slot);
    // The interface first: the kernel takes a namespace's interfaces down later than its name.
    if (await hasInterface(link.hostInterface)) {
      await run(["ip", "link", "del", link.hostInterface]).catch(ignoreGone);
    }
    if ((await namespaces()).includes(link.netns)) {
      await run(["ip", "netns", "del", link.netns]);
    }
  }

  async function list(): Promise<number[]> {
    const slots = new Set<number>();
    const netnsPrefix = `berth-${owner}-`;
    for (const name of await namespaces()) {
      if (name.startsWith(netnsPrefix)) slots.add(Number(name.slice(netnsPrefix.length)));
    }
    const interfacePrefix = hostInterfacePrefix(owner);
    for (const name of await readdir("/sys/class/net")) {
      if (name.startsWith(interfacePrefix)) slots.add(Number(name.slice(interfacePrefix.length)));
    }
    return [...slots];
  }

  return {
    async make(slot, uid) {
      await remove(slot);
      const link = boxLink(owner, slot);
      const resolver = await resolve();
      const rules = boxRules({
        link,
        resolver: resolver && isLoopback(resolver) ? link.hostAddress : resolver,
        hostAddresses: ownAddresses(),
      });
      await run(["ip", "netns", "add", link.netns]);
      // The rules come before the first interface.
      await inside(
        link.netns,
        `${IPV6_OFF}; echo 1 > /proc/sys/net/ipv4/ip_forward; nft -f -`,
        rules,
      );
      await run(["ip", "-batch", "-"], {
        input: [
          `link add ${link.hostInterface} type veth peer name veth0 netns ${link.netns}`,
          `addr add ${link.hostAddress}/31 dev ${link.hostInterface}`,
          `link set ${link.hostInterface} up`,
        ].join("\n"),
      });
      if (resolver && isLoopback(resolver)) await allowLocalRouting(link.hostInterface);
      await run(["ip", "-netns", link.netns, "-batch", "-"], {
        input: [
          "link set lo up",
          `addr add ${link.boxAddress}/31 dev veth0`,
          "link set veth0 up",
          `route add default via ${link.hostAddress}`,
          `tuntap add dev ${TAP} mode tap user ${uid}`,
          `addr add ${GUEST.gateway}/24 dev ${TAP}`,
          `addr add ${GUEST.dns}/32 dev ${TAP}`,
          `link set ${TAP} up`,
        ].join("\n"),
      });
      return link;
    },
    async open(slot, may = Promise.resolve()) {
      const rules = may.then(() => GATE_OPEN);
      await inside(boxLink(owner, slot).netns, "exec nft -f -", rules);
    },
    async shut(slot) {
      await inside(boxLink(owner, slot).netns, "exec nft -f -", GATE_SHUT);
    },
    remove,
    list,
    async protectHost() {
      await writeFile("/proc/sys/net/ipv4/ip_forward", "1");
      await run(["nft", "-f", "-"], { input: hostRules(owner, await resolve()) });
    },
    async close() {
      for (const slot of await list()) await remove(slot);
      const table = `ip berth_${owner}`;
      await run(["nft", "-f", "-"], { input: `add table ${table}\ndelete table ${table}\n` });
    },
  };
}

async function namespaces(): Promise<string[]> {
  return await readdir("/run/netns").catch(() => []);
}

async function hasInterface(name: string): Promise<boolean> {
  return (await readdir("/sys/class/net")).includes(name);
}

function ignoreGone(error: unknown): void {
  if (!/Cannot find device/.test(String(error))) throw error;
}

/** The address that the host asks. systemd's stub answers on loopback only, so its upstream is taken. */
async function findResolver(): Promise<string | null> {
  const read = (path: string) => readFile(path, "utf8").then(parseResolver, () => null);
  const resolver = await read("/etc/resolv.conf");
  if (resolver !== "127.0.0.53") return resolver;
  return (await read("/run/systemd/resolve/resolv.conf")) ?? resolver;
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .map(({ address }) => address);
}

async function allowLocalRouting(name: string): Promise<void> {
  await writeFile(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, "1");
}
