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
  before(async () => {
    const env = {
      HEADRACE_PREFIX: prefix,
      HEADRACE_MODELS_DIR: TINY_MODELS,
      HEADRACE_MODELS: 'tiny-classifier,tiny-hanger',
      HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
      HEADRACE_ENGINES: '1',
      HEADRACE_BLOBS: folder,
      HEADRACE_SWEEP_S: '1',
    };
    await admin.call('ACL', 'LOG', 'RESET');
    [api, ...others] = await Promise.all([
      startApi({ env: { ...env, REDIS_URL: urlOf('api') } }),
      startWorker({ env: { ...env, REDIS_URL: urlOf('worker') } }),
      startDispatcher({ env: { ...env, REDIS_URL: urlOf('dispatcher') } }),
    ]);
  });
  after(async () => {
    await Promise.all([api, ...(others ?? [])].map((service) => service?.stop()));
  });

  async function call(method: string, path: string, body?: unknown) {
    const response = await fetch(`${api.url}${path}`, {
      method,
      headers: { 'content-type': 'application/json', prefer: 'wait=20' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }

  async function submit(body: object) {
    return JobSchema.parse(JSON.parse((await call('POST', '/v1/jobs', body)).text));
  }

  test('jobs are done, listed, cancelled, tried again and removed', async () => {
    const job = await submit({ input: ['great', 'bad'] });
    assert.equal(job.status, 'succeeded');
    assert.equal((await call('GET', '/v1/jobs?limit=5')).status, 200);
    assert.equal((await call('GET', '/v1/models')).status, 200);
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
      ['LPUSH', keys.bull(QUEUE, 'wait'), 'x'],
      ['BZPOPMIN', keys.bull(QUEUE, 'marker'), '1'],
    ],
    worker: [
      ['GET', keys.file('file-1')],
      ['ZRANGE', keys.index('default'), '0', '-1'],
      ['ZADD', keys.liveBatches, '1', 'x'],
      ['HGET', keys.bull('plan', 'x'), 'data'],
    ],
    dispatcher: [
      ['GET', job],
      ['HGETALL', keys.workers],
      ['HGET', keys.bull(QUEUE, 'job_1'), 'data'],
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

  test('without a name may ask whether Redis lives, and nothing else', async () => {
    const connection = connect(null);
    assert.equal(await connection.ping(), 'PONG');
    for (const command of [['GET', job], ['INFO'], ['KEYS', '*'], ['CONFIG', 'GET', '*']]) {
      const [name = '', ...args] = command;
      await assert.rejects(connection.call(name, ...args), REFUSAL);
    }
  });
});
