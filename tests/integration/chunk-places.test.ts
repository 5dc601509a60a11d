import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace, type Priority } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { createPlaceChunks } from '../../apps/dispatcher/src/chunk-places.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  const log = createLogger({ service: 'test', level: 'silent' });
  redis = connectRedis({ url: server.url, role: 'worker', name: 'test', log });
});
after(async () => {
  redis.disconnect();
  await server.stop();
});

const ROWS = 1_024;

/** A queue of chunks of 1,024 rows each. */
async function setUp() {
  const keys = createKeyspace(testPrefix());
  const placeChunks = createPlaceChunks(redis, keys);
  const queue = new Queue('bulk.m@1', { connection: redis, prefix: keys.prefix });
  await queue.waitUntilReady();
  /** Hands out chunks of a tenant. */
  async function add(
    tenant: string,
    count: number,
    more: { priority?: Priority; weight?: number },
  ) {
    const flow = { model: 'm@1', tenant, priority: 'normal' as const, weight: 1, ...more };
    const places = await placeChunks(flow, Array<number>(count).fill(ROWS));
    await queue.addBulk(
      places.map((priority, i) => ({ name: `${tenant} ${i}`, data: {}, opts: { priority } })),
    );
  }
  const inOrder = async () => (await queue.getPrioritized(0, -1)).map(({ name }) => name);
  const takeFirst = async (count: number) => {
    for (const job of await queue.getPrioritized(0, count - 1)) await job.remove();
  };
  return { add, inOrder, takeFirst };
}

describe('chunks', () => {
  test('of a tenant that comes later wait for its own chunks only', async () => {
    const { add, inOrder, takeFirst } = await setUp();
    await add('noisy', 100, {});
    await takeFirst(10);
    await add('quiet', 2, {});
    const order = await inOrder();
    assert.deepEqual(order.slice(0, 4), ['noisy 10', 'quiet 0', 'noisy 11', 'quiet 1']);
  });

  test('are served by the weight of their tenants', async () => {
    const { add, inOrder } = await setUp();
    await add('light', 20, {});
    await add('heavy', 20, { weight: 3 });
    const first = (await inOrder()).slice(0, 20);
    assert.equal(first.filter((name) => name.startsWith('heavy')).length, 15);
  });

  test('of a higher class go first, and those of the lowest are served all the same', async () => {
    const { add, inOrder } = await setUp();
    await add('low', 2, { priority: 'low' });
    await add('normal', 30, {});
    await add('high', 2, { priority: 'high' });
    const order = await inOrder();
    assert.deepEqual(order.slice(0, 4), ['high 0', 'high 1', 'normal 0', 'low 0']);
    assert.equal(order.indexOf('low 1'), 14);
  });

  test('begin anew when nothing waits or runs', async () => {
    const { add, inOrder, takeFirst } = await setUp();
    await add('noisy', 100, {});
    await takeFirst(100);
    await add('quiet', 1, {});
    await add('noisy', 1, {});
    assert.deepEqual(await inOrder(), ['quiet 0', 'noisy 0']);
  });
});
