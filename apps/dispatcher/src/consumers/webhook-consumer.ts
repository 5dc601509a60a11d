import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { BULK, WEBHOOKS_QUEUE } from '@headrace/shared/queues.ts';
import { DelayedError, type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { CallbackError } from '../webhooks/callback-error.ts';
import { countStalled } from './stalled-jobs.ts';

interface WebhookConsumerOptions {
  /** @returns when to come again, in ms; null when there is nothing more to do */
  deliver: (job: unknown) => Promise<number | null>;
  concurrency: number;
  redis: Redis;
  prefix: string;
  metrics: Metrics;
  log: Logger;
}

/** Takes the jobs of the queue of deliveries; each stays in it until its delivery is settled. */
export function startWebhookConsumer(options: WebhookConsumerOptions): Worker {
  const { deliver, concurrency, redis, prefix, metrics, log } = options;
  const process = async (job: Job, token?: string) => {
    const againMs = await deliver(job.data).catch(atOnceIfCanceled);
    if (againMs === null) return;
    await job.moveToDelayed(againMs, token);
    throw new DelayedError();
  };
  const worker = new Worker(WEBHOOKS_QUEUE, process, {
    connection: redis,
    prefix,
    concurrency,
    lockDuration: BULK.lockDurationMs,
    stalledInterval: BULK.stalledIntervalMs,
    maxStalledCount: BULK.maxStalledCount,
    drainDelay: 1,
    runRetryDelay: 500,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  const throttle = createThrottle(1_000);
  worker.on('error', (err) => {
    throttle('error', (swallowed) =>
      log.warn({ event: 'queue.error', queue: WEBHOOKS_QUEUE, err, swallowed }, 'queue error'),
    );
  });
  countStalled(worker, metrics);
  worker.on('failed', (job, err) => {
    throttle('failed', (swallowed) =>
      log.warn({ event: 'webhook.retried', id: job?.id, err, swallowed }, 'is tried again'),
    );
  });
  return worker;
}

/** An attempt that our own end broke off is made by another dispatcher. */
function atOnceIfCanceled(error: unknown): number {
  if (error instanceof CallbackError && error.reason === 'canceled') return Date.now();
  throw error;
}
