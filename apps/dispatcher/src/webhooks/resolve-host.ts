import { lookup, Resolver } from 'node:dns/promises';

/** Every address of a host; rejects, or answers none, where it has none. */
export type ResolveHost = (host: string, signal: AbortSignal) => Promise<string[]>;

const RESOLVER_OPTIONS = { timeout: 2_000, tries: 2 };

/**
 * Asks DNS, and DNS alone: neither the hosts file nor the search domains of a cluster give the
 * names of users a meaning, and slow name servers hold no thread that the file system needs.
 */
export async function resolveByDns(host: string, signal: AbortSignal): Promise<string[]> {
  const resolver = new Resolver(RESOLVER_OPTIONS);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const addresses = answers.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const [first] = answers;
    if (addresses.length === 0 && first.status === 'rejected') throw first.reason;
    return addresses;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Asks as the machine does: for the names that its operator has allowed. */
export async function resolveBySystem(host: string): Promise<string[]> {
  const answers = await lookup(host, { all: true });
  return answers.map(({ address }) => address);
}
