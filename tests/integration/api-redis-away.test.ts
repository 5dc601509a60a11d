import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { z } from 'zod';
import { startTestApi, type TestApi, TINY_MODELS } from '../helpers/api.ts';
import { startApi } from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const Failure = z.object({ error: z.object({ code: z.string() }) });
const JOB = '/v1/jobs/job_00000000000000000000000000';

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis({ appendonly: true });
  api = await startTestApi(redis.url);
});
after(async () => {
  await api.stop();
  await redis.stop();
});

/** Every route that needs Redis. */
const ROUTES: [string, string, unknown?][] = [
  ['POST', '/v1/jobs', { input: 'a' }],
  ['GET', '/v1/jobs'],
  ['GET', JOB],
  ['GET', `${JOB}?wait=60`],
  ['GET', `${JOB}/events`],
  ['POST', `${JOB}/cancel`],
  ['POST', `${JOB}/retry`],
  ['DELETE', JOB],
  ['POST', '/predict', { text: 'a' }],
];

async function expectAway(): Promise<void> {
  await Promise.all(
    ROUTES.map(async ([method, path, body]) => {
      const answer = await api.send(path, { method, ...(body === undefined ? {} : { body }) });
      assert.equal(answer.status, 503, `${method} ${path}`);
      assert.equal(Failure.parse(answer.body).error.code, 'redis_unavailable');
      assert.equal(answer.headers.get('retry-after'), '1');
    }),
  );
  const ready = await api.send('/ready');
  assert.equal(ready.status, 503);
  assert.deepEqual(z.object({ missing: z.array(z.string()) }).parse(ready.body).missing, ['redis']);
  for (const path of ['/health', '/metrics', '/v1/models', '/openapi.json']) {
    assert.equal((await api.send(path)).status, 200, path);
  }
}

async function metrics(): Promise<string> {
  return String((await api.send('/metrics')).body);
}

async function untilAccepted(): Promise<string> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const { status, body } = await api.send('/v1/jobs', { body: { input: 'a' } });
    if (status === 202) return JobSchema.parse(body).id;
    assert.ok(Date.now() < deadline, 'the API did not recover');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('while Redis is away', () => {
  test('every route that needs it answers 503, and the API recovers by itself', async () => {
    const job = await api.submit({ input: 'a' });
    await redis.kill9();
    await expectAway();
    assert.match(await metrics(), /^headrace_redis_connected 0$/m);
    await redis.restart();
    await untilAccepted();
    assert.match(await metrics(), /^headrace_redis_connected 1$/m);
    assert.equal((await api.get(job.id)).status, 'queued');
  });

  test('and silent, every route answers 503 too', async () => {
    redis.pause();
    await expectAway();
    redis.resume();
    await untilAccepted();
  });

  test('a job that was accepted before is answered as accepted', async () => {
    const waiting = api.send('/v1/jobs', {
      body: { input: 'a', metadata: { waits: 'yes' } },
      headers: { prefer: 'wait=2' },
    });
    // Seen over the API's own connection: the answer to the submission came before.
    while (!JSON.stringify((await api.send('/v1/jobs?metadata[waits]=yes')).body).includes('job_'));
    redis.pause();
    const { status, body } = await waiting;
    redis.resume();
    assert.equal(status, 202);
    assert.equal(JobSchema.parse(body).status, 'queued');
    await untilAccepted();
  });

  test('who waits or follows is still told when the job finishes after its return', async () => {
    const job = await api.submit({ input: 'a' });
    const waiting = api.get(job.id, '?wait=60');
    const following = api.send(`/v1/jobs/${job.id}/events`);
    // The API's connection answers in order: after this, the reads of those who wait are done.
    await api.get(job.id);
    await redis.restart();
    await untilAccepted();
    await api.finish(job);
    assert.equal((await waiting).status, 'succeeded');
    assert.match(String((await following).body), /event: job\ndata: .*"status":"succeeded"/);
  });
});

test('the API starts without Redis, and serves when it comes', async () => {
  const own = await startRedis();
  await own.kill9();
  const started = await startApi({
    env: {
      REDIS_URL: own.url,
      HEADRACE_PREFIX: testPrefix(),
      HEADRACE_MODELS_DIR: TINY_MODELS,
      HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
    },
  });
  const submit = () =>
    fetch(`${started.url}/v1/jobs`, {
      method: 'POST',
      body: '{"input":"a"}',
      headers: { 'content-type': 'application/json' },
    });
  try {
    const away = await submit();
    assert.equal(away.status, 503);
    assert.equal(away.headers.get('retry-after'), '1');
    await own.restart();
    const deadline = Date.now() + 10_000;
    while ((await submit()).status !== 202) assert.ok(Date.now() < deadline);
    assert.deepEqual(started.otherOutput, []);
    assert.deepEqual(await started.stop(), { code: 0, signal: null });
  } finally {
    await started.stop();
    await own.stop();
  }
});
