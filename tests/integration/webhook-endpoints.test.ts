/** What becomes of receivers over days: with the real stores, and a clock of the test's own. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { endpointId } from '@headrace/shared/ids.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { createMetrics } from '@headrace/shared/metrics.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { connectRedis } from '@headrace/shared/redis.ts';
import { DeliveryStore } from '@headrace/shared/webhooks/delivery-store.ts';
import { EndpointStore } from '@headrace/shared/webhooks/endpoint-store.ts';
import { SecretStore } from '@headrace/shared/webhooks/secret-store.ts';
import type { Redis } from 'ioredis';
import { createDeliver } from '../../apps/dispatcher/src/consumers/webhook.ts';
import type { CallbackClient } from '../../apps/dispatcher/src/webhooks/callback-client.ts';
import { startRedis, type TestRedis, testPrefix } from '../helpers/redis.ts';

const DAY_MS = 86_400_000;
const START_MS = 1_800_000_000_000;
const TENANT = 'default';
const HOOK = 'https://example.com/hook';

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  const log = createLogger({ service: 'test', level: 'silent' });
  redis = connectRedis({ url: server.url, role: 'worker', name: 'test', log });
});
after(async () => {
  redis.disconnect();
  await server.stop();
});

/** A dispatcher's work, with a receiver that is a function. */
function setUpDeliver(client: CallbackClient) {
  const keys = createKeyspace(testPrefix());
  const deliveries = new DeliveryStore(redis, keys);
  const endpoints = new EndpointStore(redis, keys);
  const metrics = createMetrics();
  const clock = { nowMs: START_MS };
  const deliver = createDeliver({
    ...{ deliveries, endpoints, metrics, client, concurrency: 4, timeoutMs: 1_000 },
    secrets: new SecretStore(redis, keys),
    batches: new BatchStore(redis, keys),
    scheduleMs: [0, ...Array<number>(20).fill(DAY_MS)],
    disableAfterMs: 5 * DAY_MS,
    signal: new AbortController().signal,
    now: () => clock.nowMs,
  });
  const add = (url: string, tenant = TENANT) =>
    deliveries.addTest({ tenant, url, nowMs: clock.nowMs, ttlS: 30 * 86_400 });
  return { keys, deliveries, endpoints, clock, deliver, add, stop: () => metrics.stop() };
}

/** @param statuses what the receiver answers, one attempt after the other; the last one stays */
function setUp(statuses: number[]) {
  let posts = 0;
  const { deliveries, clock, deliver, add, ...rest } = setUpDeliver({
    async post() {
      const status = statuses[Math.min(posts++, statuses.length - 1)] ?? 0;
      return { status, headers: {}, head: '', durationMs: 1 };
    },
  });
  const send = async (afterEach = async () => {}) => {
    const delivery = await add(HOOK);
    let nextMs = await deliver({ delivery, round: 0 });
    while (nextMs !== null) {
      await afterEach();
      clock.nowMs = nextMs;
      nextMs = await deliver({ delivery, round: 0 });
    }
    const state = await deliveries.read(delivery);
    assert.ok(state);
    return { ...state, attempts: await deliveries.attempts(state) };
  };
  return { ...rest, clock, send };
}

describe('an endpoint', () => {
  test('that does nothing but fail for five days is disabled', async (t) => {
    const { endpoints, clock, send, stop } = setUp([500]);
    t.after(stop);
    const { status, attempts } = await send();
    assert.equal(status, 'disabled');
    const last = attempts.pop();
    assert.ok(attempts.every(({ at }) => at * 1000 < START_MS + 5 * DAY_MS));
    assert.ok(Number(last?.at) * 1000 >= START_MS + 5 * DAY_MS);
    const [endpoint] = await endpoints.list(TENANT, 10);
    assert.deepEqual([endpoint?.url, endpoint?.reason], [HOOK, 'failing']);
    assert.deepEqual(
      [endpoint?.failing_since, endpoint?.disabled_at],
      [START_MS / 1000, clock.nowMs / 1000],
    );
    assert.deepEqual((await send()).attempts, []);
    assert.ok(await endpoints.enable(TENANT, endpoint?.id ?? ''));
    assert.ok((await send()).attempts.length > 1);
  });

  test('that takes one callback in between begins anew', async (t) => {
    const { endpoints, send, stop } = setUp([500, 500, 500, 200, 500, 500, 500, 200]);
    t.after(stop);
    for (let i = 0; i < 2; i++) assert.equal((await send()).status, 'delivered');
    assert.deepEqual(await endpoints.list(TENANT, 10), []);
    assert.equal(await endpoints.isDisabled(TENANT, HOOK), false);
  });

  test('is known to fail no longer than its failures count', async (t) => {
    const { keys, send, stop } = setUp([500, 500, 410]);
    t.after(stop);
    const key = keys.endpoint(endpointId(TENANT, HOOK));
    const known: number[] = [];
    await send(async () => void known.push(await redis.pttl(key)));
    const [failing = 0, failingStill = 0] = known;
    for (const ttlMs of [failing, failingStill]) assert.ok(ttlMs > 0 && ttlMs <= 5 * DAY_MS);
    assert.ok((await redis.pttl(key)) > 89 * DAY_MS);
  });

  test('is enabled by its tenant alone', async (t) => {
    const { endpoints, send, stop } = setUp([410]);
    t.after(stop);
    await send();
    const id = endpointId(TENANT, HOOK);
    assert.equal(await endpoints.enable('another', id), false);
    assert.equal(await endpoints.enable(TENANT, id), true);
    assert.equal(await endpoints.isDisabled(TENANT, HOOK), false);
    assert.equal(await endpoints.enable(TENANT, id), false);
  });
});

test('of disabled endpoints a tenant has a thousand; the one before is forgotten', async (t) => {
  const { keys, endpoints, clock, deliver, add, stop } = setUpDeliver({
    post: async () => ({ status: 410, headers: {}, head: '', durationMs: 1 }),
  });
  t.after(stop);
  const gone = async (url: string) => {
    assert.equal(await deliver({ delivery: await add(url), round: 0 }), null);
    assert.ok(await endpoints.isDisabled(TENANT, url));
  };
  await gone(HOOK);
  const list = keys.disabledEndpoints(TENANT);
  const others = Array.from({ length: 999 }, (_, i) => [START_MS + 1, `whe_${i}`]);
  await redis.zadd(list, ...others.flat());
  clock.nowMs += 2;
  await gone('https://example.com/another');
  assert.equal(await endpoints.isDisabled(TENANT, HOOK), false);
  assert.equal(await redis.exists(keys.endpoint(endpointId(TENANT, HOOK))), 0);
  assert.equal(await redis.zcard(list), 1_000);
});

test('a slow host, and a tenant of slow hosts, leave attempts to others', async (t) => {
  const posted = new Map<string, PromiseWithResolvers<void>>();
  const at = (host: string) => {
    const found = posted.get(host) ?? Promise.withResolvers<void>();
    posted.set(host, found);
    return found;
  };
  const over = Promise.withResolvers<void>();
  const { add, deliver, stop } = setUpDeliver({
    async post(url) {
      at(new URL(url).host).resolve();
      await over.promise;
      return { status: 200, headers: {}, head: '', durationMs: 1 };
    },
  });
  t.after(stop);
  const running: Promise<number | null>[] = [];
  const begin = async (url: string, tenant = TENANT) => {
    running.push(deliver({ delivery: await add(url, tenant), round: 0 }));
    await at(new URL(url).host).promise;
  };
  const putAside = async (url: string) => {
    const nextMs = await deliver({ delivery: await add(url), round: 0 });
    assert.ok(nextMs !== null && nextMs > START_MS, url);
  };
  await begin('https://one.example/job/1');
  await putAside('https://one.example/job/2');
  await begin('https://two.example/');
  await begin('https://three.example/');
  await putAside('https://four.example/');
  await begin('https://four.example/', 'another');
  over.resolve();
  assert.deepEqual(await Promise.all(running), [null, null, null, null]);
});

test('a body larger than all that are held together is sent beside small ones', async (t) => {
  const both = Promise.withResolvers<void>();
  let posts = 0;
  const { add, deliver, keys, stop } = setUpDeliver({
    async post() {
      posts += 1;
      if (posts === 2) both.resolve();
      await both.promise;
      return { status: 200, headers: {}, head: '', durationMs: 1 };
    },
  });
  t.after(stop);
  const large = await add('https://two.example/');
  await redis.hset(keys.delivery(large), 'bytes', 64 * 2 ** 20);
  const ids = [await add('https://one.example/'), large];
  const sent = ids.map((delivery) => deliver({ delivery, round: 0 }));
  const first = await Promise.race([...sent, both.promise.then(() => 'both')]);
  both.resolve();
  assert.equal(first, 'both');
  assert.deepEqual(await Promise.all(sent), [null, null]);
});
