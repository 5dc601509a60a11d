import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import OpenAI from 'openai';
import { z } from 'zod';
import { readMetric } from '../../bench/scaling/readings.ts';
import { readScaledObject, SCALED_OBJECTS } from '../../bench/scaling/scaled-object.ts';
import { aclFile, REDIS_USERS } from '../../scripts/redis/rights.mjs';
import { TINY_MODELS } from '../helpers/api.ts';
import { createBatchClient, jobLines } from '../helpers/batch-client.ts';
import {
  type ApiProcess,
  type ServiceProcess,
  startApi,
  startDispatcher,
  startWorker,
} from '../helpers/processes.ts';
import { answer, type Receiver, startReceiver } from '../helpers/receiver.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

type RedisUser = (typeof REDIS_USERS)[number];
type User = RedisUser | 'admin' | null;

const prefix = testPrefix();
const keys = createKeyspace(prefix);
const log = createLogger({ service: 'test', level: 'silent' });
const PASSWORDS = { api: 'a', worker: 'w', dispatcher: 'd', autoscaler: 's', admin: 'x' };
/** As Redis says it, to whoever asks and to scripts, in its versions. */
const REFUSAL = /NOPERM|No permissions|can't (run|access)/;
const QUEUE = 'infer.tiny-classifier@1';
/** How KEDA's scaler of Redis lists asks for the length of whatever a key holds. */
const LENGTH =
  "return redis.call(({zset='zcard',list='llen'})[redis.call('type', KEYS[1]).ok] or 'llen', KEYS[1])";

let folder: string;
let redis: TestRedis;
let admin: Redis;
const connections: Redis[] = [];
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headrace-rights-'));
  const aclfile = join(folder, 'users.acl');
  writeFileSync(aclfile, aclFile(prefix, PASSWORDS));
  redis = await startRedis({ port: 0, settings: { aclfile } });
  admin = connect('admin');
});
after(async () => {
  for (const connection of connections) connection.disconnect();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function urlOf(user: User): string {
  return user === null ? redis.url : redis.url.replace('//', `//${user}:${PASSWORDS[user]}@`);
}

function connect(user: User): Redis {
  const connection = connectRedis({ url: urlOf(user), role: 'worker', name: 'test', log });
  connections.push(connection);
  return connection;
}

async function refusals(): Promise<string[]> {
  const entries = await admin.call('ACL', 'LOG');
  assert.ok(Array.isArray(entries));
  return entries.map((entry) => JSON.stringify(entry));
}

describe('under the rights of their users', () => {
  let api: ApiProcess;
  let others: ServiceProcess[];
  let receiver: Receiver;
  let env: Record<string, string>;
  before(async () => {
    receiver = await startReceiver();
    env = {
      HEADRACE_PREFIX: prefix,
      HEADRACE_MODELS_DIR: TINY_MODELS,
      HEADRACE_MODELS: 'tiny-classifier,tiny-hanger',
      HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
      HEADRACE_ENGINES: '1',
      HEADRACE_BLOBS: folder,
      HEADRACE_SWEEP_S: '1',
      HEADRACE_RATE_ROWS_PER_S: '1000000',
      HEADRACE_RATE_BURST_ROWS: '1000000',
      HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
      HEADRACE_WEBHOOK_PORTS: String(receiver.port),
      HEADRACE_WEBHOOK_SCHEDULE_S: '0,0',
    };
    await admin.call('ACL', 'LOG', 'RESET');
    [api, ...others] = await Promise.all([
      startApi({ env: { ...env, REDIS_URL: urlOf('api'), HEADRACE_AUTH: 'off' } }),
      startWorker({ env: { ...env, REDIS_URL: urlOf('worker') } }),
      startDispatcher({ env: { ...env, REDIS_URL: urlOf('dispatcher') } }),
    ]);
  });
  after(async () => {
    await Promise.all([api, ...(others ?? []), receiver].map((service) => service?.stop()));
  });

  interface Request {
    body?: unknown;
    headers?: Record<string, string>;
    at?: string;
  }

  async function call(method: string, path: string, request: Request = {}) {
    const { body, headers = {}, at = api.url } = request;
    const response = await fetch(`${at}${path}`, {
      method,
      headers: { 'content-type': 'application/json', prefer: 'wait=20', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }

  async function submit(body: object) {
    return JobSchema.parse(JSON.parse((await call('POST', '/v1/jobs', { body })).text));
  }

  /** That it was done. */
  async function done(method: string, path: string, request: Request = {}) {
    const { status, text } = await call(method, path, request);
    assert.ok(status >= 200 && status < 300, `${method} ${path}: ${status} ${text}`);
    return text;
  }

  test('jobs are done, listed, cancelled, tried again and removed', async () => {
    const job = await submit({ input: ['great', 'bad'] });
    assert.equal(job.status, 'succeeded');
    assert.equal((await call('GET', '/v1/jobs?limit=5')).status, 200);
    assert.equal((await call('GET', '/v1/models')).status, 200);
    assert.equal((await call('GET', '/v1/scaling/tiny-classifier')).status, 200);
    assert.equal((await call('GET', '/v1/overview')).status, 200);
    assert.equal((await call('DELETE', `/v1/jobs/${job.id}`)).status, 204);
    const late = await submit({ model: 'tiny-hanger', input: 'please hang now', timeout_s: 1 });
    assert.equal(late.status, 'failed');
    assert.equal((await call('POST', `/v1/jobs/${late.id}/retry`)).status, 202);
    assert.deepEqual(await refusals(), []);
  });

  test('a batch is planned, scored, assembled, paused and cancelled', async () => {
    const client = new OpenAI({ apiKey: 'none', baseURL: `${api.url}/v1` });
    const batches = createBatchClient({ client, apiUrl: api.url });
    const request = { endpoint: '/v1/jobs', completion_window: '24h' };
    const batch = await batches.run(jobLines(2_500), request);
    assert.equal(batch.status, 'completed', JSON.stringify(batch));
    assert.equal((await batches.linesOf(batch.output_file_id ?? null)).length, 2_500);
    const { id } = await batches.create(jobLines(20_000), request);
    await batches.post(`/${id}/pause`);
    await batches.post(`/${id}/cancel`);
    assert.equal((await batches.finished(id)).status, 'cancelled');
    assert.equal((await call('DELETE', `/v1/files/${batch.output_file_id}`)).status, 200);
    assert.deepEqual(await refusals(), []);
  });

  test('keys are made, used and revoked, tenants have limits, requests are sent twice', async () => {
    const body = { name: 'ops', scopes: ['admin', 'jobs', 'batches'], expires_at: 4_000_000_000 };
    const made = JSON.parse(await done('POST', '/v1/keys', { body }));
    const { id, secret } = z.object({ id: z.string(), secret: z.string() }).parse(made);
    const closed = await startApi({ env: { ...env, REDIS_URL: urlOf('api') } });
    try {
      const headers = { authorization: `Bearer ${secret}`, 'idempotency-key': 'once' };
      const as = { at: closed.url, headers };
      await done('PUT', '/v1/tenants/default', { ...as, body: { max_rows: 100_000 } });
      const job = { ...as, body: { input: 'great' } };
      assert.equal(await done('POST', '/v1/jobs', job), await done('POST', '/v1/jobs', job));
      const form = new FormData();
      form.append('purpose', 'batch');
      form.append('file', new Blob([jobLines(1)]), 'rows.jsonl');
      const upload = {
        method: 'POST',
        headers: { ...headers, 'idempotency-key': 'file' },
        body: form,
      };
      assert.equal((await fetch(`${closed.url}/v1/files`, upload)).status, 200);
      for (const path of ['/v1/keys', '/v1/tenants', '/v1/tenants/default', `/v1/keys/${id}`]) {
        await done('GET', path, as);
      }
      await done('DELETE', '/v1/tenants/default', as);
      await done('POST', `/v1/keys/${id}/revoke`, as);
    } finally {
      await closed.stop();
    }
    assert.deepEqual(await refusals(), []);
  });

  test('ends are told of, in spite of failures, once more, and as a test', async () => {
    await done('POST', '/v1/webhooks/secrets', { body: {} });
    await done('GET', '/v1/webhooks/secrets');
    receiver.on('/gone', answer(410));
    const gone = await submit({ input: 'great', webhook: { url: receiver.url('/gone') } });
    assert.equal(gone.status, 'succeeded');
    await receiver.until('/gone', 1);
    const canceled = await submit({
      ...{ model: 'tiny-hanger', input: 'please hang now', timeout_s: 1 },
      webhook: { url: receiver.url('/failed') },
    });
    assert.equal(canceled.status, 'failed');
    await receiver.until('/failed', 1);
    await done('POST', '/v1/webhooks/test', { body: { url: receiver.url('/test') } });
    await receiver.until('/test', 1);
    const listed = JSON.parse(await done('GET', `/v1/webhooks/deliveries?job=${canceled.id}`));
    const [delivery] = z.object({ data: z.array(z.object({ id: z.string() })) }).parse(listed).data;
    await done('GET', `/v1/webhooks/deliveries/${delivery?.id}`);
    await done('POST', `/v1/webhooks/deliveries/${delivery?.id}/redeliver`);
    await receiver.until('/failed', 2);
    await done('GET', '/v1/webhooks/deliveries?limit=1');
    await done('GET', `/v1/webhooks/deliveries?limit=1&after=${delivery?.id}`);
    const endpoints = JSON.parse(await done('GET', '/v1/webhooks/endpoints'));
    const [endpoint] = z
      .object({ data: z.array(z.object({ id: z.string() })) })
      .parse(endpoints).data;
    await done('POST', `/v1/webhooks/endpoints/${endpoint?.id}/enable`);
    await done('DELETE', `/v1/jobs/${gone.id}`);
    assert.deepEqual(await refusals(), []);
  });
});

describe('a user of Redis', () => {
  const job = keys.job('job_1');
  const FOR_NOBODY = [
    ...[['KEYS', '*'], ['SCAN', '0'], ['FLUSHALL'], ['FLUSHDB'], ['CONFIG', 'GET', '*']],
    ...[['ACL', 'LIST'], ['CLIENT', 'LIST'], ['SHUTDOWN']],
    ...[['REPLICAOF', 'NO', 'ONE'], ['MODULE', 'LIST'], ['SCRIPT', 'FLUSH'], ['SAVE']],
    ...[
      ['DUMP', job],
      ['MIGRATE', 'h', '1', job, '0', '1'],
      ['SWAPDB', '0', '1'],
    ],
    ...[
      ['GET', 'somebody-elses'],
      ['SET', `${prefix}x`, '1'],
      ['DEL', '{other}:job:job_1'],
    ],
    ...[
      ['EVAL', "return redis.call('GET', 'somebody-elses')", '0'],
      ['PUBLISH', 'other', 'x'],
    ],
    ['EVAL', "return redis.call('FLUSHALL')", '0'],
  ];
  const REFUSED: Record<RedisUser, string[][]> = {
    api: [
      ['ZPOPMIN', keys.bull(QUEUE, 'prioritized')],
      ['BZPOPMIN', keys.bull(QUEUE, 'marker'), '1'],
    ],
    worker: [
      ['GET', keys.file('file-1')],
      ['ZRANGE', keys.index('default'), '0', '-1'],
      ['ZADD', keys.liveBatches, '1', 'x'],
      ['HGET', keys.bull('plan', 'x'), 'data'],
      ['HGETALL', keys.apiKey('key_1')],
      ['GET', keys.webhookSecrets('default')],
    ],
    dispatcher: [
      ['GET', job],
      ['HGETALL', keys.workers],
      ['HGET', keys.bull(QUEUE, 'job_1'), 'data'],
      ['HGETALL', keys.apiKey('key_1')],
      ['PUBLISH', keys.finishedChannel, 'x'],
    ],
    autoscaler: [
      ['GET', job],
      ['HGET', keys.bull(QUEUE, 'job_1'), 'data'],
      ['LPUSH', keys.bull(QUEUE, 'wait'), 'x'],
      ['LRANGE', keys.bull(QUEUE, 'wait'), '0', '-1'],
      ['PUBLISH', keys.cancelChannel, 'x'],
    ],
  };

  for (const user of REDIS_USERS) {
    test(`${user} is refused what it does not need`, async () => {
      const connection = connect(user);
      for (const [command = '', ...args] of [...FOR_NOBODY, ...REFUSED[user]]) {
        const said = `${user}: ${command} ${args.join(' ')}`;
        await assert.rejects(connection.call(command, ...args), REFUSAL, said);
      }
    });
  }

  test('autoscaler reads how long queues are, also by a script', async () => {
    const connection = connect('autoscaler');
    assert.equal(await connection.llen(keys.bull(QUEUE, 'wait')), 0);
    assert.equal(await connection.zcard(keys.bull(QUEUE, 'prioritized')), 0);
    assert.equal(await connection.eval(LENGTH, 1, keys.bull(QUEUE, 'prioritized')), 0);
    await connection.hget(keys.order(QUEUE), 'rows');
  });

  test('autoscaler evaluates the formula of k8s/ on lists of every kind', async () => {
    const object = readScaledObject(SCALED_OBJECTS.lists);
    const own = (list: string) => list.replace('{headrace}', prefix);
    const triggers = object.triggers.map((trigger) => {
      assert.equal(trigger.type, 'redis');
      const { metadata } = trigger;
      return { ...trigger, metadata: { ...metadata, listName: own(metadata.listName) } };
    });
    const ask = () =>
      readMetric({ ...object, triggers }, { redis: connect('autoscaler'), apiUrl: '' });
    assert.equal(await ask(), 0);
    const bull = (queue: string, list: string) => keys.bull(`${queue}.sentiment@1`, list);
    await admin.zadd(bull('infer', 'prioritized'), 1, 'a', 2, 'b');
    await admin.zadd(bull('infer', 'delayed'), 1, 'c');
    await admin.lpush(bull('infer', 'active'), 'd', 'e', 'f');
    await admin.lpush(bull('bulk', 'wait'), 'g');
    assert.equal(await ask(), 1_006);
  });

  test('without a name may ask whether Redis lives, and nothing else', async () => {
    const connection = connect(null);
    assert.equal(await connection.ping(), 'PONG');
    for (const command of [['GET', job], ['INFO'], ['KEYS', '*'], ['CONFIG', 'GET', '*']]) {
      const [name = '', ...args] = command;
      await assert.rejects(connection.call(name, ...args), REFUSAL);
    }
  });
});
