import { startTimeOf } from '@headrace/shared/fair-order.ts';
import type { JobStore } from '@headrace/shared/job-store.ts';
import type { Job } from '@headrace/shared/jobs.ts';
import { createThrottle, type Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import { createQueueErrorLog } from '@headrace/shared/queue-errors.ts';
import { INTERACTIVE, type JobPayload, type Keyspace } from '@headrace/shared/queues.ts';
import {
  isReadable,
  type JobHead,
  newerNeeded,
  readJobHead,
  readJobPayload,
  rowCount,
  type StoredPayload,
} from '@headrace/shared/stored-payload.ts';
import type { BoundTask } from '@headrace/shared/tasks/index.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import type { Redis } from 'ioredis';
import type { ActivityMeter } from '../inference/activity-meter.ts';
import type { InferenceRun, Pipeline } from '../inference/pipeline.ts';
import { createTimingsObserver } from './job-timings.ts';
import { JobTrace } from './job-trace.ts';
import { failed, finished, type Outcome } from './outcome.ts';
import { storeResult } from './store-result.ts';
import type { TakenJob } from './taken-job.ts';
import { TakingWorker } from './taking-worker.ts';
import { endOfUnread, putOffDelayMs } from './unread-job.ts';

export interface InferConsumerDeps {
  model: string;
  queue: string;
  /** What results name; see the manifest's variants. */
  variant: string;
  keys: Keyspace;
  task: BoundTask;
  pipeline: Pipeline;
  redis: Redis;
  store: JobStore;
  metrics: Metrics;
  activity: ActivityMeter;
  tracing?: Tracing | undefined;
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
class GivenBack extends Error {
  /** Whether an engine had some of it. */
  readonly begun: boolean;

  constructor(begun: boolean) {
    super();
    this.begun = begun;
  }
}
class Canceled extends Error {}
/** Why a run was not begun. */
class NewerParameters extends Error {}

/** A job that meets these ends elsewhere, or later. */
const WITHOUT_END = [Canceled, GivenBack, NewerParameters];

interface RunningJob {
  run: InferenceRun;
  rows: number;
  score: number;
}

/** A worker that dies this often while it holds a job has probably died of the job. */
const MAX_STALLS = 10;

/** Takes the interactive jobs of one model out of its queue and finishes each exactly once. */
export class InferConsumer {
  readonly #deps: InferConsumerDeps;
  readonly #now: () => number;
  readonly #observe: ReturnType<typeof createTimingsObserver>;
  readonly #held = new Map<string, RunningJob>();
  /** After a downgrade the whole queue may be so. */
  readonly #sayUnread = createThrottle(10_000);
  #worker: TakingWorker | null = null;
  #heldRows = 0;
  #draining = false;
  #stopped: Promise<void> | null = null;

  constructor(deps: InferConsumerDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
    this.#observe = createTimingsObserver(deps.metrics, deps.model);
    const { jobs_stalled, jobs_given_back, results_refused } = deps.metrics.counters;
    for (const counter of [jobs_stalled, jobs_given_back]) counter.inc({ queue: deps.queue }, 0);
    results_refused.inc({ model: deps.model }, 0);
  }

  get heldJobs(): number {
    return this.#held.size;
  }

  /** Whether the fetch loop moved lately, or rightly stands still. */
  isMoving(withinMs: number): boolean {
    const worker = this.#worker;
    if (worker === null || this.#draining || this.#deps.redis.status !== 'ready') return true;
    return worker.isMoving(withinMs);
  }

  start(): void {
    if (this.#worker !== null) return;
    const { queue, keys, redis, concurrency, metrics, log } = this.#deps;
    this.#worker = new TakingWorker({
      ...{ queue, keys, redis },
      process: (job) => this.#process(job),
      urgentBelow: () => this.#urgentBelow(),
      bullmq: {
        connection: redis,
        prefix: keys.prefix,
        concurrency,
        lockDuration: INTERACTIVE.lockDurationMs,
        stalledInterval: INTERACTIVE.stalledIntervalMs,
        maxStalledCount: INTERACTIVE.maxStalledCount,
        removeOnFail: { count: 0 },
      },
    });
    // A worker that died leaves hundreds of stalled jobs.
    const throttle = createThrottle(1_000);
    this.#worker.on('error', createQueueErrorLog(log, queue));
    this.#worker.on('stalled', (id) => {
      metrics.counters.jobs_stalled.inc({ queue });
      throttle('stalled', (swallowed) =>
        log.warn({ event: 'job.stalled', queue, id, swallowed }, 'job stalled'),
      );
    });
    this.#worker.start();
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
    await worker.stopTaking();
    for (const { run } of this.#held.values()) if (!run.started) run.abandon(new GivenBack(false));
    const timer = setTimeout(() => {
      for (const { run } of this.#held.values()) run.abandon(new GivenBack(run.started));
    }, deadlineMs);
    await worker.close();
    clearTimeout(timer);
  }

  async #process(job: TakenJob): Promise<void> {
    try {
      const payload = this.#read(job);
      if (!isReadable(payload)) return await this.#leaveToNewer(job, payload);
      const { tracing, queue } = this.#deps;
      if (tracing !== undefined) job.trace = new JobTrace(job, payload, { tracing, queue });
      const outcome = await this.#outcomeOf(job, payload);
      if (outcome === null) await this.#forget(job);
      else await this.#store(job, payload, outcome);
      job.trace?.end(outcome?.code ?? undefined);
    } catch (error) {
      await this.#unfinished(job, error);
      job.trace?.end(reasonOf(error));
    }
  }

  async #unfinished(job: TakenJob, error: unknown): Promise<void> {
    if (error instanceof Canceled) return this.#forget(job);
    if (error instanceof GivenBack) {
      const { metrics, queue } = this.#deps;
      metrics.counters.jobs_given_back.inc({ queue });
      return this.#worker?.giveBack(job, error);
    }
    const head = error instanceof NewerParameters ? readJobHead(job.data) : null;
    if (head !== null) return this.#leaveToNewer(job, head);
    return this.#worker?.tryLater(job, error instanceof Error ? error : new Error(String(error)));
  }

  #forget({ id, lockToken }: TakenJob): Promise<void> {
    return this.#deps.store.forget({ id, queue: this.#deps.queue, lockToken });
  }

  /** The payload, or its head where this worker does not know the rest. */
  #read({ id, data }: TakenJob): StoredPayload {
    const payload = readJobPayload(data);
    if (payload !== null) return payload;
    this.#deps.log.error({ event: 'job.unreadable', id }, 'job has no payload of any version');
    throw new Error('no payload');
  }

  /** The API has checked them: what is wrong with them here is that a newer one did. */
  #parameters(payload: JobPayload) {
    try {
      return this.#deps.task.parse(payload.parameters);
    } catch {
      throw new NewerParameters();
    }
  }

  /** Puts off a job that only a newer worker can read, until it has waited for one long enough. */
  async #leaveToNewer(job: TakenJob, head: JobHead): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    const { store, model, metrics, log } = this.#deps;
    const { id } = job;
    if (job.starts > 1 && (await store.read(id)) !== null) return this.#forget(job);
    const times = await worker.timesPutOff(job);
    const outcome = endOfUnread(this.#facts(job, head), times);
    if (outcome !== null) return this.#store(job, head, outcome);
    await worker.putOff(job, putOffDelayMs(times));
    metrics.counters.jobs_put_off.inc({ model });
    this.#sayUnread('unread', (swallowed) => {
      const reason = newerNeeded('job', 'worker', head.v);
      log.warn({ event: 'job.put_off', id, reason, times, swallowed }, 'job waits');
    });
  }

  /** @returns null when the job has a terminal state already */
  async #outcomeOf(job: TakenJob, payload: JobPayload): Promise<Outcome | null> {
    const { id } = job;
    const facts = () => this.#facts(job, payload);
    const isFirst = job.starts <= 1;
    if (!isFirst && (await this.#deps.store.read(id)) !== null) return null;
    if (job.stalls >= MAX_STALLS) return failed(facts(), 'attempts_exhausted');
    const expiresMs = payload.created_ms + payload.ttl_s * 1000;
    if (isFirst && this.#now() >= expiresMs) return failed(facts(), 'expired');
    try {
      const result = await this.#infer(job, payload);
      return finished(facts(), result);
    } catch (error) {
      if (WITHOUT_END.some((kind) => error instanceof kind)) throw error;
      this.#deps.log.error({ event: 'job.error', id, err: error }, 'inference broke');
      if (job.attempts + 1 < INTERACTIVE.attempts) throw error;
      return failed(facts(), 'internal');
    }
  }

  async #infer(job: TakenJob, payload: JobPayload) {
    const { pipeline, publishStarted } = this.#deps;
    if (this.#draining) throw new GivenBack(false);
    const { id } = job;
    const run = pipeline.infer({
      rows: payload.rows,
      parameters: this.#parameters(payload),
      startTime: startTimeOf(job.score),
      flow: `${payload.tenant}:${payload.priority}`,
      timeoutMs: payload.timeout_s * 1000,
      trace: job.trace?.traceparent,
      onStart: () => publishStarted(id),
    });
    this.#hold(id, { run, rows: payload.rows.length, score: job.score });
    try {
      const result = await run.result;
      job.trace?.inferred(result, run.batchTraces);
      return result;
    } finally {
      this.#letGo(id);
      this.#worker?.makeRoom(job);
    }
  }

  #hold(id: string, job: RunningJob): void {
    this.#held.set(id, job);
    this.#heldRows += job.rows;
    this.#adjustConcurrency();
  }

  #letGo(id: string): void {
    this.#heldRows -= this.#held.get(id)?.rows ?? 0;
    this.#held.delete(id);
    this.#adjustConcurrency();
  }

  /** The last place in order of what has not started; null while all is of one flow. */
  #urgentBelow(): number | null {
    if (!this.#deps.pipeline.isShared) return null;
    let last: number | null = null;
    for (const { run, score } of this.#held.values()) {
      if (!run.started && (last === null || score > last)) last = score;
    }
    return last;
  }

  /** Jobs of thousands of rows are not fetched ahead: their texts would fill the memory. */
  #adjustConcurrency(): void {
    if (this.#worker === null) return;
    const { concurrency, maxHeldRows } = this.#deps;
    this.#worker.concurrency = this.#heldRows < maxHeldRows ? concurrency : 1;
  }

  #facts<Payload>({ id, starts, startedMs }: TakenJob, payload: Payload) {
    const { task, variant, resultTtlMs } = this.#deps;
    const nowMs = this.#now();
    return {
      ...{ id, payload, task: task.name, variant },
      ...{ attempts: starts, startedMs, nowMs, resultTtlMs },
    };
  }

  async #store(job: TakenJob, payload: StoredPayload, outcome: Outcome): Promise<void> {
    const { store, queue, model, metrics, resultTtlMs, log } = this.#deps;
    const { id, lockToken, score } = job;
    const finished = {
      ...{ id, queue, lockToken, record: outcome.record, ttlMs: resultTtlMs },
      ...{ rows: rowCount(payload), tokens: payload.tokens, startTime: this.#virtualTime(score) },
      webhook: payload.webhook,
      trace: job.trace?.traceparent ?? payload.traceparent,
    };
    const stored = await storeResult(store, finished, log);
    job.trace?.stored(stored);
    if (stored) this.#measure(outcome);
    else metrics.counters.results_refused.inc({ model });
  }

  /**
   * That of the job that has been held longest, which is among the first in order. Rows run beside
   * others of their length, so a job that is done may be far from the first; whoever comes now would
   * be put behind all that is held.
   */
  #virtualTime(doneScore: number): number {
    const [first] = this.#held.values();
    return startTimeOf(Math.min(doneScore, first?.score ?? doneScore));
  }

  #measure({ record: { job }, code }: Outcome): void {
    const { model, metrics, activity } = this.#deps;
    const { timings } = job;
    metrics.counters.jobs_finished.inc({ model, status: job.status, code: code ?? '' });
    if (timings !== null) this.#observe(timings, job.priority);
    activity.addJob({ code, times: timings && timesOf(timings) });
  }
}

function timesOf(timings: NonNullable<Job['timings']>) {
  const { queue_ms, tokenize_ms, batch_wait_ms, total_ms } = timings;
  return { waitMs: queue_ms + tokenize_ms + batch_wait_ms, totalMs: total_ms };
}

/** Why a job left this worker without an end. */
function reasonOf(error: unknown): string {
  if (error instanceof Canceled) return 'canceled';
  if (error instanceof NewerParameters) return 'put_off';
  return error instanceof GivenBack ? 'given_back' : 'internal';
}
