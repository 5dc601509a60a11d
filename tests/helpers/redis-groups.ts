import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { chooseRedisUrl, guard } from '../../scripts/redis/redis-process.mjs';
import { startRedis, type TestRedis } from './redis.ts';

export interface RedisGroup extends AsyncDisposable {
  /** For REDIS_URL. */
  url: string;
  /** SIGKILL of the server that holds the keys of `prefix`. */
  killMaster(): Promise<void>;
}

const MASTER = 'headrace';
/** How long a server must be silent until another takes its place. */
const DOWN_MS = 1_000;
/** A server's port of the cluster bus lies so far above its own. */
const BUS_OFFSET = 10_000;
const MASTERS = 3;
const SLOTS = 16_384;

/** A master, its replica, and a Sentinel that has the last word. */
export async function startSentinelGroup(): Promise<RedisGroup> {
  const undo = new AsyncDisposableStack();
  try {
    const master = await server(undo, {});
    const replica = await server(undo, { replicaof: `127.0.0.1 ${portOf(master.url)}` });
    await until(replica, async (redis) => (await redis.info()).includes('master_link_status:up'));
    const url = await startSentinel(undo, master);
    await until({ url }, async (redis) => {
      const [fields] = [await redis.call('SENTINEL', 'REPLICAS', MASTER)].flat();
      return Array.isArray(fields);
    });
    return {
      url: `redis-sentinel://${new URL(url).host}/${MASTER}`,
      killMaster: () => master.kill9(),
      [Symbol.asyncDispose]: () => undo.disposeAsync(),
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

/** @returns its URL */
async function startSentinel(undo: AsyncDisposableStack, master: TestRedis): Promise<string> {
  const url = await chooseRedisUrl(master.folder, 0);
  const file = join(master.folder, 'sentinel.conf');
  writeFileSync(
    file,
    [
      ...[`port ${portOf(url)}`, 'bind 127.0.0.1', `dir ${master.folder}`],
      `sentinel monitor ${MASTER} 127.0.0.1 ${portOf(master.url)} 1`,
      `sentinel down-after-milliseconds ${MASTER} ${DOWN_MS}`,
      `sentinel failover-timeout ${MASTER} ${10 * DOWN_MS}`,
      '',
    ].join('\n'),
  );
  const binary = process.env.REDIS_SERVER || 'redis-server';
  const child = spawn(binary, [file, '--sentinel'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const dismiss = guard(child.pid ?? 0, 0);
  undo.defer(async () => {
    dismiss();
    await ended(child);
  });
  return url;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Three masters that share the slots, and a replica of the one that has those of `prefix`. */
export async function startCluster(prefix: string): Promise<RedisGroup> {
  const undo = new AsyncDisposableStack();
  try {
    const servers = await Promise.all(
      Array.from({ length: MASTERS + 1 }, () => clusterServer(undo)),
    );
    const clients = servers.map((each) => client(undo, each));
    const [first] = clients;
    if (!first) throw new Error('no server');
    for (const each of servers) await first.cluster('MEET', '127.0.0.1', portOf(each.url));
    for (const [i, each] of clients.slice(0, MASTERS).entries()) {
      await each.cluster('ADDSLOTS', ...slotsOf(i));
    }
    const slot = Number(await first.cluster('KEYSLOT', prefix));
    const owner = Array.from({ length: MASTERS }, (_, i) => i).find((i) =>
      slotsOf(i).includes(slot),
    );
    const [master, masterClient] = [servers[owner ?? 0], clients[owner ?? 0]];
    const replica = clients[MASTERS];
    if (!master || !masterClient || !replica) throw new Error('no master');
    const id = String(await masterClient.call('CLUSTER', 'MYID'));
    await untilTrue(async () => (await replica.call('CLUSTER', 'REPLICATE', id)) === 'OK');
    for (const each of clients) {
      await untilTrue(async () => String(await each.cluster('INFO')).includes('cluster_state:ok'));
    }
    await untilTrue(async () => (await replica.info()).includes('master_link_status:up'));
    // The one that has our slot is not named: it must be found.
    const seeds = servers.filter((each) => each !== master).map(({ url }) => new URL(url).host);
    return {
      url: `redis-cluster://${seeds.join()}`,
      killMaster: () => master.kill9(),
      [Symbol.asyncDispose]: () => undo.disposeAsync(),
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

function slotsOf(master: number): number[] {
  const size = Math.ceil(SLOTS / MASTERS);
  const from = master * size;
  return Array.from({ length: Math.min(size, SLOTS - from) }, (_, i) => from + i);
}

async function clusterServer(undo: AsyncDisposableStack): Promise<TestRedis> {
  let port: number;
  do port = portOf(await chooseRedisUrl('', 0));
  while (port + BUS_OFFSET > 65_535);
  return server(undo, { 'cluster-enabled': 'yes', 'cluster-node-timeout': `${DOWN_MS}` }, port);
}

async function server(
  undo: AsyncDisposableStack,
  settings: Record<string, string>,
  port = 0,
): Promise<TestRedis> {
  const redis = await startRedis({ port, settings });
  undo.defer(() => redis.stop());
  return redis;
}

function client(undo: AsyncDisposableStack, { url }: { url: string }): Redis {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  redis.on('error', () => {});
  undo.defer(() => redis.disconnect());
  return redis;
}

async function until(
  { url }: { url: string },
  holds: (redis: Redis) => Promise<boolean>,
): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const redis = client(undo, { url });
  await untilTrue(() => holds(redis));
}

/** Servers that have just met know of it a little later, and say so by errors. */
async function untilTrue(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > deadline) throw new Error('the servers did not come together');
    await sleep(50);
  }
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
