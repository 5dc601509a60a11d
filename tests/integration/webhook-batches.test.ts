import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BatchSchema } from '@headrace/shared/bulk/batch.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { Redis } from 'ioredis';
import { type BatchClient, createBatchClient, jobLines } from '../helpers/batch-client.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { type Receiver, startReceiver } from '../helpers/receiver.ts';

/** No worker serves it, so a batch of it stays as it is until something is done to it. */
const IDLE_MODEL = { model: 'tiny-embedder', documents: { format: 'text' } };

let system: BulkSystem;
let batches: BatchClient;
let receiver: Receiver;
let redis: Redis;
before(async () => {
  receiver = await startReceiver();
  system = await startBulkSystem({
    HEADRACE_MODELS: 'tiny-classifier',
    HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
    HEADRACE_WEBHOOK_PORTS: String(receiver.port),
  });
  batches = createBatchClient(system);
  const log = createLogger({ service: 'test', level: 'silent' });
  const { REDIS_URL: url = '' } = system.env;
  redis = connectRedis({ url, role: 'worker', name: 'test', log });
});
after(async () => {
  redis.disconnect();
  await system.stop();
  await receiver.stop();
});

async function idleBatch(path: string): Promise<string> {
  const webhook = { url: receiver.url(path) };
  const { id } = await batches.create('a\nb', { ...IDLE_MODEL, webhook });
  await batches.until(id, ({ status }) => status === 'in_progress');
  return id;
}

async function isTold(id: string, path: string, type: string): Promise<void> {
  const [received] = await receiver.until(path, 1);
  const event = JSON.parse(received?.body ?? '');
  assert.deepEqual([event.type, event.data.id], [type, id]);
  assert.deepEqual(BatchSchema.parse(event.data), await batches.get(id));
}

test('a batch that is completed calls back with itself', async () => {
  const webhook = { url: receiver.url('/completed') };
  const { id } = await batches.create(jobLines(5), { endpoint: '/v1/jobs', webhook });
  await isTold(id, '/completed', 'batch.completed');
});

test('a batch that fails calls back', async () => {
  const webhook = { url: receiver.url('/failed') };
  const { id } = await batches.create('\n', { ...IDLE_MODEL, webhook });
  await isTold(id, '/failed', 'batch.failed');
});

test('a batch that is cancelled calls back', async () => {
  const id = await idleBatch('/cancelled');
  await batches.post(`/${id}/cancel`);
  await isTold(id, '/cancelled', 'batch.cancelled');
});

test('a batch that expires calls back', async () => {
  const id = await idleBatch('/expired');
  const key = createKeyspace(system.env.HEADRACE_PREFIX ?? '').batch(id);
  const definition = JSON.parse((await redis.hget(key, 'definition')) ?? '');
  const expired = JSON.stringify({ ...definition, expires_ms: Date.now() - 1 });
  await redis.hset(key, 'definition', expired);
  await isTold(id, '/expired', 'batch.expired');
});

test('a batch calls back only for the ends that were asked for', async () => {
  const webhook = { url: receiver.url('/some'), events: ['batch.failed'] };
  const { id } = await batches.run(jobLines(1), { endpoint: '/v1/jobs', webhook });
  const answer = await fetch(`${system.apiUrl}/v1/webhooks/deliveries?batch=${id}`);
  assert.deepEqual(JSON.parse(await answer.text()).data, []);
});

test('a webhook that a batch must not have is named', async () => {
  for (const [webhook, param] of [
    [{ url: 'http://10.0.0.1/' }, 'webhook.url'],
    [{ url: receiver.url('/'), events: ['job.failed'] }, 'webhook.events[0]'],
  ] as const) {
    const { status, body } = await batches.call('', {
      ...{ input_file_id: await batches.upload('a'), endpoint: '/v1/jobs', webhook },
    });
    const { error } = JSON.parse(JSON.stringify(body));
    assert.deepEqual([status, error.code, error.param], [400, 'invalid_request', param]);
  }
});
