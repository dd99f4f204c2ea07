// The packet filter of a box and of the host, as text for `nft -f`. Pure.
//
// A box's namespace routes between its tap (10.0.2.0/24, the same for every box) and one veth pair to
// the host. Everything is dropped unless a line here lets it pass; while the gate table is there,
// nothing passes at all. The rules that protect the host and other boxes are in the box's own
// namespace, so that a flushed host firewall opens nothing.

import { SLOTS_MAX } from "./slots.ts";

export const GUEST = { address: "10.0.2.15", gateway: "10.0.2.2", dns: "10.0.2.3" } as const;

/** Links between the host and its boxes; reserved for benchmarks (RFC 2544), so nobody's network. */
export const LINK_NETWORK = "198.18.0.0/15";
const LINK_NETWORK_BASE = (198 << 24) | (18 << 16);

/** Names and addresses that a slot stands for. */
export interface BoxLink {
  readonly netns: string;
  readonly hostInterface: string;
  readonly hostAddress: string;
  readonly boxAddress: string;
}

export const TAP = "tap0";
const UPLINK = "veth0";

/** `owner` is six hexadecimal characters. Interface names have at most 15. */
export function boxLink(owner: string, slot: number): BoxLink {
  if (!Number.isInteger(slot) || slot < 0 || slot >= SLOTS_MAX) throw new Error(`slot ${slot}`);
  return {
    netns: `berth-${owner}-${slot}`,
    hostInterface: `${hostInterfacePrefix(owner)}${slot}`,
    hostAddress: ipv4(LINK_NETWORK_BASE + 2 * slot),
    boxAddress: ipv4(LINK_NETWORK_BASE + 2 * slot + 1),
  };
}

export function hostInterfacePrefix(owner: string): string {
  return `bt${owner}x`;
}

function ipv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

/**
 * Destinations that no box reaches. The documentation networks (RFC 5737) are left open: some sites
 * number their package mirrors so, and nothing of a host is behind them.
 */
const FORBIDDEN = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  LINK_NETWORK,
  "224.0.0.0/3",
];

export interface BoxRules {
  readonly link: BoxLink;
  /** Where the host's own look-ups go; null when it has none that a box could reach. */
  readonly resolver: string | null;
  /** The host's own addresses, which are not to be reached even when public. */
  readonly hostAddresses: readonly string[];
}

export function boxRules({ link, resolver, hostAddresses }: BoxRules): string {
  const dns = (line: (protocol: string) => string) =>
    resolver ? ["udp", "tcp"].map(line).join("\n    ") : "";
  return `
add table inet berth
delete table inet berth
table inet berth {
  set forbidden {
    type ipv4_addr; flags interval; auto-merge
    elements = { ${[...FORBIDDEN, ...hostAddresses].join(", ")} }
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    ${dns((protocol) => `iifname "${TAP}" ip daddr ${GUEST.dns} ${protocol} dport 53 dnat ip to ${resolver}`)}
    iifname "${UPLINK}" ip saddr ${link.hostAddress} ip daddr ${link.boxAddress} meta l4proto tcp dnat ip to ${GUEST.address}
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname "${TAP}" ip saddr != ${GUEST.address} drop
    ct state established,related accept
    ${dns((protocol) => `iifname "${TAP}" ip daddr ${resolver} ${protocol} dport 53 ct status dnat accept`)}
    iifname "${TAP}" ip daddr @forbidden reject with icmp type admin-prohibited
    iifname "${TAP}" oifname "${UPLINK}" meta nfproto ipv4 accept
    iifname "${UPLINK}" ip saddr ${link.hostAddress} oifname "${TAP}" ct status dnat accept
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "${TAP}" ip daddr ${GUEST.gateway} icmp type echo-request accept
    ct state established,related accept
  }
  chain output {
    type filter hook output priority 0; policy drop;
    ct state established,related accept
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    oifname "${UPLINK}" ip saddr ${GUEST.address} masquerade
    oifname "${TAP}" ip saddr ${link.hostAddress} snat ip to ${GUEST.gateway}
  }
}
${GATE_SHUT}`;
}

/** Drops whatever would pass, in both directions. */
export const GATE_SHUT = `
table inet berth_gate {
  chain forward { type filter hook forward priority -10; policy drop; }
}
`;

export const GATE_OPEN = `
add table inet berth_gate
delete table inet berth_gate
`;

/** A resolver that only the host itself can reach is passed on by the host's own namespace. */
export function isLoopback(address: string): boolean {
  return address.startsWith("127.");
}

/** The host's side, for all boxes of one driver. */
export function hostRules(owner: string, resolver: string | null): string {
  const ours = `"${hostInterfacePrefix(owner)}*"`;
  const local = resolver !== null && isLoopback(resolver);
  const table = `ip berth_${owner}`;
  return `
add table ${table}
delete table ${table}
table ${table} {
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    ${local ? `iifname ${ours} udp dport 53 dnat to ${resolver}\n    iifname ${ours} tcp dport 53 dnat to ${resolver}` : ""}
  }
  chain input {
    type filter hook input priority -5; policy accept;
    iifname ${ours} ct state established,related accept
    ${local ? `iifname ${ours} ip daddr ${resolver} ct status dnat accept` : ""}
    iifname ${ours} drop
  }
  chain forward {
    type filter hook forward priority -5; policy accept;
    oifname ${ours} ct state established,related accept
    oifname ${ours} drop
  }
  chain output {
    type filter hook output priority -5; policy accept;
    oifname ${ours} meta skuid != 0 drop
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ip saddr ${LINK_NETWORK} oifname != ${ours} masquerade
  }
}
`;
}

/** First usable name server of a resolv.conf. */
export function parseResolver(text: string): string | null {
  for (const line of text.split("\n")) {
    const match = /^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/.exec(line);
    if (match?.[1]) return match[1];
  }
  return null;
}
