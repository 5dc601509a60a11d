import type { Redis } from 'ioredis';
import { deliveryIds, endpointId, newTestId } from '../ids.ts';
import { unwrapPipeline } from '../job-store.ts';
import { type Keyspace, WEBHOOKS_QUEUE } from '../queues.ts';
import { defineScript } from '../redis.ts';
import {
  type Attempt,
  AttemptSchema,
  type DeliveryState,
  DeliveryStateSchema,
  type DeliveryStatus,
} from './delivery.ts';
import { TEST_EVENT } from './webhook-target.ts';

/** Attempts of a delivery that are kept. */
const ATTEMPTS_KEPT = 50;
/** How long an endpoint is disabled. */
const DISABLED_TTL_MS = 90 * 86_400_000;
/** Longer than any wait of the usual schedule, so that the failures of a delivery are one row. */
const MIN_FAILING_TTL_MS = 2 * 86_400_000;
const MAX_DISABLED_ENDPOINTS = 1_000;

const FIELDS = Object.keys(DeliveryStateSchema.shape);

export interface TestEvent {
  tenant: string;
  url: string;
  nowMs: number;
  ttlS: number;
}

/** What came of an attempt, or that there was none. */
export interface AttemptOutcome {
  attempt: Attempt | null;
  status: DeliveryStatus;
  nextMs: number | null;
  /** Attempts of the round, this one included. */
  step: number;
  nowMs: number;
  /** What it says of the endpoint. */
  endpoint: 'good' | 'bad' | 'gone' | null;
  /** After how long of nothing but failures the endpoint is disabled. */
  disableAfterMs: number;
}

type Script = (args: (string | number)[]) => Promise<unknown>;

/** The deliveries in Redis: what is sent, to whom, and what came of it. */
export class DeliveryStore {
  readonly #redis: Redis;
  readonly #keys: Keyspace;
  readonly #add: Script;
  readonly #record: Script;
  readonly #redeliver: Script;

  constructor(redis: Redis, keys: Keyspace) {
    this.#redis = redis;
    this.#keys = keys;
    this.#add = defineScript(redis, 'add-test-delivery');
    this.#record = defineScript(redis, 'record-attempt');
    this.#redeliver = defineScript(redis, 'redeliver');
  }

  /** Has a test event sent. @returns the id of its delivery */
  async addTest({ tenant, url, nowMs, ttlS }: TestEvent): Promise<string> {
    const of = newTestId(nowMs);
    const { delivery, message } = deliveryIds(of);
    const body = JSON.stringify({
      type: TEST_EVENT,
      timestamp: new Date(nowMs).toISOString(),
      data: { id: of, object: TEST_EVENT },
    });
    const keys = [this.#keys.delivery(delivery), this.#keys.deliveries(tenant)];
    const queue = this.#keys.bull(WEBHOOKS_QUEUE, '');
    const fields = [delivery, message, tenant, url, TEST_EVENT, of, nowMs, ttlS * 1000, body];
    await this.#add([2, ...keys, queue, ...fields]);
    return delivery;
  }

  /** @throws ZodError when it is one that a newer version has written */
  async read(id: string): Promise<DeliveryState | null> {
    const [reply] = await this.#readAll([id]);
    return isThere(reply) ? DeliveryStateSchema.parse(stateOf(reply)) : null;
  }

  /** In the order of the ids; null for those that are gone, or that only a newer version can read. */
  async readMany(ids: string[]): Promise<(DeliveryState | null)[]> {
    const replies = await this.#readAll(ids);
    return replies.map((reply) => {
      if (!isThere(reply)) return null;
      return DeliveryStateSchema.safeParse(stateOf(reply)).data ?? null;
    });
  }

  /** Whether there is a delivery, of whatever version. */
  async exists(id: string): Promise<boolean> {
    return (await this.#redis.exists(this.#keys.delivery(id))) === 1;
  }

  async #readAll(ids: string[]): Promise<unknown[]> {
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hmget(this.#keys.delivery(id), ...FIELDS);
    return unwrapPipeline(await pipeline.exec());
  }

  /** What is sent; null of a batch, of which it is made anew, and when it is not kept any more. */
  body(id: string): Promise<string | null> {
    return this.#redis.hget(this.#keys.delivery(id), 'body');
  }

  /** Oldest first. */
  async attempts({ id, attempt_count }: DeliveryState): Promise<Attempt[]> {
    const first = Math.max(1, attempt_count - ATTEMPTS_KEPT + 1);
    const numbers = Array.from({ length: attempt_count - first + 1 }, (_, i) => first + i);
    if (numbers.length === 0) return [];
    const fields = numbers.map((number) => `attempt:${number}`);
    const found = await this.#redis.hmget(this.#keys.delivery(id), ...fields);
    return found.flatMap((json) => (json === null ? [] : [AttemptSchema.parse(JSON.parse(json))]));
  }

  /** Ids of a tenant, newest first, older than `after` if given. */
  async list(tenant: string, after: string | null, count: number): Promise<string[]> {
    const key = this.#keys.deliveries(tenant);
    const rank = after === null ? -1 : await this.#redis.zrevrank(key, after);
    if (rank === null) return [];
    return this.#redis.zrevrange(key, rank + 1, rank + count);
  }

  /** @returns the status that it has then; null when the delivery is gone, or was sent anew */
  async record(delivery: DeliveryState, outcome: AttemptOutcome): Promise<DeliveryStatus | null> {
    const { id, tenant, url, round } = delivery;
    const { attempt, status, nextMs, step, nowMs, disableAfterMs } = outcome;
    const endpoint = endpointId(tenant, url);
    const { delivery: deliveryKey, endpoint: endpointKey, disabledEndpoints } = this.#keys;
    const reply = await this.#record([
      ...[3, deliveryKey(id), endpointKey(endpoint), disabledEndpoints(tenant)],
      ...[round, attempt === null ? '' : JSON.stringify(attempt), ATTEMPTS_KEPT],
      ...[status, nextMs ?? '', step, nowMs, outcome.endpoint ?? ''],
      ...[endpoint, tenant, url, disableAfterMs, DISABLED_TTL_MS, MAX_DISABLED_ENDPOINTS],
      Math.max(disableAfterMs, MIN_FAILING_TTL_MS),
    ]);
    const parsed = DeliveryStateSchema.shape.status.safeParse(reply);
    return parsed.success ? parsed.data : null;
  }

  /**
   * Sends it once more; one that waits for its next attempt, at once.
   * @returns what hinders it, if anything
   */
  async redeliver(tenant: string, id: string, nowMs: number): Promise<'unknown' | 'empty' | null> {
    const queue = this.#keys.bull(WEBHOOKS_QUEUE, '');
    const sent = await this.#redeliver([1, this.#keys.delivery(id), tenant, id, queue, nowMs]);
    if (sent === 1) return null;
    return sent === 0 ? 'empty' : 'unknown';
  }
}

function isThere(reply: unknown): reply is unknown[] {
  return Array.isArray(reply) && reply[0] !== null;
}

function stateOf(reply: unknown[]): Record<string, unknown> {
  const set = FIELDS.map((name, i) => [name, reply[i]]).filter(([, value]) => value !== null);
  return Object.fromEntries(set);
}
