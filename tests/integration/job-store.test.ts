import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createFairOrder } from '@headrace/shared/fair-order.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import {
  checkRecord,
  type FinishedJob,
  JobStore,
  parseNotice,
} from '@headrace/shared/job-store.ts';
import { finishedRecord } from '@headrace/shared/jobs.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace, type JobPayload, type Keyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { forgetWorker, liveWorkers, reportWorker } from '@headrace/shared/workers.ts';
import type { Redis } from 'ioredis';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const QUEUE = 'infer.tiny@1';

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = connectRedis({ url: server.url, role: 'worker', name: 'test', log });
});
after(async () => {
  redis.disconnect();
  await server.stop();
});

const payload: JobPayload = {
  v: 1,
  tenant: 'default',
  model: 'tiny@1',
  rows: [{ text: 'a', text_pair: null }],
  parameters: {},
  priority: 'normal',
  ttl_s: 60,
  timeout_s: 30,
  metadata: {},
  created_ms: 1_000,
  tokens: 3,
  retry_of: null,
};

function finishedJob(id: string, status: 'succeeded' | 'canceled'): FinishedJob {
  const record = finishedRecord(id, payload, {
    status,
    task: 'text-classification',
    nowMs: 2_000,
    resultTtlMs: 60_000,
    attempts: 1,
    startedMs: 1_500,
  });
  return { id, queue: QUEUE, record, ttlMs: 60_000, rows: 1, tokens: 3, startTime: null };
}

function setUp(): { keys: Keyspace; store: JobStore } {
  const keys = createKeyspace(testPrefix());
  return { keys, store: new JobStore(redis, keys) };
}

describe('job store', () => {
  test('lets the first terminal state win, whoever else comes', async () => {
    const { keys, store } = setUp();
    const id = newJobId(1);
    const written = await Promise.all([
      store.finish(finishedJob(id, 'canceled')),
      store.finish(finishedJob(id, 'succeeded')),
    ]);
    assert.deepEqual(written, [true, false]);
    assert.equal(await store.finish(finishedJob(id, 'succeeded')), false);
    const json = await redis.get(keys.job(id));
    assert.equal(checkRecord(json ?? '').job.status, 'canceled');
  });

  test('tells those who wait of a whole batch in one message', async () => {
    const { keys, store } = setUp();
    const subscriber = redis.duplicate();
    await subscriber.subscribe(keys.finishedChannel);
    const notice = new Promise<string>((resolve) => {
      subscriber.on('message', (_channel, message) => resolve(message));
    });
    const ids = Array.from({ length: 50 }, (_, i) => newJobId(i));
    await Promise.all(ids.map((id) => store.finish(finishedJob(id, 'succeeded'))));
    assert.deepEqual((await notice).split(','), ids);
    subscriber.disconnect();
  });

  test('sends a single small record along with its notice', async () => {
    const { keys, store } = setUp();
    const subscriber = redis.duplicate();
    await subscriber.subscribe(keys.finishedChannel);
    const heard: string[] = [];
    const third = new Promise<void>((resolve) => {
      subscriber.on('message', (_channel, message) => {
        if (heard.push(message) === 3) resolve();
      });
    });
    const [small, refused, large] = [newJobId(1), newJobId(1), newJobId(2)];
    await store.finish(finishedJob(small, 'succeeded'));
    await store.finish(finishedJob(small, 'canceled'));
    const job = finishedJob(large, 'succeeded');
    job.record.job.metadata = { note: 'x'.repeat(5_000) };
    await store.finish(job);
    await store.finish(finishedJob(refused, 'canceled'));
    await third;
    const notices = heard.map(parseNotice);
    assert.deepEqual(
      notices.map(({ ids, record }) => [ids, record?.job.status ?? null]),
      [
        [[small], 'succeeded'],
        [[large], null],
        [[refused], 'canceled'],
      ],
    );
    subscriber.disconnect();
  });

  test('gives each record its own time to live', async () => {
    const { keys, store } = setUp();
    const id = newJobId(1);
    await store.finish({ ...finishedJob(id, 'succeeded'), ttlMs: 5_000 });
    const left = await redis.pttl(keys.job(id));
    assert.ok(left > 0 && left <= 5_000, String(left));
  });

  test('reads many records in the order they were asked for', async () => {
    const { store } = setUp();
    const ids = Array.from({ length: 5 }, (_, i) => newJobId(i));
    for (const id of ids.slice(0, 3)) await store.finish(finishedJob(id, 'succeeded'));
    const records = await Promise.all(ids.map((id) => store.read(id)));
    assert.deepEqual(
      records.map((record) => record?.job.id ?? null),
      [...ids.slice(0, 3), null, null],
    );
  });

  test('lists ids newest first, page by page, and forgets the old ones', async () => {
    const { keys, store } = setUp();
    const reserve = createFairOrder(redis, keys);
    const ids = Array.from({ length: 6 }, (_, i) => newJobId(1_000 * (i + 1)));
    const job = {
      queue: QUEUE,
      tenant: 'default',
      priority: 'normal',
      rows: 1,
      tokens: 1,
    } as const;
    await Promise.all(ids.map((id) => reserve({ ...job, id })));
    const newest = [...ids].reverse();
    const page = await store.listIds('default', null, 4);
    assert.deepEqual(page, newest.slice(0, 4));
    assert.deepEqual(await store.listIds('default', page.at(-1) ?? null, 4), newest.slice(4));
    assert.deepEqual(await store.listIds('other', null, 4), []);
    assert.equal(await store.trimIndex('default', 3_500), 3);
    assert.deepEqual(await store.listIds('default', null, 10), newest.slice(0, 3));
  });
});

describe('order of work', () => {
  const work = { id: newJobId(1), queue: QUEUE, tokens: 10, rows: 1 };

  test('puts a quiet tenant before the rest of a flood', async () => {
    const keys = createKeyspace(testPrefix());
    await redis.lpush(keys.bull(QUEUE, 'active'), 'one runs');
    const reserve = createFairOrder(redis, keys);
    const noisy = { ...work, tenant: 'noisy', priority: 'normal' } as const;
    const flood = await Promise.all(Array.from({ length: 500 }, () => reserve(noisy)));
    const quiet = await reserve({ ...noisy, tenant: 'quiet' });
    assert.deepEqual([flood[0], flood[1], flood[499]], [0, 1, 499]);
    assert.equal(quiet, 0);
  });

  test('lets a high class pass and still advances the lowest', async () => {
    const keys = createKeyspace(testPrefix());
    await redis.lpush(keys.bull(QUEUE, 'active'), 'one runs');
    const reserve = createFairOrder(redis, keys);
    const take = async (priority: 'high' | 'normal' | 'low') => {
      await reserve({ ...work, tenant: 'a', priority });
      return reserve({ ...work, tenant: 'a', priority });
    };
    assert.deepEqual([await take('high'), await take('normal'), await take('low')], [0.1, 1, 10]);
  });

  test('starts at 0 again when the queue is empty', async () => {
    const keys = createKeyspace(testPrefix());
    const reserve = createFairOrder(redis, keys);
    const job = { ...work, rows: 1_000, tenant: 'a', priority: 'normal' } as const;
    assert.equal(await reserve(job), 0);
    assert.equal(await reserve(job), 0);
    await redis.lpush(keys.bull(QUEUE, 'active'), 'one runs');
    assert.equal(await reserve(job), 1_000);
  });

  test('counts the backlog in rows and tokens, and lets it go with the result', async () => {
    const { keys, store } = setUp();
    await redis.lpush(keys.bull(QUEUE, 'active'), 'one runs');
    const reserve = createFairOrder(redis, keys);
    const job = { ...work, rows: 2, tenant: 'a', priority: 'normal' } as const;
    await reserve(job);
    await reserve(job);
    assert.deepEqual(await store.backlog(QUEUE), {
      jobs: { queued: 0, delayed: 0, running: 1 },
      rows: 4,
      tokens: 20,
    });
    const id = newJobId(1);
    await store.finish({ ...finishedJob(id, 'succeeded'), rows: 2, tokens: 10, startTime: 2 });
    const { rows, tokens } = await store.backlog(QUEUE);
    assert.deepEqual({ rows, tokens }, { rows: 2, tokens: 10 });
    assert.equal(await reserve({ ...job, tenant: 'later' }), 2);
  });
});

test('workers are known while they report, and dropped when they stop', async () => {
  const keys = createKeyspace(testPrefix());
  const report = { id: 'w1', at_ms: 100_000, models: [] };
  await reportWorker(redis, keys, report);
  await reportWorker(redis, keys, { ...report, id: 'w2', at_ms: 60_000 });
  await redis.hset(keys.workers, 'broken', '{');
  assert.deepEqual(await liveWorkers(redis, keys, 101_000), [report]);
  assert.deepEqual(await redis.hkeys(keys.workers), ['w1']);
  await forgetWorker(redis, keys, 'w1');
  assert.deepEqual(await liveWorkers(redis, keys, 101_000), []);
});
