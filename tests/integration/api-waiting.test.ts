import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const WAITING = 50;

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url);
});
after(async () => {
  await api.stop();
  await redis.stop();
});

/** How often Redis ran each command since its counters were reset. */
async function commandCounts(): Promise<Map<string, number>> {
  const info = await api.redis.info('commandstats');
  const lines = info.matchAll(/^cmdstat_(\S+):calls=(\d+)/gm);
  return new Map([...lines].map(([, name = '', calls]) => [name, Number(calls)]));
}

/** Waits until the periodic ticks have read the workers' hash `times` times. */
async function untilTicks(times: number): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (((await commandCounts()).get('hgetall') ?? 0) < times) {
    assert.ok(Date.now() < deadline, 'the ticks stand still');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('fifty requests that wait ask Redis nothing until their jobs finish', async () => {
  const waiting = Array.from({ length: WAITING }, () =>
    api.send('/v1/jobs', { body: { input: 'a' }, headers: { prefer: 'wait=60' } }),
  );
  while ((await api.held()) < WAITING);
  const ids = await api.store.listIds('default', null, WAITING);
  await api.redis.config('RESETSTAT');
  await untilTicks(2);
  const idle = await commandCounts();
  const asked = ['get', 'mget', 'zrank', 'evalsha', 'exists', 'zadd', 'publish'];
  for (const name of asked) assert.equal(idle.get(name) ?? 0, 0, name);

  await Promise.all(ids.map((id) => api.finish({ id, model: 'tiny-classifier@1' })));
  const answers = await Promise.all(waiting);
  for (const { status, body } of answers) {
    assert.equal(status, 200);
    assert.equal(JobSchema.parse(body).status, 'succeeded');
  }
  const busy = await commandCounts();
  const notices = busy.get('publish') ?? 0;
  assert.ok(notices >= 1 && notices <= WAITING / 5, `${notices} notices`);
  assert.ok((busy.get('mget') ?? 0) <= notices, 'the jobs of a notice are read together');
});
