import type { BatchStatus, StoredBatch } from '@headrace/shared/bulk/batch.ts';
import { waitingFor } from '@headrace/shared/bulk/batch-failures.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { newerNeeded, PAYLOAD_VERSIONS } from '@headrace/shared/stored-payload.ts';
import { startBatchSpan } from '@headrace/shared/tracing/batch-span.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import { DelayedError, type Job, type Worker } from 'bullmq';
import { z } from 'zod';
import { type QueueWorkerDeps, startQueueWorker } from './queue-worker.ts';

interface BatchConsumerOptions extends QueueWorkerDeps {
  queue: string;
  run: (batch: string) => Promise<void>;
  /** Instead of `run`, for a batch that has outlived too many dispatchers; null: never. */
  giveUp: ((batch: string) => Promise<void>) | null;
  /** In which a batch is while it is run. */
  status: BatchStatus;
  batches: BatchStore;
  tracing: Tracing | undefined;
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
  const { run, giveUp, status, batches } = options;
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
  return startQueueWorker({
    ...options,
    concurrency: CONCURRENCY,
    process,
    retried: 'batch.retried',
  });
}

function beginSpan({ tracing, queue }: BatchConsumerOptions, batch: StoredBatch | null) {
  if (tracing === undefined || batch === null) return undefined;
  return startBatchSpan(tracing, batch.definition, { stage: queue });
}
