import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { estimateTokens } from '@headrace/shared/jobs.ts';
import { reportWorker } from '@headrace/shared/workers.ts';
import { z } from 'zod';
import { MODEL, QUEUE, startTestApi, type TestApi } from '../helpers/api.ts';
import { startRedis, type TestRedis } from '../helpers/redis.ts';

const TOKENS_PER_S = 10;
const TEXT = 'x'.repeat(120);
const TOKENS = estimateTokens({ text: TEXT, text_pair: null }, 1_000);

const ScalingSchema = z.strictObject({
  drain_seconds: z.number(),
  backlog_rows: z.int(),
  backlog_tokens: z.int(),
  in_flight_rows: z.int(),
  workers: z.int(),
});

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

async function openApi() {
  const api = await startTestApi(redis.url, {
    HEADRACE_SCALING_TOKENS_PER_S: String(TOKENS_PER_S),
  });
  const scaling = async (model = 'tiny-classifier') => {
    const { status, body } = await api.send(`/v1/scaling/${model}`);
    assert.equal(status, 200, JSON.stringify(body));
    return ScalingSchema.parse(body);
  };
  return { api, scaling, [Symbol.asyncDispose]: () => api.stop() };
}

const submit = (api: TestApi, rows: number) => api.submit({ input: Array(rows).fill(TEXT) });

/** A worker reports: one called `loading` that it is not ready. */
function speak({ redis, keys }: TestApi, id: string, tokens_per_s: number | null) {
  const ready = id !== 'loading';
  const model = { model: MODEL, variant: 'fp32', ready, tokens_per_s, rows_per_s: 1 };
  return reportWorker(redis, keys, { id, at_ms: Date.now(), models: [model] });
}

describe('what the workers of a model have to do', () => {
  test('is nothing where nothing waits or runs', async () => {
    await using it = await openApi();
    const nothing = { drain_seconds: 0, backlog_rows: 0, backlog_tokens: 0, in_flight_rows: 0 };
    assert.deepEqual(await it.scaling(), { ...nothing, workers: 0 });
    assert.deepEqual(await it.scaling(MODEL), { ...nothing, workers: 0 });
  });

  test('is weighed by the speed of one worker, also when there is none', async () => {
    await using it = await openApi();
    const { api } = it;
    await submit(api, 7);
    await submit(api, 3);
    const waiting = { backlog_rows: 10, backlog_tokens: 10 * TOKENS, in_flight_rows: 0 };
    const drain = (tokensPerS: number) => Math.round((100 * TOKENS) / tokensPerS) / 10;
    const unknown = { ...waiting, drain_seconds: drain(TOKENS_PER_S), workers: 0 };
    assert.deepEqual(await it.scaling(), unknown);

    await speak(api, 'loading', 1_000_000);
    await speak(api, 'unmeasured', null);
    assert.deepEqual(await it.scaling(), unknown);

    await speak(api, 'a', 20);
    await speak(api, 'b', 30);
    await api.api.ticks.workers();
    assert.deepEqual(await it.scaling(), { ...waiting, drain_seconds: drain(25), workers: 3 });

    await api.redis.del(api.keys.workers);
    await api.api.ticks.workers();
    assert.deepEqual(await it.scaling(), { ...waiting, drain_seconds: drain(30), workers: 0 });
  });

  test('is seen however little it is, and however fast the workers are', async () => {
    await using it = await openApi();
    await speak(it.api, 'fast', 1e12);
    await it.api.submit({ input: 'a' });
    const { drain_seconds } = await it.scaling();
    assert.ok(drain_seconds >= 0.001, 'KEDA cuts a metric to thousandths');
  });

  test('is never less than the jobs that the queue holds, whatever was counted', async () => {
    await using it = await openApi();
    const { api } = it;
    const bull = (suffix: string) => api.keys.bull(QUEUE, suffix);
    await submit(api, 1);
    const other = await submit(api, 1);
    for (const lost of ['0', '-7']) {
      await api.redis.hset(api.keys.order(QUEUE), { rows: lost, tokens: lost });
      assert.deepEqual(await it.scaling(), {
        ...{ drain_seconds: 0.2, backlog_rows: 2, backlog_tokens: 2, in_flight_rows: 0 },
        workers: 0,
      });
    }
    await api.redis.del(api.keys.order(QUEUE), bull('prioritized'));
    const one = { drain_seconds: 0.1, backlog_rows: 1, backlog_tokens: 1, in_flight_rows: 0 };
    await api.redis.zadd(bull('delayed'), 1, other.id);
    assert.deepEqual(await it.scaling(), { ...one, workers: 0 });
    await api.redis.del(bull('delayed'));
    await api.redis.lpush(bull('wait'), other.id);
    assert.deepEqual(await it.scaling(), { ...one, workers: 0 });
    await api.redis.rename(bull('wait'), bull('active'));
    assert.deepEqual(await it.scaling(), { ...one, in_flight_rows: 1, workers: 0 });
  });

  test('has the chunks of batches, and what of a batch is not handed out yet', async () => {
    await using it = await openApi();
    const { redis, keys } = it.api;
    const bulk = (suffix: string) => keys.bull(`bulk.${MODEL}`, suffix);
    const chunk = { v: 1, batch: 'b', first_line: 1, duplicates: [], start_byte: 0 };
    for (const [index, rows] of [100, 50].entries()) {
      const data = JSON.stringify({ ...chunk, index, rows, end_byte: rows * 40 });
      await redis.hset(bulk(`c${index}`), { data });
    }
    await redis.zadd(bulk('prioritized'), 1, 'c0');
    await redis.lpush(bulk('active'), 'c1');
    const chunks = { backlog_rows: 150, backlog_tokens: 1_500, in_flight_rows: 75 };
    assert.deepEqual(await it.scaling(), { ...chunks, drain_seconds: 150, workers: 0 });

    const state = { model: MODEL, total: 1_000, completed: 200, failed: 50, tokens: 1_000 };
    await redis.hset(keys.batch('b'), { ...state, status: 'in_progress' });
    await redis.zadd(keys.liveBatches, 1, 'b');
    const all = { backlog_rows: 750, backlog_tokens: 3_750, in_flight_rows: 75 };
    assert.deepEqual(await it.scaling(), { ...all, drain_seconds: 375, workers: 0 });
    await redis.hset(keys.batch('b'), { paused: 1 });
    assert.equal((await it.scaling()).backlog_rows, 150);
  });
});
