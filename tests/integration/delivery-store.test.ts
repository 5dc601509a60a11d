/** Two that work on one delivery at the same time, each step of theirs in the order that hurts. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createLogger } from '@headrace/shared/logger.ts';
import { createKeyspace, WEBHOOKS_QUEUE } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import type { DeliveryState, DeliveryStatus } from '@headrace/shared/webhooks/delivery.ts';
import { DeliveryStore } from '@headrace/shared/webhooks/delivery-store.ts';
import type { Redis } from 'ioredis';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const TENANT = 'default';

let server: TestRedis;
let redis: Redis;
let deliveries: DeliveryStore;
let bull: (suffix: string) => string;
before(async () => {
  server = await startRedis();
  const log = createLogger({ service: 'test', level: 'silent' });
  redis = connectRedis({ url: server.url, role: 'worker', name: 'test', log });
});
beforeEach(() => {
  const keys = createKeyspace(testPrefix());
  bull = (suffix) => keys.bull(WEBHOOKS_QUEUE, suffix);
  deliveries = new DeliveryStore(redis, keys);
});
after(async () => {
  redis.disconnect();
  await server.stop();
});

/** A delivery whose job a dispatcher has taken. */
async function taken(): Promise<DeliveryState> {
  const url = 'https://example.com/hook';
  const id = await deliveries.addTest({ tenant: TENANT, url, nowMs: NOW_MS, ttlS: 86_400 });
  assert.equal(await redis.rpoplpush(bull('wait'), bull('active')), id);
  return state(id);
}

async function state(id: string): Promise<DeliveryState> {
  const found = await deliveries.read(id);
  assert.ok(found);
  return found;
}

function record(delivery: DeliveryState, status: DeliveryStatus) {
  return deliveries.record(delivery, {
    attempt: { at: 0, status: 200, error: null, duration_ms: 1, response_head: '' },
    ...{ status, step: 1, nowMs: NOW_MS, endpoint: null, disableAfterMs: HOUR_MS },
    nextMs: status === 'pending' ? NOW_MS + HOUR_MS : null,
  });
}

const wait = () => redis.lrange(bull('wait'), 0, -1);

test('what has arrived stays delivered, whatever a dispatcher that seemed dead adds', async () => {
  for (const late of ['pending', 'failed', 'delivered'] as const) {
    const delivery = await taken();
    assert.equal(await record(delivery, 'delivered'), 'delivered');
    assert.equal(await record(delivery, late), null);
    const { status, attempt_count, next_ms } = await state(delivery.id);
    assert.deepEqual([status, attempt_count, next_ms], ['delivered', 2, null]);
  }
});

test('what has failed is delivered when a dispatcher that seemed dead was heard', async () => {
  const delivery = await taken();
  assert.equal(await record(delivery, 'failed'), 'failed');
  assert.equal(await record(delivery, 'pending'), null);
  assert.equal((await state(delivery.id)).status, 'failed');
  assert.equal(await record(delivery, 'delivered'), 'delivered');
});

test('a redelivery between an attempt and the next is sent though its job is not delayed', async () => {
  const delivery = await taken();
  await record(delivery, 'pending');
  assert.equal(await deliveries.redeliver(TENANT, delivery.id, NOW_MS + 1), null);
  const { round, next_ms } = await state(delivery.id);
  assert.deepEqual([round, next_ms], [1, null]);
  assert.deepEqual(await wait(), [`${delivery.id}-1`]);
  assert.equal(await record(delivery, 'delivered'), null);
});

test('a redelivery during an attempt is that attempt', async () => {
  const delivery = await taken();
  assert.equal(await deliveries.redeliver(TENANT, delivery.id, NOW_MS + 1), null);
  assert.equal((await state(delivery.id)).round, 0);
  assert.deepEqual(await wait(), []);
});
