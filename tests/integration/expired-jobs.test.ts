import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createEnqueue } from '@headrace/shared/enqueue.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import { createKeyspace, type JobPayload } from '@headrace/shared/queues.ts';
import { createExpiredJobs } from '../../apps/api/src/expired-jobs.ts';
import { MODEL, QUEUE, startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const NOW_MS = 1_000_000;

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url);
});
after(async () => {
  await api?.stop();
  await redis?.stop();
});

function payloadOf(ttl_s: number): JobPayload {
  return {
    ...{ v: 1, tenant: 'default', model: MODEL, rows: [{ text: 'a', text_pair: null }] },
    ...{ parameters: {}, priority: 'normal', ttl_s, timeout_s: 30, metadata: {} },
    ...{ created_ms: NOW_MS, tokens: 3, retry_of: null },
  };
}

test('processes that take turns look at all of a long queue', async () => {
  const keys = createKeyspace(testPrefix());
  const enqueue = createEnqueue(api.redis, keys);
  const add = (ttl_s: number) =>
    enqueue({ id: newJobId(NOW_MS), queue: 'infer.long@1', payload: payloadOf(ttl_s) });
  await Promise.all(Array.from({ length: 10_000 }, () => add(3_600)));
  await Promise.all(Array.from({ length: 50 }, () => add(1)));
  const expired: string[] = [];
  const look = async () => {
    await api.redis.del(keys.expiryTurn);
    return createExpiredJobs({
      ...{ redis: api.redis, keys, queues: ['infer.long@1'], now: () => NOW_MS + 1_000 },
      expire: async (id) => void expired.push(id),
    })();
  };
  await look();
  await look();
  assert.equal(expired.length, 50);
});

test('a job whose end was written as its writer died leaves the queue', async () => {
  const job = await api.submit({ input: 'good', ttl_s: 1 });
  assert.ok(await api.finish(job, { status: 'canceled' }));
  assert.equal(await api.redis.exists(api.keys.bull(QUEUE, job.id)), 1);
  const due = Date.now() + 1_100;
  while (Date.now() < due) await api.redis.ping();
  await api.expire(job.id);
  assert.equal((await api.get(job.id)).status, 'canceled');
});
