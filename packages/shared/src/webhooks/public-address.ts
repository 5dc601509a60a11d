import { BlockList, isIP, isIPv6 } from 'node:net';

/**
 * IANA IPv4 Special-Purpose Address Registry (RFC 6890 and its updates), all of it, global or not:
 * https://www.iana.org/assignments/iana-ipv4-special-registry; and multicast (RFC 5771).
 */
const SPECIAL_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/**
 * Services of a cloud beside the machine, at an address that is public by its form: Azure's. The
 * others (169.254.169.254, 100.100.100.200, 192.0.0.192, fd00:ec2::254) lie in special ranges.
 */
const CLOUD = ['168.63.129.16/32'];

/** All that is assigned as global unicast (RFC 4291): no mapped, NAT64, local or multicast form. */
const GLOBAL_V6 = '2000::/3';

/**
 * IANA IPv6 Special-Purpose Address Registry, what lies in 2000::/3:
 * https://www.iana.org/assignments/iana-ipv6-special-registry; 2001::/23 holds Teredo, ORCHID and
 * benchmarking, 2002::/16 is 6to4, 3ffe::/16 the former 6bone (RFC 3701).
 */
const SPECIAL_V6 = [
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '2620:4f:8000::/48',
  '3ffe::/16',
  '3fff::/20',
];

const inside = blockList([...SPECIAL_V4, ...CLOUD, ...SPECIAL_V6]);
const global = blockList([GLOBAL_V6]);

/** Whether an address, in the form that a socket or a resolver gives, belongs to the internet. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0 || address.includes('%')) return false;
  if (!isIPv6(address)) return !inside.check(address, 'ipv4');
  return global.check(address, 'ipv6') && !inside.check(address, 'ipv6');
}

/** @param ranges single addresses and CIDR ranges that `isRange` has approved */
export function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    list.addSubnet(address, bits === undefined ? widthOf(address) : Number(bits), family);
  }
  return list;
}

/** Whether a text is an address or a CIDR range. */
export function isRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (isIP(address) === 0 || address.includes('%') || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= widthOf(address));
}

function widthOf(address: string): number {
  return isIPv6(address) ? 128 : 32;
}
