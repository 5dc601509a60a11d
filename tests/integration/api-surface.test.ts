import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { reportWorker } from '@headrace/shared/workers.ts';
import { Queue } from 'bullmq';
import { z } from 'zod';
import { MODEL, startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const Failure = z.object({
  error: z.object({
    code: z.string(),
    param: z.string().nullable(),
    message: z.string(),
    job_id: z.string().optional(),
  }),
  missing: z.array(z.string()).optional(),
});

let redis: TestRedis;
let api: TestApi;
before(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url, { HEADRACE_PREDICT_TIMEOUT_S: '1' });
});
after(async () => {
  await api.stop();
  await redis.stop();
});

/** The newest job, once there is one that `known` does not hold. */
async function newJob(known: string[]): Promise<{ id: string; model: string }> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const [id] = await api.store.listIds('default', null, 1);
    const found = id === undefined ? null : await api.store.find(id, [`infer.${MODEL}`]);
    if (id !== undefined && found && !known.includes(id)) return { id, model: MODEL };
    assert.ok(Date.now() < deadline, 'no job was submitted');
  }
}

async function predict(finish?: Parameters<TestApi['finish']>[1] | null) {
  const known = await api.store.listIds('default', null, 1);
  const answer = api.send('/predict', { body: { text: 'great' } });
  const job = await newJob(known);
  if (finish !== null) await api.finish(job, finish);
  return { job, ...(await answer) };
}

function jobError(code: string) {
  return { message: 'why', type: 'job_error', code, param: null, retryable: false } as never;
}

describe('POST /predict', () => {
  test('answers with the best label', async () => {
    const { status, body } = await predict();
    assert.equal(status, 200);
    assert.deepEqual(body, { label: 'positive', score: 0.9 });
  });

  test('answers 504 with the id of the job, which lives on', async () => {
    const { status, body, job } = await predict(null);
    const { error } = Failure.parse(body);
    assert.deepEqual([status, error.code, error.job_id], [504, 'wait_timeout', job.id]);
    assert.equal((await api.get(job.id)).status, 'queued');
  });

  test('answers with the error of a job that failed', async () => {
    const failed = { status: 'failed', error: jobError('row_crashed_engine') } as const;
    const { status, body, job } = await predict(failed);
    const { error } = Failure.parse(body);
    assert.deepEqual([status, error.code, error.job_id], [422, 'row_crashed_engine', job.id]);
    assert.equal(error.message, 'why');
  });

  const wrong: [string, unknown, number, string, string | null][] = [
    ['no text', {}, 400, 'invalid_request', 'text'],
    ['a list', { text: ['a'] }, 400, 'invalid_request', 'text'],
    ['an unknown field', { text: 'a', top_k: 1 }, 400, 'invalid_request', 'top_k'],
    ['an empty text', { text: ' ' }, 422, 'empty_text', 'text'],
    ['a text that is too long', { text: 'a'.repeat(100_001) }, 422, 'text_too_long', 'text'],
  ];
  for (const [name, request, status, code, param] of wrong) {
    test(`refuses ${name}`, async () => {
      const held = await api.held();
      const answer = await api.send('/predict', { body: request });
      const { error } = Failure.parse(answer.body);
      assert.deepEqual([answer.status, error.code, error.param], [status, code, param]);
      assert.doesNotMatch(error.message, /^input/);
      assert.equal(await api.held(), held);
    });
  }

  test('refuses when the default model does not classify', async () => {
    const other = await startTestApi(redis.url, { HEADRACE_DEFAULT_MODEL: 'tiny-embedder' });
    try {
      assert.equal((await other.send('/predict', { body: { text: 'a' } })).status, 400);
      assert.equal(await other.held(), 0);
    } finally {
      await other.stop();
    }
  });
});

describe('the probes', () => {
  test('/health answers without anything else', async () => {
    assert.deepEqual((await api.send('/health')).body, { status: 'ok' });
  });

  test('/ready waits for a ready worker of the default model', async () => {
    const strict = await startTestApi(redis.url, {
      HEADRACE_READY_NEEDS_WORKER: 'on',
      HEADRACE_DEFAULT_MODEL: 'tiny-embedder',
    });
    try {
      const without = await strict.send('/ready');
      assert.equal(without.status, 503);
      assert.equal(without.headers.get('retry-after'), '1');
      assert.deepEqual(Failure.parse(without.body).missing, ['worker']);
      await reportWorker(strict.redis, strict.keys, {
        id: 'worker-1',
        at_ms: Date.now(),
        models: [
          {
            ...{ model: 'tiny-embedder@1', variant: 'fp32', ready: true },
            ...{ tokens_per_s: null, rows_per_s: null },
          },
        ],
      });
      await strict.api.ticks.workers();
      assert.deepEqual((await strict.send('/ready')).body, { status: 'ready' });
    } finally {
      await strict.stop();
    }
  });

  test('/metrics has the queues, the workers and the requests', async () => {
    await api.submit({ model: 'tiny-pairs', input: { text: 'a', text_pair: 'b' } });
    await api.api.ticks.backlogs();
    const { body } = await api.send('/metrics');
    const text = z.string().parse(body);
    assert.match(text, /^headrace_queue_jobs\{queue="infer.tiny-pairs@1",state="queued"\} 1$/m);
    assert.match(text, /^headrace_backlog_rows\{queue="infer.tiny-pairs@1"\} 1$/m);
    assert.match(
      text,
      /^headrace_queue_oldest_age_seconds\{queue="infer.tiny-pairs@1"\} [\d.e-]+$/m,
    );
    assert.match(text, /^headrace_workers_ready\{model="tiny-pairs@1"\} 0$/m);
    assert.match(text, /^headrace_redis_memory_ratio 0$/m);
    assert.match(text, /^headrace_jobs_submitted_total\{.*model="tiny-pairs@1".*\} 1$/m);
    assert.match(text, /_count\{method="POST",route="\/v1\/jobs",status="202"\} \d+$/m);
    assert.match(text, /^headrace_event_loop_lag_seconds \d/m);
  });
});

describe('GET /v1/models', () => {
  const Model = z.looseObject({ id: z.string(), default: z.boolean(), ready_workers: z.number() });

  test('lists the newest version of each model, the default one marked', async () => {
    const { body } = await api.send('/v1/models');
    const { data } = z.object({ data: z.array(Model) }).parse(body);
    assert.deepEqual(
      data.filter((model) => model.default).map((model) => model.id),
      ['tiny-classifier'],
    );
    assert.ok(data.some((model) => model.id === 'tiny-embedder' && model.dimensions === 8));
  });

  test('gives labels, digest, ready workers and drain time of one', async () => {
    await reportWorker(api.redis, api.keys, {
      id: 'worker-1',
      at_ms: Date.now(),
      models: [
        { model: 'tiny-nan@1', variant: 'fp32', ready: true, tokens_per_s: 10, rows_per_s: 1 },
      ],
    });
    await api.submit({ model: 'tiny-nan', input: 'a'.repeat(160) });
    const bulk = new Queue('bulk.tiny-nan@1', { connection: api.redis, prefix: api.keys.prefix });
    await bulk.add('chunk', {}, { priority: 2 });
    await api.api.ticks.workers();
    await api.api.ticks.backlogs();
    const { body } = await api.send('/v1/models/tiny-nan@1');
    const model = Model.parse(body);
    assert.equal(model.id, 'tiny-nan@1');
    assert.equal(model.ready_workers, 1);
    assert.match(String(model.digest), /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(model.backlog, { jobs: 1, rows: 1, tokens: 42, chunks: 1 });
    assert.equal(model.drain_s, 4.2);
    await bulk.close();
  });

  test('answers 404 for an unknown one', async () => {
    for (const name of ['nope', 'tiny-nan@2', '__proto__', '..%2F..%2Fetc']) {
      const { status, body } = await api.send(`/v1/models/${name}`);
      assert.deepEqual([status, Failure.parse(body).error.code], [404, 'model_not_found']);
    }
  });
});

describe('/docs', () => {
  test('is a page of our own files under a strict policy', async () => {
    const { status, headers, body } = await api.send('/docs');
    const page = z.string().parse(body);
    assert.equal(status, 200);
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/);
    assert.doesNotMatch(headers.get('content-security-policy') ?? '', /unsafe|https?:/);
    const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file);
    assert.equal(files.length, 4);
    const types = [];
    for (const file of files) {
      assert.match(file, /^\/docs\//);
      const answer = await api.send(file);
      assert.equal(answer.status, 200);
      types.push(answer.headers.get('content-type')?.split(';')[0]);
    }
    assert.deepEqual(types, ['image/png', 'text/css', 'text/javascript', 'text/javascript']);
  });
});
