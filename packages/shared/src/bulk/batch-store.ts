import type { Redis } from 'ioredis';
import { z } from 'zod';
import { deliveryIds } from '../ids.ts';
import { ONCE_TTL_MS, type OnceKeep } from '../once.ts';
import { type Keyspace, WEBHOOKS_QUEUE } from '../queues.ts';
import { defineScript } from '../redis.ts';
import {
  type BatchDefinition,
  BatchStateSchema,
  type BatchStatus,
  type CHUNK_COUNTS,
  isTerminal,
  parseDefinition,
  type StoredBatch,
} from './batch.ts';

/** The files that hold the rows of a finished chunk. */
export const ChunkPartSchema = z.object({
  /** Blob of the rows that succeeded, in input order; null when none did. */
  output: z.string().nullable(),
  /** Blob of the rows that failed. */
  errors: z.string().nullable(),
});
export type ChunkPart = z.infer<typeof ChunkPartSchema>;

export interface FinishedChunk {
  index: number;
  part: ChunkPart;
  counts: Partial<Record<ChunkCount, number>>;
}

/** What the chunks of a batch add up to. */
export type ChunkCount = keyof typeof CHUNK_COUNTS;

/** How long a finished batch can be asked for. */
const FINISHED_TTL_MS = 30 * 86_400_000;
/**
 * How long the parts of a batch outlive it, unless more is asked for. A Redis that dies may forget
 * its last seconds: a batch that had ended is then assembled again.
 */
const PARTS_KEPT_MS = 5_000;
/** How often the rate of a batch gets a new mark to be measured from. */
const RATE_MARK_MS = 30_000;

/** What holds for whoever creates a batch. */
export interface BatchTerms {
  /** Batches of the tenant that have not ended. */
  maxLive: number;
  /** Of the caller's Idempotency-Key. */
  once?: OnceKeep | null;
}

/** What became of a new batch: only one that was created is there. */
export type BatchOutcome =
  | { kind: 'created' }
  | { kind: 'too-many' }
  /** What was kept with the batch that came first under the Idempotency-Key. */
  | { kind: 'stored-before'; kept: string };
/** Of `move-batch.lua`, that only the end of a batch needs. */
const END_ARGS = 8;

type Fields = Record<string, string | number>;

interface Move {
  from: BatchStatus[];
  to: BatchStatus;
  fields?: Fields;
  /** How long the parts of a batch that ends are kept. */
  partsKeptMs?: number;
}

/** The batches in Redis: a hash each, and a hash of the chunks that are done. */
export class BatchStore {
  readonly #redis: Redis;
  readonly #keys: Keyspace;
  readonly #create: (args: (string | number)[]) => Promise<unknown>;
  readonly #move: (args: (string | number)[]) => Promise<unknown>;
  readonly #finishChunk: (args: (string | number)[]) => Promise<unknown>;
  readonly #pause: (args: (string | number)[]) => Promise<unknown>;

  constructor(redis: Redis, keys: Keyspace) {
    this.#redis = redis;
    this.#keys = keys;
    this.#create = defineScript(redis, 'create-batch');
    this.#move = defineScript(redis, 'move-batch');
    this.#finishChunk = defineScript(redis, 'finish-chunk');
    this.#pause = defineScript(redis, 'pause-batch');
  }

  async create(definition: BatchDefinition, terms: BatchTerms): Promise<BatchOutcome> {
    const { id, tenant, expires_ms } = definition;
    const { maxLive, once = null } = terms;
    const { batch, batches, liveBatches } = this.#keys;
    const keys = [batch(id), batches(tenant), liveBatches, once?.key ?? liveBatches];
    const kept = [once?.keep ?? '', ONCE_TTL_MS];
    const args = [id, JSON.stringify(definition), expires_ms, maxLive, ...kept];
    const reply = z.string().parse(await this.#create([keys.length, ...keys, ...args]));
    if (reply === '+') return { kind: 'created' };
    return reply === 't' ? { kind: 'too-many' } : { kind: 'stored-before', kept: reply.slice(1) };
  }

  /** What was kept of an Idempotency-Key, by this or another kind of request; null: nothing. */
  keptOf(key: string): Promise<string | null> {
    return this.#redis.get(key);
  }

  /** @returns null when there is no such batch */
  async read(id: string): Promise<StoredBatch | null> {
    return parseBatch(await this.#redis.hgetall(this.#keys.batch(id)));
  }

  /** Batches of a tenant, newest first, older than `after`; one more than `limit` if there are. */
  async list(tenant: string, after: string | null, limit: number): Promise<StoredBatch[]> {
    const key = this.#keys.batches(tenant);
    const batches: StoredBatch[] = [];
    let from = after === null ? '+' : `(${after}`;
    while (batches.length <= limit) {
      const ids = await this.#redis.zrevrangebylex(key, from, '-', 'LIMIT', 0, limit + 1);
      const found = await Promise.all(ids.map((id) => this.read(id)));
      batches.push(...found.filter((batch) => batch !== null));
      const gone = ids.filter((_, i) => found[i] === null);
      if (gone.length > 0) await this.#redis.zrem(key, ...gone);
      if (ids.length <= limit) break;
      from = `(${ids.at(-1)}`;
    }
    return batches.slice(0, limit + 1);
  }

  /** Ids of batches that are not finished, those that expire first at the front. */
  live(): Promise<string[]> {
    return this.#redis.zrange(this.#keys.liveBatches, '0', '-1');
  }

  /** @returns false when the batch is in none of the statuses `from` */
  async move(
    id: string,
    { from, to, fields = {}, partsKeptMs = PARTS_KEPT_MS }: Move,
  ): Promise<boolean> {
    const { batch, liveBatches, batchChunks, endedBatches } = this.#keys;
    const keys = [batch(id), liveBatches, batchChunks(id), endedBatches];
    const none = Array<string>(END_ARGS).fill('');
    const end = isTerminal(to) ? this.#endArgs(id, partsKeptMs) : none;
    const pairs = Object.entries(fields).flat();
    return (await this.#move([4, ...keys, from.join(','), to, id, ...end, ...pairs])) === 1;
  }

  #endArgs(id: string, partsKeptMs: number): (string | number)[] {
    const now = Date.now();
    const { delivery, message } = deliveryIds(id);
    const { delivery: keyOf, deliveries, bull } = this.#keys;
    const callback = [keyOf(delivery), deliveries(''), bull(WEBHOOKS_QUEUE, '')];
    return [FINISHED_TTL_MS, now + partsKeptMs, ...callback, delivery, message, now];
  }

  /** Batches that have ended and whose parts may go. */
  ended(nowMs: number, count: number): Promise<string[]> {
    const { endedBatches } = this.#keys;
    return this.#redis.zrangebyscore(endedBatches, '-inf', nowMs, 'LIMIT', 0, count);
  }

  /** After the parts are gone. */
  async forgetParts(id: string): Promise<void> {
    await this.#redis.zrem(this.#keys.endedBatches, id);
  }

  /** Sets fields of a batch that is there. */
  async set(id: string, fields: Fields): Promise<void> {
    await this.#redis.hset(this.#keys.batch(id), fields);
  }

  /** Says why a batch does not go on, as long as it stays in its status. */
  async wait(id: string, status: BatchStatus, reason: string): Promise<void> {
    await this.move(id, { from: [status], to: status, fields: { waiting_for: reason } });
  }

  async clear(id: string, field: 'waiting_for'): Promise<void> {
    await this.#redis.hdel(this.#keys.batch(id), field);
  }

  /**
   * Says how many rows the planner has read, and that nothing holds it up.
   * @returns false when the batch is not planned any more
   */
  planning(id: string, total: number): Promise<boolean> {
    return this.move(id, { from: ['validating'], to: 'validating', fields: { total } });
  }

  /** Pauses a batch, or lets it go on. @returns false when it does not run */
  async pause(id: string, paused: boolean, nowMs: number): Promise<boolean> {
    return (await this.#pause([1, this.#keys.batch(id), paused ? 1 : 0, nowMs])) === 1;
  }

  /** @returns false when another part of the chunk counts, or the batch takes no more */
  async finishChunk(id: string, chunk: FinishedChunk): Promise<boolean> {
    const { index, part, counts } = chunk;
    const keys = [this.#keys.batch(id), this.#keys.batchChunks(id)];
    const json = JSON.stringify(part satisfies ChunkPart);
    const args = [2, ...keys, index, json, Date.now(), RATE_MARK_MS];
    args.push(...Object.entries(counts).flat());
    return (await this.#finishChunk(args)) === 1;
  }

  /** Whether the parts of a batch can still be read. */
  async hasParts(id: string): Promise<boolean> {
    return (await this.#redis.exists(this.#keys.batchChunks(id))) === 1;
  }

  /** The parts of the chunks `[from, to)`; null for those that are not done. */
  async parts(id: string, from: number, to: number): Promise<(ChunkPart | null)[]> {
    if (to <= from) return [];
    const fields = Array.from({ length: to - from }, (_, i) => String(from + i));
    const found = await this.#redis.hmget(this.#keys.batchChunks(id), ...fields);
    return found.map((json) =>
      typeof json === 'string' ? ChunkPartSchema.parse(JSON.parse(json)) : null,
    );
  }
}

function parseBatch(hash: Record<string, string>): StoredBatch | null {
  const { definition, ...state } = hash;
  if (definition === undefined) return null;
  return {
    definition: parseDefinition(definition),
    state: BatchStateSchema.parse(state),
  };
}
