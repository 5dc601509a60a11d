import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { createQueueErrorLog } from '@headrace/shared/queue-errors.ts';
import { BULK_WORKER } from '@headrace/shared/queues.ts';
import { type Processor, Worker } from 'bullmq';
import type { Redis } from 'ioredis';

export interface QueueWorkerDeps {
  redis: Redis;
  prefix: string;
  metrics: Metrics;
  log: Logger;
}

interface QueueWorkerOptions extends QueueWorkerDeps {
  queue: string;
  concurrency: number;
  process: Processor;
  /** What is logged of a job that has failed. */
  retried: `${string}.retried`;
}

/** Takes the jobs of one of the dispatcher's own queues, and counts those that had stalled. */
export function startQueueWorker(options: QueueWorkerOptions): Worker {
  const { queue, concurrency, process, retried, redis, prefix, metrics, log } = options;
  const bullmq = { connection: redis, prefix, concurrency, ...BULK_WORKER };
  const worker = new Worker(queue, process, bullmq);
  worker.on('error', createQueueErrorLog(log, queue));
  const { jobs_stalled } = metrics.counters;
  jobs_stalled.inc({ queue }, 0);
  worker.on('stalled', () => jobs_stalled.inc({ queue }));
  const throttle = createThrottle(1_000);
  worker.on('failed', (job, err) => {
    throttle('failed', (swallowed) =>
      log.warn({ event: retried, queue, id: job?.id, err, swallowed }, 'is tried again'),
    );
  });
  return worker;
}
