import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { CutLink } from './cut-link.ts';
import { probesUrl } from './stack.ts';

const run = promisify(execFile);

/**
 *     Redis   ── (redis) ══ (north) router (south) ══ (redis) ── worker
 *     harness ── (probes) ═════════════════════════ (probes) ── worker
 *
 * The router forgets where packets go, which nobody is told of: an interface that goes down would
 * be seen by the worker's kernel.
 */
interface Network {
  names: Record<'router' | 'worker', string>;
  /** Interfaces that are outside of the namespaces. */
  ends: Record<'redis' | 'probes', string>;
  addresses: Record<
    | 'redis'
    | 'routerUp'
    | 'routerDown'
    | 'worker'
    | 'probes'
    | 'answers'
    | 'workerNet'
    | 'redisNet',
    string
  >;
}

/** Named by the process, out of the block of addresses that is kept for tests of networks. */
function planNetwork(pid: number): Network {
  const address = (last: number) => `198.18.${pid % 256}.${last}`;
  return {
    names: { router: `headrace-${pid}-router`, worker: `headrace-${pid}-worker` },
    ends: { redis: `hr${pid}r`, probes: `hr${pid}p` },
    addresses: {
      ...{ redisNet: address(0), redis: address(1), routerUp: address(2) },
      ...{ workerNet: address(4), routerDown: address(5), worker: address(6) },
      ...{ probes: address(9), answers: address(10) },
    },
  };
}

/** Arguments of `ip`, one command a line. */
function setUpOf({ names: { router, worker }, ends, addresses: at }: Network): string[] {
  return [
    `netns add ${router}`,
    `netns add ${worker}`,
    `link add ${ends.redis} type veth peer name north netns ${router}`,
    `link add ${ends.probes} type veth peer name probes netns ${worker}`,
    `-n ${router} link add south type veth peer name redis netns ${worker}`,
    `addr add ${at.redis}/30 dev ${ends.redis}`,
    `addr add ${at.probes}/30 dev ${ends.probes}`,
    `-n ${router} addr add ${at.routerUp}/30 dev north`,
    `-n ${router} addr add ${at.routerDown}/30 dev south`,
    `-n ${worker} addr add ${at.worker}/30 dev redis`,
    `-n ${worker} addr add ${at.answers}/30 dev probes`,
    ...[ends.redis, ends.probes].map((end) => `link set ${end} up`),
    ...['north', 'south'].map((end) => `-n ${router} link set ${end} up`),
    ...['lo', 'redis', 'probes'].map((end) => `-n ${worker} link set ${end} up`),
    `route add ${at.workerNet}/30 via ${at.routerUp}`,
    `-n ${worker} route add ${at.redisNet}/30 via ${at.routerDown}`,
  ];
}

/**
 * A worker in a network namespace of its own, as on another machine: behind a router that can stop
 * to forward. @returns why not, where this process may not make namespaces
 */
export async function openNamespaceLink(): Promise<CutLink | { refused: string }> {
  const network = planNetwork(process.pid);
  const { names, addresses } = network;
  const sweep = startSweeper(network);
  try {
    for (const command of setUpOf(network)) await ip(command);
    const forward = ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'];
    await run('ip', ['netns', 'exec', names.router, ...forward]);
  } catch (error) {
    await sweep();
    const refused = refusalOf(error);
    if (refused === null) throw error;
    return { refused };
  }
  const routes = async (verb: 'add' | 'del') => {
    for (const end of [addresses.worker, addresses.redis]) {
      await ip(`-n ${names.router} route ${verb} blackhole ${end}/32`);
    }
  };
  return {
    redisSettings: { bind: `127.0.0.1 ${addresses.redis}`, 'protected-mode': 'no' },
    async startWorker(stack) {
      const { port } = new URL(stack.redis.url);
      const worker = await stack.startWorker(
        {
          REDIS_URL: `redis://${addresses.redis}:${port}`,
          HEADRACE_PROBES_HOST: addresses.answers,
        },
        ['ip', 'netns', 'exec', names.worker],
      );
      return { worker, probesUrl: await probesUrl(worker, addresses.answers) };
    },
    cut: () => routes('add'),
    heal: () => routes('del'),
    [Symbol.asyncDispose]: sweep,
  };
}

async function ip(command: string): Promise<void> {
  await run('ip', command.split(' '));
}

/**
 * Takes the network away when it is told to, or when this process has ended, however that was.
 * @returns tells it, and waits
 */
function startSweeper({ names, ends }: Network): () => Promise<void> {
  const commands = [
    ...Object.values(names).map((name) => `ip netns del ${name}`),
    ...Object.values(ends).map((end) => `ip link del ${end}`),
  ];
  const child = spawn('/bin/sh', ['-c', ['read -r told', ...commands].join('; ')], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  const exited = once(child, 'exit');
  child.stdin.on('error', () => {});
  return async () => {
    child.stdin.end();
    await exited;
  };
}

const NOT_ALLOWED = /not permitted|denied|not supported|unknown device type/i;

/** What this machine lacks or does not allow; null when it is another failure. */
function refusalOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ('code' in error && error.code === 'ENOENT') return 'there is no command ip (iproute2)';
  const said = 'stderr' in error ? String(error.stderr).trim() : '';
  return NOT_ALLOWED.test(said) ? `no network namespace may be made here: ${said}` : null;
}
