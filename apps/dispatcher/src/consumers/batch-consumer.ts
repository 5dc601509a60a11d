import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import { BULK } from '@headrace/shared/queues.ts';
import { type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';

interface BatchConsumerOptions {
  queue: string;
  run: (batch: string) => Promise<void>;
  redis: Redis;
  prefix: string;
  log: Logger;
}

const BatchJob = z.object({ batch: z.string() });
/** Batches that one dispatcher plans, or assembles, at once. */
const CONCURRENCY = 2;

/** Takes the jobs of one of the dispatcher's own queues, one batch each. */
export function startBatchConsumer(options: BatchConsumerOptions): Worker {
  const { queue, run, redis, prefix, log } = options;
  const worker = new Worker(queue, (job: Job) => run(BatchJob.parse(job.data).batch), {
    connection: redis,
    prefix,
    concurrency: CONCURRENCY,
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
      log.warn({ event: 'queue.error', queue, err, swallowed }, 'queue error'),
    );
  });
  worker.on('failed', (job, err) => {
    throttle('failed', (swallowed) =>
      log.warn({ event: 'batch.retried', queue, id: job?.id, err, swallowed }, 'is tried again'),
    );
  });
  return worker;
}
