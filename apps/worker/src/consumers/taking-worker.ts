import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Keyspace } from '@headrace/shared/queues.ts';
import { defineScript } from '@headrace/shared/redis.ts';
import { Job, Worker, type WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { fromBullMQ, parseTaken, type TakenJob } from './taken-job.ts';

interface TakingWorkerOptions {
  queue: string;
  keys: Keyspace;
  redis: Redis;
  /** The job is held, and its lock renewed, until this settles. */
  process: (job: TakenJob) => Promise<void>;
  /**
   * While there is no room: the score below which a job is taken all the same, since it goes before
   * what is held; null when nobody's jobs do.
   */
  urgentBelow?: () => number | null;
  bullmq: WorkerOptions & { lockDuration: number; concurrency: number };
}

/** With more in one command, one of two idle workers would take what both could run. */
const MOST_JOBS = 32;
/** Of payloads in one command, so that jobs of thousands of rows come one by one. */
const MOST_BYTES = 262_144;
/** A job that a worker gives back wakes nobody up: the others look once a second. */
const LONGEST_WAIT_S = 1;
const SHORTEST_WAIT_S = 0.01;
const RETRY_DELAY_MS = 500;
/** Between two looks for a job that goes before all that is held, while there is no room. */
const URGENT_LOOK_MS = 2;
/** Jobs beyond the room that are taken because they go first. */
const MOST_URGENT = 64;

/**
 * A BullMQ worker that takes many jobs with one command, where BullMQ's own loop asks Redis once
 * for each. Locks, their renewal and the check for stalled jobs are BullMQ's, and so is whatever is
 * rare: jobs that stalled or are tried again, a queue that is paused.
 */
export class TakingWorker extends Worker<unknown, void> {
  readonly #options: TakingWorkerOptions;
  readonly #take: (args: (string | number)[]) => Promise<unknown>;
  readonly #putBack: (args: (string | number)[]) => Promise<unknown>;
  readonly #putOff: (args: (string | number)[]) => Promise<unknown>;
  readonly #keys: string[];
  /** Jobs that leave less room for others. */
  readonly #taken = new Set<TakenJob>();
  readonly #held = new Set<Promise<void>>();
  #room = Promise.withResolvers<void>();
  #commands = 0;
  #loop: Promise<void> | null = null;
  #stopped = false;
  #movedMs = performance.now();

  constructor(options: TakingWorkerOptions) {
    const { queue, keys, redis, bullmq } = options;
    super(queue, null, { ...bullmq, autorun: false });
    this.#options = options;
    this.#take = defineScript(redis, 'take-jobs');
    this.#putBack = defineScript(redis, 'put-back');
    this.#putOff = defineScript(redis, 'put-off');
    const names = ['prioritized', 'active', 'wait', 'delayed', 'meta', 'marker', 'events', 'pc'];
    this.#keys = names.map((name) => keys.bull(queue, name));
  }

  /** Whether the loop heard from Redis lately, or rightly stands still. */
  isMoving(withinMs: number): boolean {
    return this.#taken.size >= this.concurrency || performance.now() - this.#movedMs < withinMs;
  }

  start(): void {
    if (this.#loop !== null) return;
    this.lockManager.start();
    void this.startStalledCheckTimer();
    this.#loop = this.#run();
  }

  /** Another job may be taken in its place, although its result is not written yet. */
  makeRoom(job: TakenJob): void {
    if (this.#taken.delete(job)) this.#room.resolve();
  }

  /** Puts a job back to where it was in the queue; one that was not begun, as if it had stayed. */
  async giveBack({ id, lockToken, score }: TakenJob, { begun }: { begun: boolean }): Promise<void> {
    await this.backend.moveJobFromActiveToWait(id, lockToken);
    const { keys, queue } = this.#options;
    const own = [keys.bull(queue, 'prioritized'), keys.bull(queue, id)];
    await this.#putBack([own.length, ...own, id, score, begun ? 0 : 1]);
  }

  /** How often a job was put off. */
  async timesPutOff({ id }: TakenJob): Promise<number> {
    const { keys, queue, redis } = this.#options;
    return Number(await redis.hget(keys.bull(queue, id), 'put_off'));
  }

  /** Has a job that was not begun come again later, to whichever worker takes it then. */
  async putOff({ id, lockToken }: TakenJob, delayMs: number): Promise<void> {
    const { keys, queue } = this.#options;
    const hash = keys.bull(queue, id);
    if ((await this.#putOff([2, `${hash}:lock`, hash, lockToken])) !== 1) return;
    const job = await Job.fromId(this, id);
    await job?.moveToDelayed(Date.now() + delayMs, lockToken);
  }

  /** Has BullMQ try a job again after its back-off, unless it was tried often enough. */
  async tryLater({ id, lockToken }: TakenJob, error: Error): Promise<void> {
    const job = await Job.fromId(this, id);
    await job?.moveToFailed(error, lockToken);
  }

  /** Takes no more jobs. Those that are held go on. */
  async stopTaking(): Promise<void> {
    this.#stopped = true;
    this.#room.resolve();
    await this.pause(true);
    await this.backend.disconnectBlocking();
    await this.#loop;
  }

  /** Resolves when no job is held any more. */
  override async close(force?: boolean): Promise<void> {
    await this.stopTaking();
    while (this.#held.size > 0) await Promise.all(this.#held);
    await super.close(force);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#tick();
      } catch (error) {
        if (this.#stopped) return;
        this.emit('error', error instanceof Error ? error : new Error(String(error)));
        await sleep(RETRY_DELAY_MS);
      }
    }
  }

  /** Takes what there is room for, or waits for room, or for a job. */
  async #tick(): Promise<void> {
    const room = Math.min(MOST_JOBS, this.concurrency - this.#taken.size);
    if (room <= 0) return this.#whileFull();
    const lockToken = `${this.id}:${this.#commands++}`;
    const { jobs, leftToBullMQ, nextDueMs } = await this.#takeJobs(room, lockToken);
    for (const job of jobs) this.#hold(job);
    if (leftToBullMQ) {
      const job = await this.moveToActive(lockToken);
      if (job !== undefined) return this.#hold(fromBullMQ(job, lockToken));
    }
    if (jobs.length < room && !this.#stopped) await this.#untilJob(nextDueMs);
  }

  /** Takes jobs that go before all that is held, or waits for room. */
  async #whileFull(): Promise<void> {
    const below = this.#options.urgentBelow?.() ?? null;
    const most = MOST_URGENT - (this.#taken.size - this.concurrency);
    if (below === null || most <= 0) return this.#untilRoom();
    if (await this.#roomWithin(URGENT_LOOK_MS)) return turn();
    const lockToken = `${this.id}:${this.#commands++}`;
    const { jobs } = await this.#takeJobs(Math.min(MOST_JOBS, most), lockToken, below);
    for (const job of jobs) this.#hold(job);
  }

  async #roomWithin(ms: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), ms);
    const room = this.#room.promise.then(() => true);
    const inTime = await Promise.race([room, late.promise]);
    clearTimeout(timer);
    if (inTime) this.#room = Promise.withResolvers();
    return inTime;
  }

  /** The room that the jobs of a whole tensor batch leave, not that of its first one only. */
  async #untilRoom(): Promise<void> {
    await this.#room.promise;
    this.#room = Promise.withResolvers();
    await turn();
  }

  async #untilJob(nextDueMs: number): Promise<void> {
    const dueS = nextDueMs === 0 ? LONGEST_WAIT_S : (nextDueMs - Date.now()) / 1000;
    await this.backend.waitForJob(Math.min(LONGEST_WAIT_S, Math.max(SHORTEST_WAIT_S, dueS)));
    this.#movedMs = performance.now();
  }

  async #takeJobs(count: number, lockToken: string, below: number | null = null) {
    const { queue, keys, bullmq } = this.#options;
    const nowMs = Date.now();
    const limits = [count, nowMs, lockToken, bullmq.lockDuration, MOST_BYTES, below ?? ''];
    const args = [this.#keys.length, ...this.#keys, keys.bull(queue, ''), ...limits];
    const taken = parseTaken(await this.#take(args), lockToken, nowMs);
    this.#movedMs = performance.now();
    return taken;
  }

  #hold(job: TakenJob): void {
    this.#taken.add(job);
    this.lockManager.trackJob(job.id, job.lockToken, job.startedMs);
    const held = this.#options
      .process(job)
      .catch((error) => void this.emit('error', error))
      .finally(() => {
        this.lockManager.untrackJob(job.id);
        this.#held.delete(held);
        this.makeRoom(job);
      });
    this.#held.add(held);
  }
}
