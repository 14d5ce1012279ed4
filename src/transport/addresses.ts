import { BlockList, isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

const wildcards = ['*', '0.0.0.0', '::'];

/**
 * One spelling of a host for all that name the same: IPv4 addresses in four decimal numbers (`127.1` and
 * `::ffff:127.0.0.1` are `127.0.0.1`), IPv6 addresses short and without brackets, `localhost` as `127.0.0.1`. Other
 * names stay as they are.
 */
export function canonicalHost(host: string): string {
  const bare = host.trim().replace(/^\[(.*)\]$/, '$1');
  if (/^(?:localhost|.+\.localhost|localhost\.localdomain|ip6-localhost)\.?$/i.test(bare)) return '127.0.0.1';
  const url = `http://${bare.includes(':') ? `[${bare}]` : bare}/`;
  if (!URL.canParse(url)) return bare;
  const { hostname } = new URL(url);
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) === 0) return bare;
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

/** Whether a host, in any spelling, is this host itself and can be reached from no other. */
export function isLoopback(host: string): boolean {
  const address = canonicalHost(host);
  return isIP(address) !== 0 && loopback.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

/** Whether a host stands for all addresses of this host. */
export function isWildcard(host: string): boolean {
  return wildcards.includes(canonicalHost(host));
}

/** Address as ZeroMQ takes it: `tcp://10.0.0.1:29500`, `tcp://[fd00::1]:29500`. */
export function tcpAddress(host: string, port: number | string): string {
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Whether ZeroMQ needs its IPv6 option for a host: for an IPv6 address, and to listen on all addresses. */
export function needsIpv6(host: string): boolean {
  return host.includes(':') || host === '*';
}

/** This host's addresses, loopback left out. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address }) => canonicalHost(address));
}

/**
 * The address on which a rank listens for its peers: the own one on its route to the coordinator. Where that is
 * loopback although ranks of other hosts reach the coordinator, which then runs here, it is the address that they
 * reach; and any other one of this host where they reach it through something that translates addresses.
 */
export function listeningAddress(
  own: string,
  reached: readonly string[],
  addresses = ownAddresses(),
): string {
  if (!isLoopback(own)) return own;
  const outside = reached.filter((address) => !isLoopback(address));
  const [first] = outside;
  if (first === undefined) return own;
  const sameFamily = (address: string) => address.includes(':') === first.includes(':');
  return outside.find((address) => addresses.includes(address)) ?? addresses.find(sameFamily) ?? own;
}
