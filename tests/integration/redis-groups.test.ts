import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JobSchema } from '@headrace/shared/jobs.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { TINY_MODELS } from '../helpers/api.ts';
import { type ApiProcess, startApi, startWorker } from '../helpers/processes.ts';
import { testPrefix } from '../helpers/redis.ts';
import { type RedisGroup, startCluster, startSentinelGroup } from '../helpers/redis-groups.ts';

const log = createLogger({ service: 'test', level: 'silent' });

/** API and worker over a group. */
async function startServices(undo: AsyncDisposableStack, { url }: RedisGroup, prefix: string) {
  const env = {
    REDIS_URL: url,
    HEADRACE_PREFIX: prefix,
    HEADRACE_MODELS_DIR: TINY_MODELS,
    HEADRACE_MODELS: 'tiny-classifier',
    HEADRACE_DEFAULT_MODEL: 'tiny-classifier',
    HEADRACE_ENGINES: '1',
  };
  const services = await Promise.all([startApi({ env }), startWorker({ env })]);
  undo.defer(async () => {
    await Promise.all(services.map((service) => service.stop()));
  });
  return services[0];
}

/** Asks until a job is answered: while nobody is the master, the answer is 503. */
async function untilServed({ url }: ApiProcess): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const response = await fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=10' },
      body: '{"input":"great"}',
    });
    const text = await response.text();
    if (response.status === 200) {
      assert.equal(JobSchema.parse(JSON.parse(text)).status, 'succeeded');
      return;
    }
    assert.ok(response.status === 202 || response.status === 503, `${response.status} ${text}`);
    assert.ok(Date.now() < deadline, 'nothing is served');
    if (response.status === 503) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function survives(group: RedisGroup, prefix: string): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const api = await startServices(undo, group, prefix);
  await untilServed(api);
  const keys = createKeyspace(prefix);
  const redis = connectRedis({ url: group.url, role: 'worker', name: 'test', log });
  undo.defer(() => redis.disconnect());
  await redis.set(keys.job('before'), 'kept');
  assert.equal(await redis.wait(1, 5_000), 1);

  await group.killMaster();
  assert.equal(await redis.get(keys.job('before')), 'kept');
  await redis.set(keys.job('after'), 'written');
  assert.equal(await redis.get(keys.job('after')), 'written');
  await untilServed(api);
}

describe('a kill of the master', () => {
  test('is survived with Sentinel', async () => {
    await using group = await startSentinelGroup();
    await survives(group, testPrefix());
  });

  test('is survived in a cluster, of which other nodes are named', async () => {
    const prefix = testPrefix();
    await using group = await startCluster(prefix);
    await survives(group, prefix);
  });
});
