import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@headrace/shared/logger.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { startRedis } from '../../helpers/redis.ts';
import { inSeconds, largest, percentile, sum } from '../harness/figures.ts';
import { startClients, tally } from '../harness/load.ts';
import { untilServed } from '../harness/probes.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { startTcpSwitch, type TcpSwitch } from '../harness/tcp-switch.ts';
import { createTexts } from '../harness/texts.ts';

const FAILOVERS: Record<Scale, number> = { short: 2, quick: 4, long: 10 };
const CLIENTS = 64;
const JOBS_BETWEEN = 200;
/** The old master answers as a replica for so long before its name moves. */
const NAME_MOVES_AFTER_MS = 1_000;
const RESUME_GOAL_MS = 5_000;
const LOG_LINES_A_SECOND = 10;

export const failover: ChaosRow = {
  row: 7,
  title: 'failover: the master turns read-only, 10 times',
  goal: '0 failed, ≤ 10 log lines a second, resumes ≤ 5 s',
  plainBullmq: '2 flips: 100 % failed, 6.9 k errors/s',
  headline: ['failovers', 'failed', 'log_lines_a_second_max', 'resumed_max_s'],
  async run({ say }, scale) {
    await using cleanUp = new AsyncDisposableStack();
    const second = await startRedis({ appendonly: true, port: 0 });
    cleanUp.defer(() => second.stop());
    const switches: TcpSwitch[] = [];
    cleanUp.defer(async () => {
      await Promise.all(switches.map((each) => each.stop()));
    });
    await using stack = await startStack({
      models: ['tiny-classifier'],
      redis: { appendonly: true, port: 0 },
      urlOf: async (redis) => {
        const each = await startTcpSwitch(portOf(redis.url));
        switches.push(each);
        return `redis://127.0.0.1:${each.port}`;
      },
    });
    const [name] = switches;
    if (!name) throw new Error('no switch');
    const pair = await Promise.all([openServer(stack.redis.url), openServer(second.url)]);
    cleanUp.defer(() => pair.forEach(({ redis }) => void redis.disconnect()));
    await follow(pair[1], pair[0]);

    const clients = startClients({ client: stack.client, clients: CLIENTS, next: createTexts(7) });
    const resumed: number[] = [];
    const beganIso = new Date().toISOString();
    let [master, replica] = pair;
    while (resumed.length < FAILOVERS[scale]) {
      await untilMore(stack, clients, JOBS_BETWEEN);
      resumed.push(await failOver({ stack, name, master, replica }));
      [master, replica] = [replica, master];
      say(`failover ${resumed.length}, resumed after ${inSeconds(resumed.at(-1) ?? 0)} s`);
    }
    const counts = tally(await clients.stop());

    const lines = mostLinesASecond(stack, beganIso);
    const refused = sum(await Promise.all(pair.map(refusedWrites)));
    return {
      figures: {
        failovers: resumed.length,
        ...counts,
        commands_refused_read_only: refused,
        log_lines_a_second_max: lines,
        resumed_p50_s: inSeconds(percentile(resumed, 0.5)),
        resumed_max_s: inSeconds(largest(resumed)),
      },
      ...judge(
        {
          'no job is lost': counts.lost === 0,
          'no job fails': counts.succeeded === counts.jobs,
          'writes met a read-only master': refused > 0,
          'at most 10 log lines a second': lines <= LOG_LINES_A_SECOND,
        },
        { 'resumes ≤ 5 s': largest(resumed) <= RESUME_GOAL_MS },
      ),
      notes: `The old master stayed reachable, read-only, for ${NAME_MOVES_AFTER_MS / 1000} s.`,
    };
  },
};

interface Server {
  port: number;
  redis: Redis;
}

async function openServer(url: string): Promise<Server> {
  const log = createLogger({ service: 'chaos', level: 'silent' });
  return { port: portOf(url), redis: connectRedis({ url, role: 'worker', name: 'admin', log }) };
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

/** Makes `replica` a copy of `master`, and waits until it is one. */
async function follow(replica: Server, master: Server): Promise<void> {
  await replica.redis.replicaof('127.0.0.1', master.port);
  await untilInfo(replica.redis, /master_link_status:up/);
}

async function untilInfo(redis: Redis, wanted: RegExp): Promise<void> {
  while (!wanted.test(await redis.info('replication'))) await sleep(50);
}

/** Resolves when the callers have finished `count` more jobs. */
async function untilMore(
  { client }: Stack,
  clients: { readonly finished: number },
  count: number,
): Promise<void> {
  const goal = clients.finished + count;
  while (clients.finished < goal) await client.untilFinished(await client.submit({ input: 'a' }));
}

interface FailOverOptions {
  stack: Stack;
  name: TcpSwitch;
  master: Server;
  replica: Server;
}

/** Nothing is lost on the way: Redis waits for the replica, then swaps the roles. */
async function failOver({ stack, name, master, replica }: FailOverOptions): Promise<number> {
  await untilInfo(master.redis, /connected_slaves:1/);
  await master.redis.call('FAILOVER', 'TO', '127.0.0.1', String(replica.port), 'TIMEOUT', '10000');
  await untilInfo(replica.redis, /role:master/);
  const began = performance.now();
  setTimeout(() => {
    name.target = replica.port;
  }, NAME_MOVES_AFTER_MS);
  await untilServed(stack.client);
  const resumedMs = performance.now() - began;
  await untilInfo(master.redis, /master_link_status:up/);
  return resumedMs;
}

/** Commands that a server refused since it was a replica. */
async function refusedWrites({ redis }: Server): Promise<number> {
  const errors = await redis.info('errorstats');
  return Number(/^errorstat_READONLY:count=(\d+)/m.exec(errors)?.[1] ?? 0);
}

/** Of all services together, in any second of the clock since `sinceIso`. */
function mostLinesASecond(stack: Stack, sinceIso: string): number {
  const lines = new Map<string, number>();
  for (const time of stack.logs().map((record) => String(record.time))) {
    if (time < sinceIso) continue;
    const second = time.slice(0, 19);
    lines.set(second, (lines.get(second) ?? 0) + 1);
  }
  return largest(lines.values());
}
