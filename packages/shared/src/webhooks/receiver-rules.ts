import { type BlockList, isIP, isIPv6 } from 'node:net';
import { z } from 'zod';
import { blockList, isPublicAddress, isRange } from './public-address.ts';

/** Where callbacks may go. */
export interface ReceiverRules {
  ports: ReadonlySet<number>;
  /** Private receivers: addresses and ranges, and names whose addresses are not asked about. */
  ranges: BlockList;
  names: ReadonlySet<string>;
}

const PORT = /^\d{1,5}$/;
const NAME = /^(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;
const MAX_URL_BYTES = 2_048;
/** Names that only mean something inside: RFC 6761, 6762, 7686, 8375 and ICANN's `internal`. */
const INSIDE_NAME = /(^|\.)(localhost|localdomain|local|internal|home\.arpa|onion)$/;

/** API and dispatcher have to know the same rules: one refuses early, the other connects. */
export const receiverEnv = {
  HEADRACE_WEBHOOK_PORTS: z
    .string()
    .refine((list) => entriesOf(list).length > 0, 'must name a port')
    .refine((list) => entriesOf(list).every(isPort), 'must be ports, separated by commas')
    .default('80,443')
    .describe(
      'Ports that webhooks may go to, separated by commas. Each further one lets whoever submits ' +
        'jobs reach what listens there on any public address.',
    ),
  HEADRACE_WEBHOOK_ALLOW: z
    .string()
    .superRefine((list, context) => {
      for (const [i, entry] of entriesOf(list).entries()) {
        if (isRange(entry) || isName(entry)) continue;
        const message = `entry ${i + 1} must be an address, a range such as 10.1.0.0/16 or a name`;
        context.addIssue({ code: 'custom', message });
      }
    })
    .optional()
    .describe(
      'Private receivers that webhooks may go to in spite of the guard: addresses, ranges and ' +
        'host names, separated by commas. Whoever submits jobs can send requests to all of them; ' +
        'a name is trusted with whatever it resolves to. Unset: public addresses only.',
    ),
};

type ReceiverSettings = z.infer<z.ZodObject<typeof receiverEnv>>;

export function parseReceiverRules(settings: ReceiverSettings): ReceiverRules {
  const allowed = entriesOf(settings.HEADRACE_WEBHOOK_ALLOW);
  return {
    ports: new Set(entriesOf(settings.HEADRACE_WEBHOOK_PORTS).map(Number)),
    ranges: blockList(allowed.filter(isRange)),
    names: new Set(allowed.filter((entry) => !isRange(entry))),
  };
}

/**
 * What is wrong with the URL of a receiver, as far as that shows without asking DNS; null if
 * nothing is. The text never repeats the URL.
 */
export function receiverProblem(text: string, rules: ReceiverRules): string | null {
  if (Buffer.byteLength(text) > MAX_URL_BYTES) return `has more than ${MAX_URL_BYTES} bytes`;
  // Parsers disagree about these, so that others would take it for another URL.
  if (/[\\\s\p{Cc}]/u.test(text)) return 'must hold no backslash, blank or control character';
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    return 'must be a URL that begins with https:// or http://';
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return 'must hold no user name and no password';
  if (!rules.ports.has(portOf(url))) return `must go to port ${[...rules.ports].join(' or ')}`;
  const host = hostOf(url);
  if (isIP(host) !== 0) return isAllowed(host, rules) ? null : 'must not go to an inside address';
  if (rules.names.has(host)) return null;
  if (!NAME.test(host)) return 'must name a host that DNS can hold';
  return INSIDE_NAME.test(host) ? 'must not go to an inside name' : null;
}

/** Whether a connection may go to an address that the host of a URL resolved to. */
export function isAllowedFor(host: string, address: string, rules: ReceiverRules): boolean {
  return rules.names.has(host) || isAllowed(address, rules);
}

function isAllowed(address: string, { ranges }: ReceiverRules): boolean {
  if (isPublicAddress(address)) return true;
  return isIP(address) !== 0 && ranges.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** Host of a URL as DNS, TLS and the rules know it: no brackets, no dot at the end. */
export function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname.replace(/\.$/, '');
}

export function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

function entriesOf(list = ''): string[] {
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase().replace(/\.$/, ''))
    .filter((entry) => entry !== '');
}

function isPort(entry: string): boolean {
  return PORT.test(entry) && Number(entry) >= 1 && Number(entry) <= 65_535;
}

function isName(entry: string): boolean {
  // A name of digits and dots would be a mistyped address.
  return NAME.test(entry) && !/^[\d.]+$/.test(entry);
}
