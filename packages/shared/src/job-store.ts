import type { Redis } from 'ioredis';
import { z } from 'zod';
import { callParts } from './call-parts.ts';
import { deliveryIds, firstJobIdAt } from './ids.ts';
import { type JobRecord, JobSchema } from './jobs.ts';
import { JobPayloadSchema, type Keyspace } from './queues.ts';
import { defineScript } from './redis.ts';
import { readJobPayload, type StoredPayload } from './stored-payload.ts';
import { encodeRecord, StoredRecord } from './stored-record.ts';
import { createTick } from './tick.ts';
import { callbackArgs } from './webhooks/finished-callback.ts';
import type { WebhookTarget } from './webhooks/webhook-target.ts';

/** A finished record on its way to Redis. */
export interface FinishedJob {
  id: string;
  queue: string;
  record: JobRecord;
  ttlMs: number;
  rows: number;
  /** The estimate of the payload, which the backlog was charged with. */
  tokens: number;
  /** Virtual start time of the job, to move the queue's virtual time on; null: leave it. */
  startTime: number | null;
  /** Who is told of it, in the same step as it is written. */
  webhook?: WebhookTarget | undefined;
  /** The span that the telling is a part of, if there is one. */
  trace?: string | undefined;
  /** With which the caller holds the job in BullMQ, which forgets it in the same step. */
  lockToken?: string;
}

/** A job that a worker has taken. */
export interface HeldJob {
  id: string;
  queue: string;
  lockToken: string;
}

/** A job that BullMQ holds. */
export interface LiveJob {
  payload: StoredPayload;
  queue: string;
  startedMs: number | null;
  attempts: number;
  /** Jobs of the queue that are ahead, or null when it does not wait. */
  ahead: number | null;
}

export interface Backlog {
  jobs: { queued: number; delayed: number; running: number };
  rows: number;
  tokens: number;
}

/** What a finished record keeps for another try. */
export const RetrySchema = JobPayloadSchema.pick({
  ...{ rows: true, parameters: true, ttl_s: true, timeout_s: true, webhook: true },
});

const RecordSchema = z.object({
  tenant: z.string(),
  job: JobSchema,
  retry: RetrySchema.nullable(),
});

/** Stands for the record of a job that was removed while a worker held it. */
const REMOVED = '';

/** Reads and writes jobs. Finished records and their notices go out together, once a turn. */
export class JobStore {
  readonly #redis: Redis;
  readonly #keys: Keyspace;
  readonly #finish: (args: (string | number)[]) => Promise<unknown>;
  readonly #dropContent: (args: (string | number)[]) => Promise<unknown>;
  readonly #remove: (args: (string | number)[]) => Promise<unknown>;
  readonly #enqueueFinish: (write: FinishWrite) => void;
  readonly #enqueueRead: (read: RecordRead) => void;

  constructor(redis: Redis, keys: Keyspace) {
    this.#redis = redis;
    this.#keys = keys;
    this.#finish = defineScript(redis, 'finish-jobs');
    this.#dropContent = defineScript(redis, 'drop-content');
    this.#remove = defineScript(redis, 'remove-job');
    this.#enqueueFinish = createTick((writes) => this.#flushFinish(writes));
    this.#enqueueRead = createTick((reads) => this.#flushReads(reads));
  }

  /**
   * Writes a terminal state, unless the job already has one, and tells those who wait.
   * @returns false when the job was already finished
   */
  finish({ record, webhook, trace, ...finished }: FinishedJob): Promise<boolean> {
    const job = { ...finished, tenant: record.tenant };
    const json = encodeRecord(record);
    const callback =
      webhook === undefined ? null : callbackArgs(this.#keys, { record, webhook, trace });
    return new Promise((resolve, reject) => {
      this.#enqueueFinish({ job, json, callback, resolve, reject });
    });
  }

  /** Has BullMQ forget a job whose terminal state another one has written. */
  async forget(held: HeldJob): Promise<void> {
    const job = { ...held, tenant: '', ttlMs: 1, rows: 0, tokens: 0, startTime: null };
    await new Promise((resolve, reject) => {
      this.#enqueueFinish({ job, json: '', callback: null, resolve, reject });
    });
  }

  /** The finished record as it stands, or null. Records read in one turn share one command. */
  read(id: string): Promise<StoredRecord | null> {
    return new Promise((resolve, reject) => this.#enqueueRead({ id, resolve, reject }));
  }

  /**
   * A job in whatever state it is in. The live hash is asked before the record in the same round
   * trip: the record is written before BullMQ forgets the job, so one of them is always seen.
   */
  async find(
    id: string,
    queues: string[],
  ): Promise<{ record: JobRecord } | { live: LiveJob } | null> {
    const pipeline = this.#redis.pipeline();
    for (const queue of queues) {
      pipeline.hmget(this.#keys.bull(queue, id), 'data', 'processedOn', 'ats');
      pipeline.zrank(this.#keys.bull(queue, 'prioritized'), id);
    }
    pipeline.get(this.#keys.job(id));
    const replies = unwrapPipeline(await pipeline.exec());
    const json = replies.at(-1);
    if (typeof json === 'string')
      return json === REMOVED ? null : { record: new StoredRecord(json) };
    for (const [i, queue] of queues.entries()) {
      const live = parseLive(queue, replies[2 * i], replies[2 * i + 1]);
      if (live) return { live };
    }
    return null;
  }

  /**
   * What waits and runs in a queue: counts of jobs, rows and estimated tokens. Rows and tokens are
   * counted beside BullMQ's lists; should they ever differ, the larger one holds: a job that waits is
   * a row and a token at least, and whoever scales the workers sees it.
   */
  async backlog(queue: string): Promise<Backlog> {
    const bull = (suffix: string) => this.#keys.bull(queue, suffix);
    const replies = unwrapPipeline(
      await this.#redis
        .pipeline()
        .zcard(bull('prioritized'))
        .llen(bull('wait'))
        .zcard(bull('delayed'))
        .llen(bull('active'))
        .hmget(this.#keys.order(queue), 'rows', 'tokens')
        .exec(),
    );
    const [prioritized, wait, delayed, active] = replies.map(Number);
    const jobs = {
      queued: (prioritized ?? 0) + (wait ?? 0),
      delayed: delayed ?? 0,
      running: active ?? 0,
    };
    const held = jobs.queued + jobs.delayed + jobs.running;
    if (held === 0) return { jobs, rows: 0, tokens: 0 };
    const counted = z.array(z.string().nullable()).parse(replies[4]).map(Number);
    const rows = Math.max(held, counted[0] ?? 0);
    return { jobs, rows, tokens: Math.max(held, counted[1] ?? 0) };
  }

  /** Ids of a tenant, newest first, older than `after` if given. */
  listIds(tenant: string, after: string | null, count: number): Promise<string[]> {
    const from = after === null ? '+' : `(${after}`;
    return this.#redis.zrevrangebylex(this.#keys.index(tenant), from, '-', 'LIMIT', 0, count);
  }

  /** Drops ids of jobs older than `beforeMs` from a tenant's list. */
  trimIndex(tenant: string, beforeMs: number): Promise<number> {
    return this.#redis.zremrangebylex(
      this.#keys.index(tenant),
      '-',
      `(${firstJobIdAt(Math.max(0, beforeMs))}`,
    );
  }

  /**
   * Removes a finished job at once, and all of it out of the delivery that tells of it, which is not
   * sent any more. That goes first: whoever removes the job again, after a failure, finds it.
   */
  async remove(tenant: string, id: string, queues: string[]): Promise<void> {
    const { job, delivery, index, bull } = this.#keys;
    await this.#dropContent([1, delivery(deliveryIds(id).delivery), Date.now()]);
    const keys = [job(id), index(tenant), ...queues.map((queue) => bull(queue, id))];
    await this.#remove([keys.length, ...keys, id]);
  }

  #flushFinish(writes: FinishWrite[]): void {
    for (const group of Map.groupBy(writes, (write) => write.job.queue).values()) {
      for (const part of callParts(group)) this.#writePart(part);
    }
  }

  async #writePart(writes: FinishWrite[]): Promise<void> {
    const [first] = writes;
    if (!first) return;
    const starts = writes.map(({ job }) => job.startTime).filter((start) => start !== null);
    const bull = (suffix: string) => this.#keys.bull(first.job.queue, suffix);
    const args: (string | number)[] = [
      writes.length + 4,
      this.#keys.order(first.job.queue),
      ...['active', 'stalled', 'events'].map(bull),
      ...writes.map(({ job }) => this.#keys.job(job.id)),
      this.#keys.finishedChannel,
      starts.length === 0 ? '' : Math.max(...starts),
      bull(''),
    ];
    for (const { job, json } of writes) {
      args.push(job.id, json, Math.max(1, Math.ceil(job.ttlMs)));
      args.push(job.rows, job.tokens, job.lockToken ?? '', job.tenant);
    }
    for (const [i, { callback }] of writes.entries()) {
      if (callback !== null) args.push(i + 1, ...callback);
    }
    try {
      const written = z.array(z.number()).parse(await this.#finish(args));
      for (const [i, write] of writes.entries()) write.resolve(written[i] === 1);
    } catch (error) {
      for (const write of writes) write.reject(error);
    }
  }

  async #flushReads(reads: RecordRead[]): Promise<void> {
    try {
      const values = await this.#redis.mget(reads.map(({ id }) => this.#keys.job(id)));
      for (const [i, read] of reads.entries()) {
        const json = values[i];
        const there = typeof json === 'string' && json !== REMOVED;
        read.resolve(there ? new StoredRecord(json) : null);
      }
    } catch (error) {
      for (const read of reads) read.reject(error);
    }
  }
}

interface Settles<T> {
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
}
interface FinishWrite extends Settles<boolean> {
  job: Omit<FinishedJob, 'record' | 'webhook'> & { tenant: string };
  /** The record; empty where there is none to write. */
  json: string;
  /** What the script needs to have it told; null: nobody is told. */
  callback: (string | number)[] | null;
}
interface RecordRead extends Settles<StoredRecord | null> {
  id: string;
}

/** What the finished channel says: the ids of jobs, and the record where it is a single small one. */
export function parseNotice(message: string): { ids: string[]; record: StoredRecord | null } {
  const end = message.indexOf('\n');
  if (end === -1) return { ids: message.split(','), record: null };
  return { ids: [message.slice(0, end)], record: new StoredRecord(message.slice(end + 1)) };
}

/** The full check of a stored record, for tests and repairs. */
export function checkRecord(json: string): JobRecord {
  return RecordSchema.parse(JSON.parse(json));
}

function parseLive(queue: string, hash: unknown, rank: unknown): LiveJob | null {
  if (!Array.isArray(hash) || typeof hash[0] !== 'string') return null;
  const payload = readJobPayload(hash[0]);
  // Nobody can be shown what says not even whose it is.
  if (payload === null) return null;
  return {
    payload,
    queue,
    startedMs: hash[1] ? Number(hash[1]) : null,
    attempts: Number(hash[2] ?? 0),
    ahead: typeof rank === 'number' ? rank : null,
  };
}

/** The replies of a pipeline. @throws the first error among them */
export function unwrapPipeline(replies: [Error | null, unknown][] | null): unknown[] {
  return (replies ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
}
