// Which addresses an organization's own provider may be at: public ones. Its administrators choose the provider, and
// what they choose must not make this server ask around in its own network.

import { BlockList, isIP } from "node:net";

const NOT_PUBLIC = new BlockList();
for (const [network, prefix] of [
  ...([["0.0.0.0", 8] as const, ["10.0.0.0", 8], ["100.64.0.0", 10], ["127.0.0.0", 8]] as const),
  ...([["169.254.0.0", 16] as const, ["172.16.0.0", 12], ["192.0.0.0", 24]] as const),
  ...([["192.0.2.0", 24] as const, ["192.168.0.0", 16], ["198.18.0.0", 15]] as const),
  ...([["198.51.100.0", 24] as const, ["203.0.113.0", 24], ["224.0.0.0", 3]] as const),
] as const)
  NOT_PUBLIC.addSubnet(network, prefix, "ipv4");
/** What is routed in the internet; all else of IPv6 is not. */
const PUBLIC_V6 = new BlockList();
PUBLIC_V6.addSubnet("2000::", 3, "ipv6");
/** These carry an IPv4 address, or are for documentation. */
for (const [network, prefix] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
] as const)
  NOT_PUBLIC.addSubnet(network, prefix, "ipv6");

export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !NOT_PUBLIC.check(address, "ipv4");
  return version === 6 && PUBLIC_V6.check(address, "ipv6") && !NOT_PUBLIC.check(address, "ipv6");
}

/** Of a URL's host. */
export function isLoopbackHost(hostname: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}
