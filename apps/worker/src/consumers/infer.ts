import { AppError } from '@headrace/shared/errors.ts';
import { startTimeOf } from '@headrace/shared/fair-order.ts';
import type { JobStore } from '@headrace/shared/job-store.ts';
import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { INTERACTIVE, type JobPayload, JobPayloadSchema } from '@headrace/shared/queues.ts';
import type { BoundTask } from '@headrace/shared/tasks/index.ts';
import { type Job, UnrecoverableError, WaitingError } from 'bullmq';
import type { Redis } from 'ioredis';
import type { InferenceRun, Pipeline } from '../inference/pipeline.ts';
import { FetchingWorker } from './fetching-worker.ts';
import { createTimingsObserver } from './job-timings.ts';
import { failed, finished, type JobFacts, type Outcome } from './outcome.ts';
import { storeResult } from './store-result.ts';

export interface InferConsumerDeps {
  model: string;
  queue: string;
  /** What results name; see the manifest's variants. */
  variant: string;
  prefix: string;
  task: BoundTask;
  pipeline: Pipeline;
  redis: Redis;
  store: JobStore;
  metrics: Metrics;
  log: Logger;
  resultTtlMs: number;
  /** Jobs that are fetched at once. */
  concurrency: number;
  /** Rows that are held at most before the worker fetches one job at a time. */
  maxHeldRows: number;
  publishStarted: (id: string) => void;
  now?: () => number;
}

/** Why a run was abandoned. */
class GivenBack extends Error {}
class Canceled extends Error {}

interface HeldJob {
  run: InferenceRun;
  rows: number;
}

/** A worker that dies this often while it holds a job has probably died of the job. */
const MAX_STALLS = 10;

/** Takes the interactive jobs of one model out of its queue and finishes each exactly once. */
export class InferConsumer {
  readonly #deps: InferConsumerDeps;
  readonly #now: () => number;
  readonly #observe: ReturnType<typeof createTimingsObserver>;
  readonly #held = new Map<string, HeldJob>();
  #worker: FetchingWorker<JobPayload> | null = null;
  #heldRows = 0;
  #draining = false;
  #stopped: Promise<void> | null = null;

  constructor(deps: InferConsumerDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
    this.#observe = createTimingsObserver(deps.metrics, deps.model);
  }

  get heldJobs(): number {
    return this.#held.size;
  }

  /** Whether the fetch loop moved lately, or rightly stands still. */
  isMoving(withinMs: number): boolean {
    const worker = this.#worker;
    if (worker === null || this.#draining || this.#deps.redis.status !== 'ready') return true;
    return this.#held.size >= worker.concurrency || worker.sinceFetchMs() < withinMs;
  }

  start(): void {
    if (this.#worker !== null) return;
    const { queue, prefix, redis, concurrency, log } = this.#deps;
    this.#worker = new FetchingWorker<JobPayload>(
      queue,
      (job, token) => this.#process(job, token),
      {
        connection: redis,
        prefix,
        concurrency,
        lockDuration: INTERACTIVE.lockDurationMs,
        stalledInterval: INTERACTIVE.stalledIntervalMs,
        maxStalledCount: INTERACTIVE.maxStalledCount,
        // A job that a worker gives back wakes nobody up: the others look once a second.
        drainDelay: 1,
        runRetryDelay: 500,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    // A worker that died leaves hundreds of stalled jobs, a Redis that went as many errors.
    const throttle = createThrottle(1_000);
    this.#worker.on('error', (err) => {
      throttle('error', (swallowed) =>
        log.warn({ event: 'queue.error', queue, err, swallowed }, 'queue error'),
      );
    });
    this.#worker.on('stalled', (id) => {
      throttle('stalled', (swallowed) =>
        log.warn({ event: 'job.stalled', queue, id, swallowed }, 'job stalled'),
      );
    });
  }

  /** Drops a job that was cancelled, if it is here. */
  cancel(id: string): void {
    this.#held.get(id)?.run.abandon(new Canceled());
  }

  /**
   * Gives back what has not started and lets the rest finish until the deadline; then that is given
   * back too. Idempotent.
   */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#drain(deadlineMs);
    return this.#stopped;
  }

  async #drain(deadlineMs: number): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    this.#draining = true;
    await worker.pause(true);
    for (const { run } of this.#held.values()) if (!run.started) run.abandon(new GivenBack());
    const timer = setTimeout(() => {
      for (const { run } of this.#held.values()) run.abandon(new GivenBack());
    }, deadlineMs);
    await worker.close();
    clearTimeout(timer);
  }

  async #process(job: Job<JobPayload>, token: string | undefined): Promise<void> {
    try {
      const payload = this.#parse(job);
      const outcome = await this.#outcomeOf(job, payload);
      if (outcome === null) return;
      await this.#store(payload, outcome, startTimeOf(job.priority));
      if (outcome.code !== null) throw new AppError(outcome.code);
    } catch (error) {
      if (error instanceof Canceled) return;
      if (error instanceof GivenBack) {
        await job.moveToWait(token);
        throw new WaitingError();
      }
      // A terminal code is BullMQ's "never again"; whatever else went wrong is tried again.
      throw error instanceof AppError ? new UnrecoverableError(error.code) : error;
    }
  }

  /** A payload that this version does not know fails, and is tried again: by another, perhaps. */
  #parse(job: Job<JobPayload>): JobPayload {
    const parsed = JobPayloadSchema.safeParse(job.data);
    if (parsed.success) return parsed.data;
    this.#deps.log.error({ event: 'job.unreadable', id: job.id }, 'job has an unknown payload');
    throw new Error('unknown payload');
  }

  /** @returns null when the job has a terminal state already */
  async #outcomeOf(job: Job<JobPayload>, payload: JobPayload): Promise<Outcome | null> {
    const isFirst = job.attemptsStarted <= 1;
    if (!isFirst && (await this.#deps.store.read(job.id ?? '')) !== null) return null;
    if (job.stalledCounter >= MAX_STALLS) return failed(this.#facts(job), 'attempts_exhausted');
    const expiresMs = payload.created_ms + payload.ttl_s * 1000;
    if (isFirst && this.#now() >= expiresMs) return failed(this.#facts(job), 'expired');
    try {
      const result = await this.#infer(job, payload);
      return finished(this.#facts(job), result);
    } catch (error) {
      if (error instanceof Canceled || error instanceof GivenBack) throw error;
      this.#deps.log.error({ event: 'job.error', id: job.id, err: error }, 'inference broke');
      if (job.attemptsMade + 1 < (job.opts.attempts ?? 1)) throw error;
      return failed(this.#facts(job), 'internal');
    }
  }

  async #infer(job: Job<JobPayload>, payload: JobPayload) {
    const { pipeline, task, publishStarted } = this.#deps;
    if (this.#draining) throw new GivenBack();
    const id = job.id ?? '';
    const run = pipeline.infer({
      rows: payload.rows,
      parameters: task.parse(payload.parameters),
      startTime: startTimeOf(job.priority),
      timeoutMs: payload.timeout_s * 1000,
      onStart: () => publishStarted(id),
    });
    this.#hold(id, { run, rows: payload.rows.length });
    try {
      return await run.result;
    } finally {
      this.#letGo(id);
    }
  }

  #hold(id: string, job: HeldJob): void {
    this.#held.set(id, job);
    this.#heldRows += job.rows;
    this.#adjustConcurrency();
  }

  #letGo(id: string): void {
    this.#heldRows -= this.#held.get(id)?.rows ?? 0;
    this.#held.delete(id);
    this.#adjustConcurrency();
  }

  /** Jobs of thousands of rows are not fetched ahead: their texts would fill the memory. */
  #adjustConcurrency(): void {
    if (this.#worker === null) return;
    const { concurrency, maxHeldRows } = this.#deps;
    this.#worker.concurrency = this.#heldRows < maxHeldRows ? concurrency : 1;
  }

  #facts(job: Job<JobPayload>): JobFacts {
    const { task, variant, resultTtlMs } = this.#deps;
    const nowMs = this.#now();
    const startedMs = job.processedOn ?? nowMs;
    const attempts = job.attemptsStarted;
    const { id = '', data: payload } = job;
    return { id, payload, task: task.name, variant, attempts, startedMs, nowMs, resultTtlMs };
  }

  async #store(payload: JobPayload, outcome: Outcome, startTime: number): Promise<void> {
    const { store, queue, resultTtlMs, log } = this.#deps;
    const { record } = outcome;
    const stored = await storeResult(
      store,
      {
        id: record.job.id,
        queue,
        record,
        ttlMs: resultTtlMs,
        rows: payload.rows.length,
        tokens: payload.tokens,
        startTime,
      },
      log,
    );
    if (stored) this.#measure(outcome);
  }

  #measure({ record: { job }, code }: Outcome): void {
    const { model, metrics } = this.#deps;
    metrics.counters.jobs_finished.inc({ model, status: job.status, code: code ?? '' });
    if (job.timings !== null) this.#observe(job.timings);
  }
}
