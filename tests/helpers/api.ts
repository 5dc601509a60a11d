import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JobStore } from '@headrace/shared/job-store.ts';
import { finishedRecord, type Job, JobSchema } from '@headrace/shared/jobs.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace, type Keyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { rowCount } from '@headrace/shared/stored-payload.ts';
import type { Redis } from 'ioredis';
import { type Api, compose } from '../../apps/api/src/compose.ts';
import { parseConfig } from '../../apps/api/src/config.ts';
import { type Contract, createContract } from './contract.ts';
import { testPrefix } from './redis.ts';

export const TINY_MODELS = fileURLToPath(new URL('../fixtures/models', import.meta.url));
/** The default model of these tests. */
export const MODEL = 'tiny-classifier@1';
export const QUEUE = `infer.${MODEL}`;

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed if it is JSON, else the text. */
  body: unknown;
}

interface Send {
  method?: string;
  /** A string, bytes, a form or a stream are sent as they are, anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

type Finish = Partial<Parameters<typeof finishedRecord>[2]>;

/** The API in this process, without a port, on a real Redis. Every answer is held to the contract. */
export interface TestApi {
  api: Api;
  contract: Contract;
  keys: Keyspace;
  store: JobStore;
  /** Where its files are. */
  folder: string;
  /** A connection of the test's own. */
  redis: Redis;
  send(path: string, options?: Send): Promise<Answer>;
  /** `POST /v1/jobs` that must be accepted. */
  submit(request: Record<string, unknown>): Promise<Job>;
  get(id: string, query?: string): Promise<Job>;
  /** Writes a terminal record, as a worker does. @returns false when there was one */
  finish(job: Pick<Job, 'id' | 'model'>, finish?: Finish): Promise<boolean>;
  /** Looks for jobs that are due until this one has left the queue; the API's own turn may go on. */
  expire(id: string): Promise<void>;
  /** Jobs that BullMQ holds, over all queues and states. */
  held(): Promise<number>;
  stop(): Promise<void>;
}

const ENDLESS = '/v1/overview/events';
const silent = createLogger({ service: 'test', level: 'silent' });

/** @param env on top of a configuration with the tiny models and a prefix of its own */
export async function startTestApi(
  url: string,
  env: Record<string, string> = {},
): Promise<TestApi> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-api-'));
  const config = parseConfig({
    REDIS_URL: url,
    HEADRACE_BLOBS: join(folder, 'blobs'),
    HEADRACE_PREFIX: testPrefix(),
    HEADRACE_MODELS_DIR: TINY_MODELS,
    HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
    HEADRACE_READY_NEEDS_WORKER: 'off',
    PORT: '0',
    ...env,
  });
  const api = await compose(config, silent);
  api.start();
  const redis = connectRedis({ url, role: 'worker', name: 'test', log: silent });
  const keys = createKeyspace(config.HEADRACE_PREFIX);
  const store = new JobStore(redis, keys);
  const contract = createContract(await (await api.app.request('/openapi.json')).json());
  const send = (path: string, options: Send = {}) => request({ api, contract }, path, options);
  await untilReady(send);
  return {
    ...{ api, contract, keys, store, redis, send, folder: config.HEADRACE_BLOBS },
    async submit(body) {
      const { status, body: job } = await send('/v1/jobs', { body });
      assert.equal(status, 202, JSON.stringify(job));
      return JobSchema.parse(job);
    },
    async get(id, query = '') {
      const { status, body } = await send(`/v1/jobs/${id}${query}`);
      assert.equal(status, 200, JSON.stringify(body));
      return JobSchema.parse(body);
    },
    finish: (job, finish) => finishAsWorker({ store }, job, finish),
    async expire(id) {
      for (const deadline = Date.now() + 10_000; await redis.exists(keys.bull(QUEUE, id)); ) {
        assert.ok(Date.now() < deadline, 'it does not expire');
        await redis.del(keys.expiryTurn);
        await api.ticks.expiredJobs();
      }
    },
    held: () => heldJobs(redis, keys),
    async stop() {
      await api.stop();
      redis.disconnect();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function request(
  { api, contract }: Pick<TestApi, 'api' | 'contract'>,
  path: string,
  { method, body, headers = {}, signal }: Send,
): Promise<Answer> {
  const isForm = body instanceof FormData;
  const raw = isForm || typeof body === 'string' || body instanceof Uint8Array;
  const given = method ?? (body === undefined ? 'GET' : 'POST');
  const contentType = body === undefined || isForm ? {} : { 'content-type': 'application/json' };
  const response = await api.app.request(path, {
    method: given,
    headers: { ...contentType, ...headers },
    ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
  const text = await textOf(response, path);
  const parsed: unknown = type === 'application/json' && text !== '' ? JSON.parse(text) : text;
  assert.match(response.headers.get('x-request-id') ?? '', /^[\x21-\x7e]{1,128}$/);
  const { pathname } = new URL(path, 'http://localhost');
  if (!/^\/(docs|openapi)/.test(pathname) && given !== 'OPTIONS') {
    const { status } = response;
    contract.check({ method: given.toLowerCase(), path: pathname, status, type, body: parsed });
  }
  return { status: response.status, headers: response.headers, body: parsed };
}

/** Of a stream without an end, nothing. */
async function textOf(response: Response, path: string): Promise<string> {
  if (!response.ok || !path.startsWith(ENDLESS)) return response.text();
  await response.body?.cancel();
  return '';
}

/** The connections open in the background; nothing tells a caller from outside but `/ready`. */
async function untilReady(send: TestApi['send']): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (JSON.stringify((await send('/ready')).body).includes('redis')) {
    assert.ok(Date.now() < deadline, 'the API did not become ready');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function finishAsWorker(
  { store }: { store: JobStore },
  { id, model }: Pick<Job, 'id' | 'model'>,
  finish: Finish = {},
): Promise<boolean> {
  const queue = `infer.${model}`;
  const found = await store.find(id, [queue]);
  assert.ok(found, `${id} is unknown`);
  if ('record' in found) return false;
  const { payload } = found.live;
  const record = finishedRecord(id, payload, {
    status: 'succeeded',
    task: 'text-classification',
    nowMs: Date.now(),
    resultTtlMs: 60_000,
    attempts: 1,
    startedMs: Date.now(),
    variant: 'fp32',
    ...(finish.status === undefined || finish.status === 'succeeded' ? SUCCESS : {}),
    ...finish,
  });
  const { tokens, webhook } = payload;
  const ttlMs = finish.resultTtlMs ?? 60_000;
  const written = { id, queue, record, ttlMs, rows: rowCount(payload), tokens, startTime: null };
  return store.finish({ ...written, webhook });
}

const SUCCESS = {
  output: [{ labels: [{ label: 'positive', score: 0.9 }], tokens: 3, truncated: false }],
  usage: { rows: 1, tokens: 3, padded_cells: 3, failed_rows: 0 },
  timings: {
    queue_ms: 1,
    tokenize_ms: 1,
    batch_wait_ms: 1,
    infer_ms: 1,
    total_ms: 4,
    batch_rows: 1,
  },
};

async function heldJobs(redis: Redis, keys: Keyspace): Promise<number> {
  const prefix = `${keys.prefix}:infer.`;
  const ids = (await redis.keys(`${prefix}*`)).filter((key) => /:job_[0-9a-z]{26}$/.test(key));
  return ids.length;
}
