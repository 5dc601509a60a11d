import type { BatchStatus, StoredBatch } from '@headrace/shared/bulk/batch.ts';
import { waitingFor } from '@headrace/shared/bulk/batch-failures.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import { BULK } from '@headrace/shared/queues.ts';
import { newerNeeded, PAYLOAD_VERSIONS } from '@headrace/shared/stored-payload.ts';
import { startBatchSpan } from '@headrace/shared/tracing/batch-span.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import { DelayedError, type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';

interface BatchConsumerOptions {
  queue: string;
  run: (batch: string) => Promise<void>;
  /** Instead of `run`, for a batch that has outlived too many dispatchers; null: never. */
  giveUp: ((batch: string) => Promise<void>) | null;
  /** In which a batch is while it is run. */
  status: BatchStatus;
  batches: BatchStore;
  redis: Redis;
  prefix: string;
  tracing: Tracing | undefined;
  log: Logger;
}

/** Without `v` it is of version 1. */
const BatchJob = z.object({ v: z.int().default(1), batch: z.string() });
/** Until a batch that this dispatcher cannot read comes again. */
const PUT_OFF_MS = 5_000;
/** Batches that one dispatcher plans, or assembles, at once. */
const CONCURRENCY = 2;
/**
 * Dispatchers that may end while they run one batch, by it or by something else, such as a Redis
 * that was away for longer than a lock lasts.
 */
const MAX_DEATHS = 10;

/**
 * Takes the jobs of one of the dispatcher's own queues, one batch each. A batch that cannot go on
 * says why, and is tried again.
 */
export function startBatchConsumer(options: BatchConsumerOptions): Worker {
  const { queue, run, giveUp, status, batches, redis, prefix, log } = options;
  const process = async (job: Job, token?: string) => {
    const { batch, v } = BatchJob.parse(job.data);
    const stored = await batches.read(batch);
    const version = Math.max(v, stored?.definition.v ?? v);
    if (stored?.state.status === status && version > PAYLOAD_VERSIONS.batch) {
      await batches.wait(batch, status, newerNeeded('batch', 'dispatcher', version));
      await job.moveToDelayed(Date.now() + PUT_OFF_MS, token);
      throw new DelayedError();
    }
    const span = beginSpan(options, stored);
    try {
      if (giveUp !== null && job.stalledCounter >= MAX_DEATHS) await giveUp(batch);
      else await run(batch);
      span?.end();
    } catch (error) {
      span?.end({ error: 'failed' });
      const reason = waitingFor(error);
      if (reason !== null) await batches.wait(batch, status, reason).catch(() => undefined);
      throw error;
    }
  };
  const worker = new Worker(queue, process, {
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

function beginSpan({ tracing, queue }: BatchConsumerOptions, batch: StoredBatch | null) {
  if (tracing === undefined || batch === null) return undefined;
  return startBatchSpan(tracing, batch.definition, { stage: queue });
}
