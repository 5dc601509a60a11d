import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createEnqueue } from '@headrace/shared/enqueue.ts';
import { startTimeOf } from '@headrace/shared/fair-order.ts';
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
    const enqueue = createEnqueue(redis, keys);
    const ids = Array.from({ length: 6 }, (_, i) => newJobId(1_000 * (i + 1)));
    await Promise.all(ids.map((id) => enqueue({ id, queue: QUEUE, payload })));
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
  const ROWS = 64;

  /** Enqueues jobs of 64 rows. @returns their places, in units of such a job, from 1 on */
  function setUpOrder() {
    const { keys, store } = setUp();
    const enqueue = createEnqueue(redis, keys);
    const rows = Array.from({ length: ROWS }, () => ({ text: 'a', text_pair: null }));
    async function enqueueMany(count: number, more: Partial<JobPayload>): Promise<number[]> {
      const ids = Array.from({ length: count }, () => newJobId(Date.now()));
      const job = { ...payload, rows, ...more };
      await Promise.all(ids.map((id) => enqueue({ id, queue: QUEUE, payload: job })));
      const places = ids.map((id) => redis.zscore(keys.bull(QUEUE, 'prioritized'), id));
      return (await Promise.all(places)).map((score) => place(Number(score)));
    }
    const place = (score: number) => Math.round(100 * (1 + startTimeOf(score) / ROWS)) / 100;
    /** As when all of them were finished. */
    const empty = () => redis.del(keys.bull(QUEUE, 'prioritized'));
    return { keys, store, enqueueMany, empty };
  }

  test('puts a quiet tenant before the rest of a flood', async () => {
    const { enqueueMany } = setUpOrder();
    const flood = await enqueueMany(300, { tenant: 'noisy' });
    assert.deepEqual(
      flood,
      Array.from({ length: 300 }, (_, i) => 1 + i),
    );
    assert.deepEqual(await enqueueMany(2, { tenant: 'quiet' }), [1, 2]);
  });

  test('lets a high class pass and still advances the lowest', async () => {
    const { enqueueMany } = setUpOrder();
    assert.deepEqual(await enqueueMany(3, { priority: 'low' }), [1, 11, 21]);
    assert.deepEqual(await enqueueMany(3, { priority: 'normal' }), [1, 2, 3]);
    assert.deepEqual((await enqueueMany(12, { priority: 'high' })).slice(-1), [2.1]);
  });

  test('starts anew when the queue is empty', async () => {
    const { enqueueMany, empty } = setUpOrder();
    assert.deepEqual(await enqueueMany(2, {}), [1, 2]);
    assert.deepEqual(await enqueueMany(1, {}), [3]);
    await empty();
    assert.deepEqual(await enqueueMany(1, {}), [1]);
  });

  test('counts the backlog in rows and tokens, and lets it go with the result', async () => {
    const { store, enqueueMany } = setUpOrder();
    await enqueueMany(2, { tokens: 10 });
    assert.deepEqual(await store.backlog(QUEUE), {
      jobs: { queued: 2, delayed: 0, running: 0 },
      ...{ rows: 128, tokens: 20 },
    });
    const finished = finishedJob(newJobId(1), 'succeeded');
    await store.finish({ ...finished, rows: 64, tokens: 10, startTime: 192 });
    const { rows, tokens } = await store.backlog(QUEUE);
    assert.deepEqual({ rows, tokens }, { rows: 64, tokens: 10 });
    assert.deepEqual(await enqueueMany(1, { tenant: 'later' }), [4]);
  });

  test('counts and queues a job once, however often it is sent', async () => {
    const { keys, store } = setUp();
    const enqueue = createEnqueue(redis, keys);
    const job = { id: newJobId(1), queue: QUEUE, payload };
    await Promise.all([enqueue(job), enqueue(job)]);
    await enqueue(job);
    assert.deepEqual(await store.backlog(QUEUE), {
      jobs: { queued: 1, delayed: 0, running: 0 },
      ...{ rows: 1, tokens: 3 },
    });
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
