import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ErrorSchema, type Job, JobSchema } from '@headrace/shared/jobs.ts';
import { z } from 'zod';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startWorker,
} from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const MODELS = fileURLToPath(new URL('../fixtures/models', import.meta.url));
const SERVED = ['classifier', 'multilabel', 'pairs', 'embedder', 'hidden', 'nan', 'hanger'];

let redis: TestRedis;
let api: ApiProcess;
let worker: ServiceProcess;
before(async () => {
  redis = await startRedis();
  const env = {
    REDIS_URL: redis.url,
    HEADRACE_PREFIX: testPrefix(),
    HEADRACE_MODELS_DIR: MODELS,
    HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
  };
  api = await startApi({ env });
  worker = await startWorker({
    env: {
      ...env,
      HEADRACE_MODELS: SERVED.map((name) => `tiny-${name}`).join(),
      HEADRACE_ENGINES: '1',
    },
  });
});
after(async () => {
  await Promise.all([api?.stop(), worker?.stop()]);
  await redis?.stop();
});

async function post(path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}${path}`, {
    method: 'POST',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  });
  return { status: response.status, json: await response.json() };
}

async function submit(request: Record<string, unknown>): Promise<Job> {
  const { status, json } = await post('/v1/jobs', request);
  assert.equal(status, 202, JSON.stringify(json));
  return JobSchema.parse(json);
}

/** Submits and waits: the finished job. */
async function run(request: Record<string, unknown>): Promise<Job> {
  const { status, json } = await post('/v1/jobs', request, { prefer: 'wait=30' });
  assert.equal(status, 200, JSON.stringify(json));
  return JobSchema.parse(json);
}

async function get(id: string, query = ''): Promise<Job> {
  const response = await fetch(`${api.url}/v1/jobs/${id}${query}`);
  assert.equal(response.status, 200);
  return JobSchema.parse(await response.json());
}

/** A job that is certainly running: the hanger's engine is busy with it until its timeout. */
async function hang(timeoutS: number): Promise<Job> {
  return submit({ model: 'tiny-hanger', input: 'please hang now', timeout_s: timeoutS });
}

describe('a job', () => {
  test('is submitted, polled and answered', async () => {
    const submitted = await submit({ input: 'great product, I love it' });
    assert.equal(submitted.status, 'queued');
    const job = await get(submitted.id, '?wait=30');
    assert.equal(job.status, 'succeeded');
    assert.equal(job.model, 'tiny-classifier@1');
    assert.equal(job.variant, 'fp32');
    assert.deepEqual(
      job.output?.[0]?.labels?.map(({ label }) => label),
      ['positive'],
    );
    assert.equal(job.output?.[0]?.truncated, false);
    assert.deepEqual(job.usage, { rows: 1, tokens: 8, padded_cells: 8, failed_rows: 0 });
    assert.equal(job.attempts, 1);
    assert.ok(job.timings !== null && job.timings.batch_rows === 1);
  });

  test('of many rows answers each in its place', async () => {
    const input = Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? 'great' : 'terrible, bad'));
    const job = await run({ input });
    assert.deepEqual(
      job.output?.map((row) => row.labels?.[0]?.label),
      input.map((text) => (text === 'great' ? 'positive' : 'negative')),
    );
    assert.equal(job.usage?.rows, 300);
  });

  test('has the same numbers alone and in company', async () => {
    const texts = ['great', 'bad delivery', 'the cat sat on the mat', 'fast and cheap'];
    const parameters = { raw_scores: true, top_k: 3 };
    const together = await run({ input: texts, parameters });
    for (const [i, text] of texts.entries()) {
      const alone = await run({ input: text, parameters });
      assert.deepEqual(alone.output?.[0]?.labels, together.output?.[i]?.labels);
    }
  });

  test('takes a pair, in order', async () => {
    const input = { text: 'the cat sat', text_pair: 'on the mat' };
    const swapped = { text: input.text_pair, text_pair: input.text };
    const job = await run({
      model: 'tiny-pairs',
      input: [input, swapped],
      parameters: { raw_scores: true },
    });
    assert.equal(job.output?.[0]?.tokens, 9);
    assert.notDeepEqual(job.output?.[0]?.labels, job.output?.[1]?.labels);
  });

  test('of a multi-label model has all labels, each with its own probability', async () => {
    const job = await run({ model: 'tiny-multilabel', input: 'fast shipping, fair price' });
    const scores = job.output?.[0]?.labels?.map(({ score }) => score) ?? [];
    assert.ok(scores.length > 1);
    assert.ok(scores.every((score) => score > 0 && score < 1));
    assert.deepEqual(
      [...scores].sort((a, b) => b - a),
      scores,
    );
  });

  test('gives embeddings as floats or base64 of the same numbers', async () => {
    const model = 'tiny-embedder';
    const floats = await run({ model, input: 'hello world' });
    const base64 = await run({
      model,
      input: 'hello world',
      parameters: { encoding_format: 'base64' },
    });
    const vector = floats.output?.[0]?.embedding;
    const encoded = base64.output?.[0]?.embedding;
    assert.ok(Array.isArray(vector) && typeof encoded === 'string');
    const bytes = Buffer.from(encoded, 'base64');
    assert.deepEqual(
      vector.map((_, i) => bytes.readFloatLE(4 * i)),
      vector,
    );
    const length = Math.hypot(...vector);
    assert.ok(Math.abs(length - 1) < 1e-5, String(length));
  });

  test('averages a long text over chunks, and says so', async () => {
    const input = 'good service and fast delivery '.repeat(60);
    const job = await run({ input, parameters: { overflow: 'chunk' } });
    const [row] = job.output ?? [];
    assert.ok((row?.chunks ?? 0) > 1, String(row?.chunks));
    assert.equal(row?.truncated, false);
    assert.equal(row?.tokens, 302);
    const cut = await run({ input });
    assert.equal(cut.output?.[0]?.truncated, true);
    assert.equal(cut.usage?.tokens, 64);
  });

  test('of one row that is too long fails where it may not be cut', async () => {
    const input = 'good '.repeat(200);
    const job = await run({ input, parameters: { overflow: 'error' } });
    assert.equal(job.status, 'failed');
    assert.equal(job.error?.code, 'text_too_long');
    assert.match(job.error?.message ?? '', /64/);
  });

  test('of several rows carries a failed one in its place', async () => {
    const input = ['great', 'nan nan', 'terrible, bad'];
    const job = await run({ model: 'tiny-nan', input });
    assert.equal(job.status, 'succeeded');
    assert.equal(job.usage?.failed_rows, 1);
    assert.deepEqual(
      job.output?.map((row) => row.error?.code ?? row.labels?.[0]?.label),
      ['positive', 'non_finite_output', 'negative'],
    );
  });

  test('counts as finished once in the metrics of the worker', async () => {
    const port = Number(worker.ready.port);
    const read = async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const line = /^headrace_jobs_finished_total\{model="tiny-hidden@1".*\} (\d+)$/m.exec(text);
      return Number(line?.[1] ?? 0);
    };
    const before = await read();
    await run({ model: 'tiny-hidden', input: 'one two' });
    assert.equal(await read(), before + 1);
  });
});

describe('a job that goes another way', () => {
  test('fails when its run takes longer than timeout_s, and the next one is served', async () => {
    const job = await get((await hang(1)).id, '?wait=30');
    assert.equal(job.status, 'failed');
    assert.equal(job.error?.code, 'row_timed_out');
    const next = await run({ model: 'tiny-hanger', input: 'great' });
    assert.equal(next.status, 'succeeded');
  });

  test('is cancelled while it waits and while it runs', async () => {
    const running = await hang(20);
    const waiting = await submit({ model: 'tiny-hanger', input: 'great' });
    for (const { id } of [waiting, running]) {
      const { status, json } = await post(`/v1/jobs/${id}/cancel`);
      assert.equal(status, 200);
      assert.equal(JobSchema.parse(json).status, 'canceled');
    }
    const again = await post(`/v1/jobs/${running.id}/cancel`);
    assert.equal(again.status, 409);
    const { error } = z.object({ error: ErrorSchema }).parse(again.json);
    assert.equal(error.code, 'job_already_finished');
    // The engine still hangs until its deadline: the cancelled rows have no say in it any more.
    const next = await run({ model: 'tiny-hanger', input: 'terrible, bad' });
    assert.equal(next.status, 'succeeded');
    assert.equal((await get(running.id)).status, 'canceled');
  });

  test('is tried again as a new job', async () => {
    const job = await get((await hang(1)).id, '?wait=30');
    const { status, json } = await post(`/v1/jobs/${job.id}/retry`);
    assert.equal(status, 202);
    const retried = JobSchema.parse(json);
    assert.notEqual(retried.id, job.id);
    assert.equal(retried.retry_of, job.id);
    assert.equal((await get(retried.id, '?wait=30')).error?.code, 'row_timed_out');
  });

  test('is gone at once when it is deleted', async () => {
    const job = await run({ input: 'great' });
    const path = `${api.url}/v1/jobs/${job.id}`;
    assert.equal((await fetch(path, { method: 'DELETE' })).status, 204);
    assert.equal((await fetch(path)).status, 404);
  });
});

test('the tutorial: predict, health, ready', async () => {
  const { status, json } = await post('/predict', { text: 'great product, I love it' });
  assert.equal(status, 200);
  const { label, score } = z.object({ label: z.string(), score: z.number() }).parse(json);
  assert.equal(label, 'positive');
  assert.ok(score > 0.5);
  assert.deepEqual(await (await fetch(`${api.url}/health`)).json(), { status: 'ok' });
  assert.equal((await fetch(`${api.url}/ready`)).status, 200);
});

test('no text and no id of a client stands in a log', async () => {
  const canary = 'canary7391';
  await run({ input: `${canary} great`, metadata: { note: canary } });
  const everything = JSON.stringify([api.logs, worker.logs, api.otherOutput, worker.otherOutput]);
  assert.doesNotMatch(everything, new RegExp(canary));
});
