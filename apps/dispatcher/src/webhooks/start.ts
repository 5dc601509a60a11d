import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import type { Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import { DeliveryStore } from '@headrace/shared/webhooks/delivery-store.ts';
import { EndpointStore } from '@headrace/shared/webhooks/endpoint-store.ts';
import { parseReceiverRules } from '@headrace/shared/webhooks/receiver-rules.ts';
import { SecretStore } from '@headrace/shared/webhooks/secret-store.ts';
import type { Redis } from 'ioredis';
import type { DispatcherConfig } from '../config.ts';
import { createDeliver } from '../consumers/webhook.ts';
import { startWebhookConsumer } from '../consumers/webhook-consumer.ts';
import { createCallbackClient } from './callback-client.ts';

interface Parts {
  config: DispatcherConfig;
  log: Logger;
  redis: Redis;
  keys: Keyspace;
  metrics: Metrics;
  tracing: Tracing | undefined;
  lifecycle: Lifecycle;
}

/** At the end, how long callbacks that run may still take. */
const GRACE_MS = 3_000;

/** Delivers webhooks. */
export function startWebhooks(parts: Parts): void {
  const { config, log, redis, keys, metrics, tracing, lifecycle } = parts;
  const ending = new AbortController();
  const concurrency = config.HEADRACE_WEBHOOK_CONCURRENCY;
  const deliver = createDeliver({
    ...{ metrics, tracing, concurrency, signal: ending.signal },
    deliveries: new DeliveryStore(redis, keys),
    endpoints: new EndpointStore(redis, keys),
    secrets: new SecretStore(redis, keys),
    batches: new BatchStore(redis, keys),
    client: createCallbackClient({ rules: parseReceiverRules(config) }),
    scheduleMs: config.HEADRACE_WEBHOOK_SCHEDULE_S.split(',').map((s) => Number(s) * 1000),
    timeoutMs: config.HEADRACE_WEBHOOK_TIMEOUT_S * 1000,
    disableAfterMs: config.HEADRACE_WEBHOOK_DISABLE_AFTER_S * 1000,
  });
  const { prefix } = keys;
  const consumer = startWebhookConsumer({
    ...{ deliver, concurrency, redis, prefix, metrics, log },
  });
  lifecycle.push('webhooks', async () => {
    const timer = setTimeout(() => ending.abort(), GRACE_MS);
    await consumer.close();
    clearTimeout(timer);
  });
}
