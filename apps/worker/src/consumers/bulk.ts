import type { BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import type { StoredBatch } from '@headrace/shared/bulk/batch.ts';
import { inputFailure, waitingFor } from '@headrace/shared/bulk/batch-failures.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { createQueueErrorLog } from '@headrace/shared/queue-errors.ts';
import { BULK_WORKER, bulkQueueName, type ChunkPayload } from '@headrace/shared/queues.ts';
import {
  type ChunkHead,
  newerNeeded,
  PAYLOAD_VERSIONS,
  readChunkPayload,
} from '@headrace/shared/stored-payload.ts';
import { startBatchSpan } from '@headrace/shared/tracing/batch-span.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import { DelayedError, type Job, WaitingError } from 'bullmq';
import type { Redis } from 'ioredis';
import { ChunkRun, type ChunkRunDeps } from './chunk-run.ts';
import { FetchingWorker } from './fetching-worker.ts';

export interface BulkConsumerDeps extends Omit<ChunkRunDeps, 'batch' | 'chunk'> {
  prefix: string;
  redis: Redis;
  blobs: BlobStore;
  batches: BatchStore;
  metrics: Metrics;
  tracing?: Tracing | undefined;
  log: Logger;
  /** Chunks that are fetched at once. */
  chunks: number;
}

/** How often a running chunk looks whether its batch is still wanted. */
const WATCH_MS = 1_000;

/** Until a chunk that this worker cannot read comes again: there is a window of each batch. */
const PUT_OFF_MS = 5_000;

/** Why a chunk was abandoned. */
class GivenBack extends Error {}
class Unwanted extends Error {}

/** Takes chunks of one model out of their queue and commits a part for each. */
export class BulkConsumer {
  readonly #deps: BulkConsumerDeps;
  readonly #queue: string;
  readonly #running = new Set<ChunkRun>();
  #worker: FetchingWorker<ChunkPayload> | null = null;
  #stopped: Promise<void> | null = null;

  constructor(deps: BulkConsumerDeps) {
    this.#deps = deps;
    this.#queue = bulkQueueName(deps.model);
    const { jobs_stalled, jobs_given_back } = deps.metrics.counters;
    for (const counter of [jobs_stalled, jobs_given_back]) counter.inc({ queue: this.#queue }, 0);
  }

  /** Whether the fetch loop moved lately, or rightly stands still. */
  isMoving(withinMs: number): boolean {
    const worker = this.#worker;
    if (worker === null || this.#stopped !== null) return true;
    if (this.#deps.redis.status !== 'ready') return true;
    return this.#running.size >= this.#deps.chunks || worker.sinceFetchMs() < withinMs;
  }

  start(): void {
    if (this.#worker !== null) return;
    const { prefix, redis, chunks, metrics, log } = this.#deps;
    const queue = this.#queue;
    this.#worker = new FetchingWorker<ChunkPayload>(
      queue,
      (job, token) => this.#process(job, token),
      {
        connection: redis,
        prefix,
        concurrency: chunks,
        ...BULK_WORKER,
      },
    );
    const throttle = createThrottle(1_000);
    this.#worker.on('error', createQueueErrorLog(log, queue));
    this.#worker.on('stalled', () => metrics.counters.jobs_stalled.inc({ queue }));
    this.#worker.on('failed', (job, err) => {
      throttle('failed', (swallowed) =>
        log.warn({ event: 'chunk.failed', id: job?.id, err, swallowed }, 'chunk is tried again'),
      );
    });
  }

  /** Lets chunks that run finish until the deadline, then gives them back. Idempotent. */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#drain(deadlineMs);
    return this.#stopped;
  }

  async #drain(deadlineMs: number): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    await worker.pause(true);
    const timer = setTimeout(() => {
      for (const run of this.#running) run.abandon(new GivenBack());
    }, deadlineMs);
    await worker.close();
    clearTimeout(timer);
  }

  async #process(job: Job<ChunkPayload>, token: string | undefined): Promise<void> {
    const chunk = readChunkPayload(job.data);
    const batch = await this.#wanted(chunk);
    if (batch === null) return;
    if (!('rows' in chunk)) return this.#leaveToNewer(job, token, newerChunk(chunk));
    const { v } = batch.definition;
    if (v > PAYLOAD_VERSIONS.batch) {
      return this.#leaveToNewer(job, token, newerNeeded('batch', 'worker', v));
    }
    const { index, rows } = chunk;
    const about = { stage: 'chunk', 'headrace.chunk': index, 'headrace.rows': rows };
    const span = startBatchSpan(this.#deps.tracing, batch.definition, about);
    try {
      await this.#run(batch, chunk);
      span?.end();
    } catch (error) {
      span?.end({ error: reasonOf(error) });
      if (error instanceof Unwanted) return;
      if (error instanceof GivenBack) {
        this.#deps.metrics.counters.jobs_given_back.inc({ queue: this.#queue });
        await job.moveToWait(token);
        throw new WaitingError();
      }
      // Whether Redis takes it or not, the failure is this one.
      await this.#explain(batch, error).catch(() => undefined);
      throw error;
    }
  }

  /** Puts off a chunk that only a newer worker can read; its batch ends by its own window. */
  async #leaveToNewer(
    job: Job<ChunkPayload>,
    token: string | undefined,
    reason: string,
  ): Promise<never> {
    await this.#deps.batches.wait(job.data.batch, 'in_progress', reason);
    await job.moveToDelayed(Date.now() + PUT_OFF_MS, token);
    throw new DelayedError();
  }

  /** @returns null when the chunk is done already, or nobody wants it any more */
  async #wanted({ batch: id, index }: ChunkHead): Promise<StoredBatch | null> {
    const { batches } = this.#deps;
    const batch = await batches.read(id);
    if (batch?.state.status !== 'in_progress') return null;
    const [part = null] = await batches.parts(id, index, index + 1);
    return part === null ? batch : null;
  }

  async #run(batch: StoredBatch, chunk: ChunkPayload): Promise<void> {
    const { batches } = this.#deps;
    const run = new ChunkRun({ ...this.#deps, batch, chunk });
    this.#running.add(run);
    const watch = setInterval(() => void this.#watch(chunk.batch, run), WATCH_MS);
    try {
      const finished = await run.result;
      if (!(await batches.finishChunk(chunk.batch, finished))) await run.discard();
      if (batch.state.waiting_for !== null) await batches.clear(chunk.batch, 'waiting_for');
    } finally {
      clearInterval(watch);
      this.#running.delete(run);
    }
  }

  async #watch(id: string, run: ChunkRun): Promise<void> {
    try {
      const batch = await this.#deps.batches.read(id);
      if (batch?.state.status !== 'in_progress') run.abandon(new Unwanted());
    } catch {
      // Redis is away: the chunk goes on, and is recorded when it is back.
    }
  }

  /** Says in the batch why it does not go on; an input that is gone never comes back. */
  async #explain({ definition }: StoredBatch, error: unknown): Promise<void> {
    const { batches } = this.#deps;
    const { id } = definition;
    const reason = waitingFor(error);
    if (reason !== null) return batches.wait(id, 'in_progress', reason);
    const lost = inputFailure(error, definition);
    if (lost === null) return;
    const fields = {
      ...{ outcome: 'failed', finalizing_ms: Date.now(), errors: JSON.stringify([lost]) },
    };
    await batches.move(id, { from: ['in_progress'], to: 'finalizing', fields });
  }
}

function newerChunk({ v }: ChunkHead): string {
  return newerNeeded('chunk', 'worker', v);
}

/** Why a chunk has no part. */
function reasonOf(error: unknown): string {
  if (error instanceof Unwanted) return 'unwanted';
  return error instanceof GivenBack ? 'given_back' : 'failed';
}
