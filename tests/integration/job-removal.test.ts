import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createEnqueue } from '@headrace/shared/enqueue.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import { QUEUE, startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

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

test('a cancelled job that was deleted stays so, whatever its worker says later', async () => {
  const job = await api.submit({ input: 'good' });
  await api.redis.zrem(api.keys.bull(QUEUE, 'prioritized'), job.id);
  await api.redis.lpush(api.keys.bull(QUEUE, 'active'), job.id);
  await api.redis.set(`${api.keys.bull(QUEUE, job.id)}:lock`, 'of a worker');
  await api.send(`/v1/jobs/${job.id}/cancel`, { method: 'POST' });
  const record = await api.store.read(job.id);
  assert.ok(record);
  assert.equal((await api.send(`/v1/jobs/${job.id}`, { method: 'DELETE' })).status, 204);
  assert.equal((await api.send(`/v1/jobs/${job.id}`)).status, 404);
  const late = { id: job.id, queue: QUEUE, record, ttlMs: 60_000, rows: 1, tokens: 3 };
  assert.equal(await api.store.finish({ ...late, startTime: null }), false);
  assert.equal((await api.send(`/v1/jobs/${job.id}`)).status, 404);
  const retried = await api.send(`/v1/jobs/${job.id}/retry`, { method: 'POST' });
  assert.equal(retried.status, 404);
  const { body } = await api.send('/v1/jobs?limit=100');
  assert.ok(!JSON.stringify(body).includes(job.id));
  assert.ok((await api.redis.pttl(api.keys.job(job.id))) > 0);
});

test('what is cancelled before it runs is not charged to its tenant', async () => {
  const model = 'tiny-embedder@1';
  const queue = `infer.${model}`;
  const enqueue = createEnqueue(api.redis, api.keys);
  const othersJob = () => {
    const payload = {
      ...{ v: 1 as const, tenant: 'other', model, rows: [{ text: 'a', text_pair: null }] },
      ...{ parameters: {}, priority: 'normal' as const, ttl_s: 60, timeout_s: 30, metadata: {} },
      ...{ created_ms: Date.now(), tokens: 3, retry_of: null },
    };
    return enqueue({ id: newJobId(Date.now()), queue, payload });
  };
  await othersJob();
  const flood = await Promise.all(
    Array.from({ length: 10 }, () => api.submit({ model, input: Array(100).fill('a') })),
  );
  for (const { id } of flood) await api.send(`/v1/jobs/${id}/cancel`, { method: 'POST' });
  for (let i = 0; i < 20; i++) await othersJob();
  const { id } = await api.submit({ model, input: 'a' });
  assert.ok(Number(await api.redis.zrank(api.keys.bull(queue, 'prioritized'), id)) <= 1);
});
