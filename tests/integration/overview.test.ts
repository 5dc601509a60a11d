import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { JobStore } from '@headrace/shared/job-store.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { readModelsDir } from '@headrace/shared/manifests.ts';
import { createMetrics, type Metrics } from '@headrace/shared/metrics.ts';
import { createModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import { createKeyspace, type Keyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { reportWorker } from '@headrace/shared/workers.ts';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { createAdmission } from '../../apps/api/src/admission.ts';
import { createBacklogView } from '../../apps/api/src/backlog-view.ts';
import { createOverview } from '../../apps/api/src/overview/overview.ts';
import { type OverviewSample, OverviewSampleSchema } from '../../apps/api/src/overview/sample.ts';
import { createWorkersView } from '../../apps/api/src/workers-view.ts';
import { ActivityMeter } from '../../apps/worker/src/inference/activity-meter.ts';
import { MODEL, startTestApi, type TestApi, TINY_MODELS } from '../helpers/api.ts';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startWorker,
} from '../helpers/processes.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters';
const STEP_MS = 5_000;

const OverviewSchema = z.object({
  sight: z.enum(['all', 'models']),
  step_s: z.literal(5),
  history: z.array(OverviewSampleSchema),
  now: OverviewSampleSchema,
});

let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

function modelIn(sample: OverviewSample) {
  const found = sample.models.find(({ model }) => model === MODEL);
  assert.ok(found);
  return found;
}

/** Reads server-sent events, one at a time; null at the end. */
function eventsOf(response: Response) {
  assert.equal(response.status, 200);
  assert.ok(response.body);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  const next = async (): Promise<{ event: string; data: unknown } | null> => {
    for (;;) {
      const end = buffer.indexOf('\n\n');
      if (end < 0) {
        const { done, value } = await reader.read();
        if (done) return null;
        buffer += value;
        continue;
      }
      const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(buffer.slice(0, end)) ?? [];
      buffer = buffer.slice(end + 2);
      if (event !== undefined) return { event, data: JSON.parse(data ?? '') };
    }
  };
  /** The first sample that fits. */
  const until = async (fits: (sample: OverviewSample, event: string) => boolean) => {
    for (;;) {
      const found = await next();
      assert.ok(found, 'the stream has ended');
      const sample = OverviewSampleSchema.parse(found.data);
      if (fits(sample, found.event)) return sample;
    }
  };
  return { next, until, close: () => reader.cancel() };
}

describe('the history of the overview', () => {
  let connection: Redis;
  let keys: Keyspace;
  let metrics: Metrics;
  let atMs: number;
  const meter = new ActivityMeter();
  before(async () => {
    connection = connectRedis({ url: redis.url, role: 'worker', name: 'test', log });
    metrics = createMetrics();
  });
  after(() => {
    metrics.stop();
    connection.disconnect();
  });
  beforeEach(() => {
    keys = createKeyspace(testPrefix());
    atMs = Math.ceil(Date.now() / STEP_MS) * STEP_MS;
  });

  /** What an API process knows, without its port. */
  async function createProcess() {
    const { folders } = await readModelsDir(TINY_MODELS);
    const models = createModelCatalogue(folders, MODEL);
    const workers = createWorkersView(connection, keys);
    const known = { redis: connection, keys, models, workers };
    const store = new JobStore(connection, keys);
    const backlogs = createBacklogView({ ...known, store, maxRows: 1_000, maxDrainS: null });
    const admission = createAdmission(connection);
    return createOverview({ ...known, backlogs, admission, metrics, now: () => atMs });
  }

  /** A worker runs so many batches of 10 rows, and says so. */
  async function work(batches: number) {
    for (let i = 0; i < batches; i += 1) {
      meter.addBatch({ rows: 10, tokens: 90, cells: 100, inferMs: 1 });
    }
    const speeds = { ready: true, tokens_per_s: 1, rows_per_s: 1 };
    const activity = meter.read({ all: 1, ready: 1 });
    const models = [{ model: MODEL, variant: 'fp32', ...speeds, activity }];
    await reportWorker(connection, keys, { id: 'w', at_ms: atMs, models });
  }

  const rates = (samples: OverviewSample[]) =>
    samples.map((sample) => [sample.at * 1000 - atMs, modelIn(sample).traffic?.rows_per_s]);

  test('has one point for each step, whichever process writes it, and a new one reads it', async () => {
    const [first, second] = [await createProcess(), await createProcess()];
    for (const batches of [1, 2, 3]) {
      await work(batches);
      await Promise.all([first.tick(), second.tick()]);
      await first.tick();
      atMs += STEP_MS;
    }
    const third = await createProcess();
    const { history } = await third.read('all');
    // Nothing is said of what was done before anybody looked.
    assert.deepEqual(rates(history), [
      [-2 * STEP_MS, 4],
      [-STEP_MS, 6],
    ]);
    assert.deepEqual((await second.read('all')).history, history);
    const [hidden] = (await third.read('models')).history;
    assert.ok(hidden && modelIn(hidden).traffic === null && hidden.redis === null);
    await Promise.all([first.stop(), second.stop(), third.stop()]);
    assert.deepEqual(await connection.hgetall(keys.apis), {});
  });

  test('is of the last 15 minutes, whatever a pause has left behind', async () => {
    const overview = await createProcess();
    await work(0);
    await overview.tick();
    for (const batches of [1, 1]) {
      atMs += STEP_MS;
      await work(batches);
      await overview.tick();
    }
    assert.ok((await connection.ttl(keys.overview)) > 0);
    await connection.hset(keys.overview, 'broken', '{', `${atMs / 1000 - 1}`, '{"at":1}');
    atMs += 15 * 60_000 - STEP_MS;
    assert.equal((await overview.read('all')).history.length, 2);
    atMs += STEP_MS + 1_000;
    assert.deepEqual((await overview.read('all')).history, []);
    assert.deepEqual(await connection.hkeys(keys.overview), []);
    await overview.stop();
  });

  test('costs nothing more while nobody watches and no step is over', async () => {
    const overview = await createProcess();
    await overview.tick();
    await connection.del(keys.apis);
    atMs += 1_000;
    await overview.tick();
    assert.equal(await connection.exists(keys.apis), 0);
    const seen: number[] = [];
    const stopWatching = overview.watch('all', (_, { at }) => seen.push(at * 1000 - atMs));
    await overview.tick();
    assert.deepEqual(seen, [-1_000, 0]);
    stopWatching();
    await overview.stop();
  });
});

describe('an API with keys', () => {
  let api: TestApi;
  before(async () => {
    api = await startTestApi(redis.url, {
      HEADRACE_ADMIN_KEY: ADMIN_KEY,
      HEADRACE_MAX_STREAMS: '2',
    });
  });
  after(() => api.stop());
  const admin = { authorization: `Bearer ${ADMIN_KEY}` };
  const open = async (headers: Record<string, string>) =>
    api.api.app.request('/v1/overview/events', { headers });

  async function createKey() {
    const body = { name: 'a', scopes: ['jobs'] };
    const { body: made } = await api.send('/v1/keys', { body, headers: admin });
    const { id, secret } = z.object({ id: z.string(), secret: z.string() }).parse(made);
    return { id, headers: { authorization: `Bearer ${secret}` } };
  }

  test('shows a tenant what waits, and an administrator everything', async () => {
    const key = await createKey();
    const read = async (headers: Record<string, string>) =>
      OverviewSchema.parse((await api.send('/v1/overview', { headers })).body);
    const [all, less] = [await read(admin), await read(key.headers)];
    assert.deepEqual([all.sight, less.sight], ['all', 'models']);
    assert.ok(modelIn(all.now).traffic !== null && all.now.redis !== null);
    assert.ok(modelIn(less.now).traffic === null && less.now.redis === null);
    assert.equal(less.now.errors, null);
    const events = eventsOf(await open(key.headers));
    assert.equal(modelIn(await events.until(() => true)).traffic, null);
    await events.close();
  });

  test('ends the stream of a key that is revoked, says why, and has room for others again', async () => {
    const key = await createKey();
    const events = [eventsOf(await open(key.headers)), eventsOf(await open(admin))];
    assert.equal((await open(admin)).status, 429);
    const revoke = { method: 'POST', headers: admin };
    assert.equal((await api.send(`/v1/keys/${key.id}/revoke`, revoke)).status, 200);
    let last = await events[0]?.next();
    for (let next = last; next; next = await events[0]?.next()) last = next;
    assert.equal(last?.event, 'error');
    assert.match(JSON.stringify(last?.data), /"code":"unauthorized"/);
    const other = await open(admin);
    assert.equal(other.status, 200);
    await other.body?.cancel();
    await events[1]?.close();
  });

  test('answers compressed to whoever takes that', async () => {
    const headers = { ...admin, 'accept-encoding': 'br, gzip;q=0.5' };
    const response = await api.api.app.request('/v1/overview', { headers });
    assert.equal(response.headers.get('content-encoding'), 'gzip');
    const text = gunzipSync(new Uint8Array(await response.arrayBuffer())).toString();
    assert.equal(OverviewSchema.parse(JSON.parse(text)).sight, 'all');
    for (const refused of ['br', 'gzip;q=0', 'gzip;q=0.0', 'xgzip']) {
      const plain = { ...admin, 'accept-encoding': refused };
      const answer = await api.api.app.request('/v1/overview', { headers: plain });
      assert.equal(answer.headers.get('content-encoding'), null, refused);
    }
  });
});

describe('the live overview', () => {
  let api: ApiProcess;
  let worker: ServiceProcess;
  before(async () => {
    const env = {
      REDIS_URL: redis.url,
      HEADRACE_PREFIX: testPrefix(),
      HEADRACE_MODELS_DIR: TINY_MODELS,
      HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
      HEADRACE_MODELS: 'tiny-classifier',
      HEADRACE_ENGINES: '1',
    };
    [api, worker] = await Promise.all([startApi({ env }), startWorker({ env })]);
  });
  after(() => Promise.all([api?.stop(), worker?.stop()]));

  test('shows a real worker at work, its errors, and ends when the API stops', async () => {
    const events = eventsOf(await fetch(`${api.url}/v1/overview/events`));
    const idle = await events.until((sample) => modelIn(sample).workers === 1);
    assert.equal(modelIn(idle).engines?.ready, 1);
    const post = (body: object) =>
      fetch(`${api.url}/v1/jobs`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', prefer: 'wait=30' },
      }).then((response) => response.json());
    const jobs = Array.from({ length: 20 }, () => post({ input: ['great', 'a bad film'] }));
    jobs.push(post({ input: 'x'.repeat(5_000), parameters: { overflow: 'error' } }));
    jobs.push(post({ model: 'nope', input: 'a' }));
    await Promise.all(jobs);
    const failed = new Set<string>();
    const note = ({ errors }: OverviewSample) => {
      for (const { of, code } of errors ?? []) failed.add(`${of} ${code}`);
    };
    const busy = await events.until((sample) => {
      note(sample);
      return (modelIn(sample).traffic?.rows_per_s ?? 0) > 0;
    });
    const { traffic, engines } = modelIn(busy);
    assert.ok(traffic?.wait_ms && traffic.total_ms && traffic.jobs_per_s > 0);
    assert.ok(traffic.total_ms.p99 >= traffic.wait_ms.p50 && traffic.total_ms.p50 > 0);
    assert.ok(traffic.batch_rows !== null && traffic.batch_rows >= 1);
    assert.ok(traffic.padding_ratio !== null && traffic.padding_ratio < 1);
    assert.ok(engines?.busy !== null && engines?.restarts === 0);
    await events.until((sample) => {
      note(sample);
      return failed.size === 2;
    });
    assert.deepEqual([...failed].sort(), ['job text_too_long', 'request model_not_found']);
    await events.until((_, event) => event === 'point');
    const { history } = OverviewSchema.parse(await (await fetch(`${api.url}/v1/overview`)).json());
    assert.ok(history.length > 0);
    const stopped = api.stop();
    while ((await events.next()) !== null);
    assert.deepEqual(await stopped, { code: 0, signal: null });
  });
});
